"""What the functions share with the program that calls them: its warnings, its terminal, the state of its process."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zoo.runs.layout import RunFolder
    from zoo_core.config import Overrides
    from zoo_core.registry import Registry

# The functions, and what Python makes of their decorators.
_OURS = ("zoo.", "contextlib")
# By these Lightning tells its loader processes the seed, and cuBLAS to be deterministic.
_VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "CUBLAS_WORKSPACE_CONFIG")


def warn(lines: Iterable[object]) -> None:
    """Warn of each line, at the line of the program that called the function."""
    level, frame = 1, sys._getframe()  # noqa: SLF001 - as warnings itself does
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        level, frame = level + 1, frame.f_back
    for line in lines:
        warnings.warn(str(line), stacklevel=level)


def shows(*, quiet: bool) -> bool:
    """Return whether progress is shown: on a terminal, unless ``quiet``."""
    return not quiet and sys.stderr is not None and sys.stderr.isatty()


def open_registry() -> tuple[Registry, tuple[str, ...]]:
    """Discover the installed plugins; return a line for each that failed, too."""
    from zoo_core.discovery import discover

    registry = discover()
    return registry, tuple(map(str, registry.failures))


def require_several(overrides: Overrides) -> None:
    """Refuse one text, of which each letter would be an override.

    Raises:
        UsageError: it is one.
    """
    if isinstance(overrides, str | bytes):
        hint = f'write [{overrides!r}], or a mapping such as {{"trainer.max_epochs": 5}}'
        raise UsageError(f"overrides: one text, not several: {overrides!r}", hint=hint)


def open_run(run: str | os.PathLike[str] | None) -> RunFolder:
    """Return the run that is named, else the latest, by a path that holds in any folder.

    Raises:
        UsageError: there is none, or there are several.
    """
    from zoo.runs import catalog
    from zoo.runs.layout import RunFolder

    return RunFolder(catalog.open_run(run).path.absolute())


@contextmanager
def where_started(run: RunFolder) -> Iterator[None]:
    """Work in the folder that the relative paths of a run's recipe are relative to.

    Raises:
        UsageError: it is another one, and this is not the main thread: all threads of a process share their folder.
    """
    from zoo.runs.started import started_folder

    folder = started_folder(run)
    if folder is None or folder.samefile(Path.cwd()):
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        message = f"{run.path} was started in {folder}, and paths in its recipe are relative to that"
        raise UsageError(message, hint="call from the main thread, or start the program in that folder")
    with chdir(folder):
        yield


@contextmanager
def left_as_found() -> Iterator[None]:
    """Put back what seeding, Lightning and torch change of a process; needs torch.

    The global random generators, too: numbers that other threads draw meanwhile are drawn again.
    """
    from lightning.pytorch.utilities.seed import isolate_rng

    with ExitStack() as stack:
        stack.enter_context(isolate_rng())
        for restore in (_environment, _messages, _torch_settings):
            stack.enter_context(restore())
        yield


@contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _messages() -> Iterator[None]:
    from zoo.training.trainer import LOGGERS, SILENCED

    # One by one and in place: Python's way to restore all filters is not made for threads.
    filters = cast("list[tuple[object, ...]]", warnings.filters)
    before = list(filters)
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    try:
        yield
    finally:
        filters = cast("list[tuple[object, ...]]", warnings.filters)
        for one in [one for one in filters if one not in before and getattr(one[1], "pattern", one[1]) in SILENCED]:
            filters.remove(one)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _torch_settings() -> Iterator[None]:
    import torch

    cudnn = torch.backends.cudnn
    wants = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark, deterministic = cudnn.benchmark, cudnn.deterministic
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(wants[0], warn_only=wants[1])
        cudnn.benchmark, cudnn.deterministic = benchmark, deterministic
