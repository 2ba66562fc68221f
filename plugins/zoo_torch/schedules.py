"""Learning rate as a function of progress, so that a time limit ends at a decayed rate too."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

if TYPE_CHECKING:
    from collections.abc import Callable

# Validated before anything is built: ``warmup`` is a fraction of the training, ``final`` one of the rate.
Fraction = Annotated[float, Field(ge=0, le=1)]
Power = Annotated[float, Field(gt=0)]
One = Annotated[float, Field(ge=1, le=1)]


def polynomial_warmup(warmup: Fraction = 0.1, final: Fraction = 0.0, power: Power = 1.0) -> Callable[[float], float]:
    """Return the map from progress (0..1) to the factor of the learning rate (0..1); power 1 is a straight line.

    Args:
        warmup: over which share of the training the rate rises from zero.
        final: share of the rate at the end.
        power: of the rest of the training.
    """
    return _schedule(warmup, final, lambda rest: rest**power)


def cosine_warmup(warmup: Fraction = 0.1, final: Fraction = 0.0) -> Callable[[float], float]:
    """Return a map as ``polynomial_warmup`` does, whose decay is half a cosine."""
    return _schedule(warmup, final, lambda rest: 0.5 * (1 + math.cos(math.pi * (1 - rest))))


def constant(warmup: Fraction = 0.1, final: One = 1.0) -> Callable[[float], float]:
    """Return a map as ``polynomial_warmup`` does, without a decay: ``final`` is always 1."""
    return _schedule(warmup, final, lambda rest: rest)


def _schedule(warmup: float, final: float, decay: Callable[[float], float]) -> Callable[[float], float]:
    def factor(progress: float) -> float:
        progress = min(max(progress, 0.0), 1.0)
        if progress < warmup:
            return progress / warmup
        rest = (1 - progress) / (1 - warmup) if warmup < 1 else 0.0
        return final + (1 - final) * decay(rest)

    return factor
