"""Optimizers of timm by the names that timm gives them, as factories whose options are their own parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timm.optim import get_optimizer_class  # type: ignore[attr-defined] # public, but not typed as such

if TYPE_CHECKING:
    from collections.abc import Callable


def optimizer(name: str) -> Callable[..., Any]:
    """Return the class that timm calls ``name``, with the defaults that make it that one (``lionc``: with caution).

    Raises:
        Exception: it needs a package or a device that is not there, in timm's words.
    """
    found: Callable[..., Any] = get_optimizer_class(name, bind_defaults=True)
    return found
