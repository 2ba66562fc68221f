"""The names of all timm models and optimizers, without importing timm."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

_OPTIMIZER = re.compile(r"(?:OptimInfo\(\s*(?:name=)?|register_alias\()'(\w+)'")
_REGISTERED = re.compile(r"^@register_model\ndef (\w+)\(", re.MULTILINE)


def names() -> list[str]:
    """Return the architectures of the installed timm, sorted.

    They are the functions under ``@register_model`` in its source: importing timm and torch takes seconds, too long
    for a listing or for command-line completion.

    Raises:
        ModuleNotFoundError: timm is not installed.
    """
    folder = _timm() / "models"
    return sorted(
        name for file in folder.glob("*.py") for name in _REGISTERED.findall(file.read_text(encoding="utf-8"))
    )


def optimizer_names() -> list[str]:
    """Return the optimizers that the installed timm registers, sorted, read off its source too.

    Raises:
        ModuleNotFoundError: timm is not installed.
    """
    return sorted(set(_OPTIMIZER.findall((_timm() / "optim" / "_optim_factory.py").read_text(encoding="utf-8"))))


def _timm() -> Path:
    timm = find_spec("timm")
    if timm is None or timm.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'timm'", name="timm")
    return Path(timm.submodule_search_locations[0])
