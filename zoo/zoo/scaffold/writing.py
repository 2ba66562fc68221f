"""New files in a new folder: all of them, or none."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_new(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Write ``contents``, text by relative path, into ``folder``, which is made; return the files.

    Raises:
        UsageError: there is something at ``folder`` already.
    """
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise UsageError(f"{folder}: is there already", hint="name a new folder with --output DIR")
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, text in contents.items():
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        made.chmod(0o755)
        # Onto nothing, or onto an empty folder.
        made.rename(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return [folder / name for name in contents]
