"""The names of torch's and Lightning's classes, without importing either, which takes seconds."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

# Bases, and what is made of functions or other schedulers, which no recipe can write.
_LEFT_OUT = frozenset(
    {
        "Optimizer",
        "LRScheduler",
        "LambdaLR",
        "MultiplicativeLR",
        "SequentialLR",
        "ChainedScheduler",
        "BaseFinetuning",
        "BasePredictionWriter",
        "Callback",
        "Checkpoint",
        "LambdaCallback",
        "Logger",
        "ProgressBar",
    }
)


def optimizers() -> list[str]:
    """Return the optimizers of the installed torch.

    Raises:
        ModuleNotFoundError: torch is not installed.
    """
    return _classes("torch", "optim/__init__.py")


def lr_schedulers() -> list[str]:
    """Return the schedulers of the installed torch that a recipe can describe.

    Raises:
        ModuleNotFoundError: torch is not installed.
    """
    return _classes("torch", "optim/lr_scheduler.py")


def callbacks() -> list[str]:
    """Return the callbacks of the installed Lightning that a recipe can describe.

    Raises:
        ModuleNotFoundError: Lightning is not installed.
    """
    return _classes("lightning", "pytorch/callbacks/__init__.py")


def loggers() -> list[str]:
    """Return the loggers of the installed Lightning; some need a package of their own.

    Raises:
        ModuleNotFoundError: Lightning is not installed.
    """
    return _classes("lightning", "pytorch/loggers/__init__.py")


def _classes(package: str, file: str) -> list[str]:
    """Return the classes that ``__all__`` names in a file of an installed package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    tree = ast.parse((Path(spec.submodule_search_locations[0]) / file).read_text(encoding="utf-8"))
    named = [
        ast.literal_eval(statement.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and any(getattr(target, "id", "") == "__all__" for target in statement.targets)
    ]
    return sorted({name for names in named for name in names if name[0].isupper()} - _LEFT_OUT)
