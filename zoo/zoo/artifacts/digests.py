"""SHA-256 of files; of large ones it is remembered, so that a model that is opened again is not read twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.atomic import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable

# Hashing less than this costs less than a look into the cache saves.
_LARGE = 2**20
# A file that changed within the resolution of its timestamps looks unchanged, so that young ones are hashed again.
_YOUNG_SECONDS = 2


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file at ``path``, in hexadecimal; its content is read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files in ``folder`` by name.

    Those of large files are kept in ``$XDG_CACHE_HOME/zoo/digests``, each with what changes whenever somebody writes to
    the file: its inode, size, and times of modification and of change, the last of which nobody can set.

    Raises:
        OSError: a file cannot be read.
    """
    cache = _cache_file(folder)
    known = _read(cache)
    found, kept = {}, {}
    for name in names:
        path = folder / name
        stat = path.stat()
        mark = [stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        if known.get(name, [None])[0] == mark:
            found[name] = str(known[name][1])
        else:
            found[name] = sha256(path)
        if stat.st_size >= _LARGE and time.time_ns() - stat.st_ctime_ns > _YOUNG_SECONDS * 10**9:
            kept[name] = [mark, found[name]]
    if kept and kept != known:
        # A cache that cannot be written costs time, nothing else.
        with contextlib.suppress(OSError):
            write_text(cache, json.dumps(kept))
    return found


def _cache_file(folder: Path) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:32]
    return Path(home) / "zoo" / "digests" / f"{name}.json"


def _read(cache: Path) -> dict[str, list[object]]:
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: entry for name, entry in known.items() if isinstance(entry, list) and len(entry) == 2}  # noqa: PLR2004
