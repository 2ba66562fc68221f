"""The lowest threshold that keeps a promised rate of accepted strangers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from zoo.calibration.bounds import RateBounds, kept, least_strangers

if TYPE_CHECKING:
    from zoo.calibration.bounds import Floats
    from zoo.calibration.matches import Integers, Scores

# A score depends on the batch that it is computed in by some 1e-7. Thresholds have as many decimals, to be typed.
_DECIMALS = 6


@dataclass(frozen=True, eq=False)
class Strangers:
    """Pictures of classes that a gallery does not hold, by how well they match it all the same.

    Attributes:
        scores: ``float32 [N]``, the best score of each with the gallery.
        classes: ``int [N]``, the class of each, 0..C-1.
        each: for how many independent strangers a class counts. Pictures of one class are alike, so the class is the
            unit; where classes are strangers to each other, it takes two to match, and one counts half.
    """

    scores: Scores
    classes: Integers
    each: float

    @cached_property
    def pictures(self) -> Integers:
        """How many pictures each class has, ``int64 [C]``."""
        return np.bincount(self.classes).astype(np.int64)

    @property
    def independent(self) -> int:
        """For how many independent strangers they count."""
        return math.floor(len(self.pictures) * self.each)

    def shares(self, accepted: Floats) -> Floats:
        """Return the mean of ``accepted [N]`` (0..1 for each picture) over each class, ``float64 [C]``."""
        return np.bincount(self.classes, weights=accepted) / self.pictures

    def rate(self, threshold: float) -> float:
        """Return the share of strangers that are accepted; each class counts the same."""
        return float(self.shares((self.scores >= threshold).astype(np.float64)).mean())

    def bounds(self, threshold: float, level: float) -> tuple[float, float]:
        """Return what the rate at ``threshold`` is not below, and not above, each at confidence ``level``."""
        shares = self.shares((self.scores >= threshold).astype(np.float64))
        found = shares[shares > 0]
        bounds = RateBounds(len(found), len(shares), each=self.each)
        return bounds.lower(found, level), bounds.upper(found, level)


def lowest_threshold(strangers: Strangers, rate: float, confidence: float) -> float | None:
    """Return the lowest threshold whose rate is at most ``rate`` in a share ``confidence`` of calibrations.

    None where the strangers are too few for that: then not even a threshold above all of them is known to keep it.
    """
    if len(strangers.pictures) * strangers.each < least_strangers(rate, confidence):
        return None
    order = np.argsort(-strangers.scores, kind="stable")
    # More than `rate` of those that were seen are never accepted: the bound is above what was seen.
    most = _accepted_at(strangers, order, rate)
    low, high = 0, most
    holds = _exact(strangers, rate, confidence) or _Bounded(strangers, order[:most], rate, confidence)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return just_above(float(strangers.scores[order[low]]))


def estimated_threshold(strangers: Strangers, rate: float) -> float:
    """Return the lowest threshold that accepts at most ``rate`` of the strangers that were seen: a guess."""
    order = np.argsort(-strangers.scores, kind="stable")
    return just_above(float(strangers.scores[order[_accepted_at(strangers, order, rate)]]))


def just_above(score: float) -> float:
    """Return a threshold that ``score`` does not reach, wherever it is computed, in few decimals."""
    steps = 10**_DECIMALS
    return float(math.ceil(score * steps + 1 / 2) / steps)


def _accepted_at(strangers: Strangers, order: Integers, rate: float) -> int:
    """Return how many of the best pictures make at most ``rate`` of all."""
    each = 1 / strangers.pictures[strangers.classes[order]] / len(strangers.pictures)
    found = int(np.searchsorted(np.cumsum(each), rate * (1 + 1e-9), side="right"))
    # Where all may be accepted, the threshold still lies above the last.
    return min(found, len(order) - 1)


class _Exact:
    def __init__(self, strangers: int, rate: float, confidence: float) -> None:
        self._arguments = strangers, rate, confidence

    def __call__(self, accepted: int) -> bool:
        return kept(accepted, *self._arguments)


def _exact(strangers: Strangers, rate: float, confidence: float) -> _Exact | None:
    """With one picture a class the number accepted is binomial, and the bound needs no random numbers."""
    if strangers.each != 1 or (strangers.pictures != 1).any():
        return None
    return _Exact(len(strangers.pictures), rate, confidence)


class _Bounded:
    """Whether accepting the best pictures, so many, keeps the rate."""

    def __init__(self, strangers: Strangers, best: Integers, rate: float, confidence: float) -> None:
        found, self._columns = np.unique(strangers.classes[best], return_inverse=True)
        self._each = 1 / strangers.pictures[strangers.classes[best]]
        self._bounds = RateBounds(len(found), len(strangers.pictures), each=strangers.each)
        self._size, self._rate, self._confidence = len(found), rate, confidence

    def __call__(self, accepted: int) -> bool:
        columns, each = self._columns[:accepted], self._each[:accepted]
        shares = np.bincount(columns, weights=each, minlength=self._size).astype(np.float64)
        return self._bounds.upper(shares, self._confidence) <= self._rate
