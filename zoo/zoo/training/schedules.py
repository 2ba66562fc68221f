"""Learning rate as a function of progress, so that a time limit ends at a decayed rate too."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zoo.recipes.schema import SCHEDULES

if TYPE_CHECKING:
    from collections.abc import Callable


def schedule(name: str, options: dict[str, object]) -> Callable[[float], float]:
    """Make the map from progress (0..1) to the factor of the learning rate (0..1) called ``name``.

    Linear warm-up from zero over the first ``warmup`` of the training, then the decay that the name says.
    """
    settings = SCHEDULES[name].model_validate(options)

    def decay(rest: float) -> float:
        if name == "cosine_warmup":
            return 0.5 * (1 + math.cos(math.pi * (1 - rest)))
        return float(rest ** getattr(settings, "power", 1.0))

    def factor(progress: float) -> float:
        progress = min(max(progress, 0.0), 1.0)
        if progress < settings.warmup:
            return progress / settings.warmup
        rest = (1 - progress) / (1 - settings.warmup) if settings.warmup < 1 else 0.0
        return settings.final + (1 - settings.final) * decay(rest)

    return factor
