"""Files that are written whole or not at all, and read with an error that names them."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The errors of a full disk, an exhausted quota and a file that is too large.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, beside ``path``; rename it to ``path`` at the end, delete it on any error.

    A reader sees the old file or the whole new one, never half of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        # mkstemp makes files for the owner alone; give what any new file here would get.
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)
        beside.replace(path)
    except OSError as error:
        if error.errno in DISK_FULL:  # and does not say where
            error.filename = str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, all or nothing.

    Bytes of file names that are no UTF-8 are escaped as JSON does it, so that they read back from JSON.
    """
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data``, all or nothing."""
    with replacing(path) as beside:
        beside.write_bytes(data)


def write_json(path: Path, document: object) -> None:
    """Write ``document`` as indented JSON, all or nothing."""
    write_text(path, as_text(document))


def as_text(document: object) -> str:
    """Return ``document`` as the indented JSON that ``write_json`` writes."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON is whatever was written
    """Read a JSON document.

    Raises:
        UsageError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"{path}: no such file"
        raise UsageError(msg) from None
    except ValueError as error:
        msg = f"{path}: not a JSON file: {error}"
        raise UsageError(msg) from error


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a JSON document whose top level is a mapping.

    Raises:
        UsageError: the file is missing, is not JSON, or holds something else.
    """
    document = read_json(path)
    if not isinstance(document, dict):
        msg = f"{path}: holds a JSON {type(document).__name__} instead of a mapping"
        raise UsageError(msg)
    return document
