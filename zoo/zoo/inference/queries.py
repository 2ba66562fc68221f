"""Which pictures a command is asked about: files, folders, patterns, and lists of them."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.image_files import Skipped, skipped_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def find_queries(
    arguments: Iterable[str], listed: Iterable[str | None], skipped: Callable[[Skipped], object]
) -> Iterator[Path | None]:
    """Yield the picture files that ``arguments`` name, as they are found: no list of them is ever in memory.

    A folder stands for the pictures below it, in the order of their paths; a pattern, in which ``**`` is any number of
    folders, for what it matches, unless a file has that very name. What is not there, and a folder without pictures, is
    yielded as it is, so that reading it says so.

    Args:
        arguments: files, folders, patterns, and ``-`` for ``listed``.
        listed: files and folders; None says that the next may take long, and is passed on.
        skipped: told of each file below a folder that is left out, but for notes.
    """
    for argument in arguments:
        if argument == "-":
            for name in listed:
                yield from [None] if name is None else _expand(Path(name), skipped)
        elif glob.has_magic(argument) and not os.path.lexists(argument):
            for name in _matches(argument) or [argument]:
                yield from _expand(Path(name), skipped)
        else:
            yield from _expand(Path(argument), skipped)


def _matches(pattern: str) -> list[str]:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - of any folder, also a whole path
    # `**` matches folders beside the files in them, which would come twice.
    return ("**" in pattern and [name for name in found if not Path(name).is_dir()]) or found


def _expand(path: Path, skipped: Callable[[Skipped], object]) -> Iterator[Path]:
    if not os.path.isdir(path):  # noqa: PTH112 - of a name that is too long, Path's own raises
        yield path
        return
    found = False
    for picture in _walk(path, skipped):
        found = True
        yield picture
    if not found:
        yield path


def _walk(folder: Path, skipped: Callable[[Skipped], object]) -> Iterator[Path]:
    """Find the pictures below ``folder`` as ``find_images`` does, a folder at a time."""
    try:
        with os.scandir(folder) as entries:
            # In the order of whole paths, in which a folder's name ends with a slash.
            names = sorted(entry.name + "/" * _is_dir(entry) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        skipped(Skipped(str(folder), error.strerror or "cannot be read", "class"))
        return
    for name in names:
        path = folder / name
        if not name.endswith("/"):
            if (reason := skipped_file(path)) is None:
                yield path
            elif reason.kind != "note":
                skipped(reason)
        elif path.is_symlink():
            skipped(Skipped(str(path), "a link to a folder"))
        else:
            yield from _walk(path, skipped)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as of a link to itself
        return False
