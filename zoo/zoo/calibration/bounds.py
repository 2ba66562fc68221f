"""How high a rate may be that was seen on few independent classes; numpy alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable

Floats = npt.NDArray[np.float64]

_SEED = 0
_DRAWS = 10_000
# Random numbers in memory at a time; with very many classes that matter there are fewer draws.
_NUMBERS = 2**25
_LEAST_DRAWS = 2_000


def least_strangers(rate: float, confidence: float) -> int:
    """Return how many independent strangers it takes to promise ``rate`` at all: none of them may then be accepted.

    Args:
        rate: the rate that is promised, in 0..1, ends excluded.
        confidence: how often the promise has to be kept, in 0..1, ends excluded.
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-rate) - 1e-9)


def lowest_rate(strangers: float, confidence: float) -> float:
    """Return the lowest rate that so many independent strangers can promise, when none of them is accepted."""
    return -math.expm1(math.log1p(-confidence) / strangers)


def kept(accepted: int, strangers: int, rate: float, confidence: float) -> bool:
    """Return whether a threshold that accepts ``accepted`` of ``strangers`` keeps ``rate``, exactly (Clopper-Pearson).

    A threshold just above the score of the stranger ranked ``accepted + 1`` has a rate above ``rate`` with the
    probability that so few of them or fewer would be accepted at that rate, which may be 1 - ``confidence`` at most.
    """
    logs = np.array([_log_probability(count, strangers, rate) for count in range(accepted + 1)])
    return bool(np.exp(logs).sum() <= 1 - confidence)


def _log_probability(count: int, strangers: int, rate: float) -> float:
    ways = math.lgamma(strangers + 1) - math.lgamma(count + 1) - math.lgamma(strangers - count + 1)
    return ways + count * math.log(rate) + (strangers - count) * math.log1p(-rate)


class RateBounds:
    """Bounds of the mean share over all classes of a population, from the shares of those that were seen.

    A class' share is the part of its pictures that are accepted, 0..1. The bound is Gaffke's: the quantile of the mean
    under random weights of the classes (Dirichlet), in which one class more, never seen, has the worst share. Where
    each share is 0 or 1 it is that of Clopper and Pearson; where pictures of a class are accepted in part it uses that,
    while classes stay the independent units.

    Args:
        nonzero: how many classes may have a share above 0.
        classes: how many classes there are.
        each: for how many independent ones a class counts: 1, or less where classes depend on each other.
    """

    def __init__(self, nonzero: int, classes: int, *, each: float = 1.0) -> None:
        generator = np.random.default_rng(_SEED)
        draws = max(_LEAST_DRAWS, min(_DRAWS, _NUMBERS // (nonzero + 1)))
        self._seen = generator.standard_gamma(each, (draws, nonzero))
        # 0 pseudo-classes have weight 0: a gamma distribution of shape 0.
        rest = generator.standard_gamma(each * (classes - nonzero), draws)
        self._unseen = generator.standard_exponential(draws)
        self._total = self._seen.sum(axis=1) + rest + self._unseen

    def upper(self, shares: Floats, level: float) -> float:
        """Return what the mean share is not above, at confidence ``level``; ``shares``: ``float [nonzero]``."""
        return float(np.quantile((self._seen @ shares + self._unseen) / self._total, level))

    def lower(self, shares: Floats, level: float) -> float:
        """Return what the mean share is not below, at confidence ``level``."""
        return float(np.quantile(self._seen @ shares / self._total, 1 - level))


def interval(shares: Iterable[float], level: float, *, each: float = 1.0) -> tuple[float, float]:
    """Return between which rates the mean share lies, with probability ``level``; half of the rest on either side.

    Args:
        shares: the share of each class, 0..1.
        level: in 0..1.
        each: for how many independent ones a class counts.
    """
    values = np.fromiter(shares, np.float64)
    # The complement has few classes above 0 where the rate is high.
    turned = values.mean() > 1 / 2
    few = 1 - values if turned else values
    bounds = RateBounds(int(np.count_nonzero(few)), len(values), each=each)
    side = (1 + level) / 2
    low, high = (bound(few[few > 0], side) for bound in (bounds.lower, bounds.upper))
    return (1 - high, 1 - low) if turned else (low, high)
