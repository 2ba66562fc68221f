"""The names of all timm models, without importing timm."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

_REGISTERED = re.compile(r"^@register_model\ndef (\w+)\(", re.MULTILINE)


def names() -> list[str]:
    """Return the architectures of the installed timm, sorted.

    They are the functions under ``@register_model`` in its source: importing timm and torch takes seconds, too long
    for a listing or for command-line completion.

    Raises:
        ModuleNotFoundError: timm is not installed.
    """
    timm = find_spec("timm")
    if timm is None or timm.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'timm'", name="timm")
    folder = Path(timm.submodule_search_locations[0]) / "models"
    return sorted(
        name for file in folder.glob("*.py") for name in _REGISTERED.findall(file.read_text(encoding="utf-8"))
    )
