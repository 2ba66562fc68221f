"""zoo: a plugin-based model zoo for image-embedding models.

`load` opens a model, which embeds images. Importing zoo imports nothing else.
"""

from __future__ import annotations

__version__ = "0.1.0"

# The name alone tells type checkers; importing it from typing takes as long as starting Python does.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from zoo.api.loading import load
    from zoo.models.model import Model

__all__ = ["Model", "load"]

# Where each name is found when it is first asked for.
_HOMES = {
    "Model": "zoo.models.model",
    "load": "zoo.api.loading",
}

if not TYPE_CHECKING:  # else a checker would take any name for known

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        from importlib import import_module  # noqa: PLC0415 - as light as can be

        return getattr(import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *_HOMES})
