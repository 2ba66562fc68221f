"""Name the random numbers that decide a design, so that no two decisions share a number by mistake."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

    import numpy as np


@dataclass(frozen=True, slots=True)
class Decisions:
    """Uniform random numbers in 0..1, one for each decision; a subclass has a field for each.

    The order of the fields is the order in the random stream: a new decision goes to the end, so that all others stay
    as they are. A field may be read several times if it is about the same decision.
    """

    @classmethod
    def draw(cls, generator: np.random.Generator) -> Self:
        """Draw all numbers."""
        return cls(*generator.random(len(fields(cls))).tolist())
