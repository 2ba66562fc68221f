"""zoo: a plugin-based model zoo for image-embedding models."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.api.loading import load
    from zoo.models.model import Model

__version__ = "0.1.0"

__all__ = ["Model", "__version__", "load"]

# Imported when they are asked for, so that `import zoo` stays as light as `zoo --help`.
_HOMES = {
    "Model": "zoo.models.model",
    "load": "zoo.api.loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
