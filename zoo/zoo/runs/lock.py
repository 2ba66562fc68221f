"""One training per run folder: a second one is refused."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.runs.layout import RunFolder

LOCK = "training.lock"


def is_locked(folder: RunFolder) -> bool:
    """Return whether a training writes into ``folder`` now; a file that a killed one left does not count."""
    path = folder.path / LOCK
    if not path.exists():
        return False
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only training installs it

    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        # Somebody else's folder: whoever may not write cannot know.
        return False


@contextmanager
def locked(folder: RunFolder, *, new: bool) -> Iterator[None]:
    """Hold ``folder`` for one training; a ``new`` one needs it empty, and leaves nothing where it never began.

    The system gives a lock back however its process ends, so none outlives a killed training.

    Raises:
        UsageError: another training writes into it, or a new one would write over something.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only training installs it

    missing = [path for path in (folder.path, *folder.path.parents) if not path.exists()]
    path = folder.path / LOCK
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        lock.acquire()
    except Timeout:
        hint = "give each a folder of its own" if new else "wait for it, or stop it"
        raise UsageError(f"{folder.path}: another training writes into it", hint=hint) from None
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{folder.path} is no folder", hint="name a new one") from None
    except OSError as error:
        raise UsageError(f"{folder.path}: cannot be written: {error.strerror or error}") from error
    try:
        if new and any(entry.name != LOCK for entry in folder.path.iterdir()):
            raise UsageError(f"{folder.path} is there and not empty", hint="name a new folder, or resume that run")
        yield
    finally:
        # Removed while it is held: whoever opened it meanwhile locks a file without a name, and looks again.
        # Windows removes no open file: there an empty one stays, and does no harm.
        with suppress(OSError):
            path.unlink()
        lock.release()
        with suppress(OSError):
            for empty in missing:
                empty.rmdir()
