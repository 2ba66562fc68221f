"""A folder that is replaced whole: whoever is killed meanwhile leaves the old one or the new one."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE, _RENAME_SWAP = -100, 2, 2
_NO_EXCHANGE = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder beside ``folder`` that holds all that it does; at the end it takes its place, on an error it goes.

    Files in it must be replaced, as ``zoo.atomic`` does, and not written into: they are links to the old ones. Where
    the system can exchange two folders in one step, a reader always finds a whole one. Elsewhere a process that is
    killed between two renames leaves none, and ``recover_folder`` puts the new one there.
    """
    recover_folder(folder)
    staged, old = _staged(folder), _old(folder)
    for leftover in (staged, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        if folder.is_dir():
            shutil.copytree(folder, staged, symlinks=True, copy_function=_link_or_copy)
        else:
            staged.mkdir(parents=True)
        yield staged
        if not folder.is_dir():
            staged.rename(folder)
        elif _exchange(staged, folder):
            pass
        else:
            folder.rename(old)
            staged.rename(folder)
    finally:
        recover_folder(folder)
        for leftover in (staged, old):
            shutil.rmtree(leftover, ignore_errors=True)


def recover_folder(folder: Path) -> None:
    """Finish a replacement that was killed between its two renames."""
    if _old(folder).is_dir() and not folder.exists():
        # Only a finished one has moved the old one away.
        with suppress(OSError):
            _staged(folder).rename(folder)


def _staged(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.new")


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a file system without links
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system cannot."""
    paths = os.fsencode(one), os.fsencode(other)
    libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*paths, _RENAME_SWAP)  # type: ignore[union-attr]
    elif hasattr(libc, "renameat2"):
        failed = libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE)  # type: ignore[union-attr]
    else:
        return False
    if not failed:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))
