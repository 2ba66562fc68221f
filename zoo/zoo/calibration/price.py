"""What a promise costs: how many fewer pictures are found again, and how many strangers would make that little."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from zoo.calibration.bounds import least_strangers
from zoo.calibration.search import estimated_threshold

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.calibration.search import Strangers

# A loss of TPIR that more pictures are not worth.
LITTLE = 0.02


@dataclass(frozen=True)
class Price:
    """What a promise costs.

    Attributes:
        tpir_behind: how much more TPIR the best guess has: the threshold that accepts the promised rate of the
            strangers seen, and so accepts too many in half of all calibrations.
        little: a loss that is small.
        classes_for_little: about how many classes of strangers, with as many pictures each, lose no more than that, in
            the mean over calibrations.
    """

    tpir_behind: float
    little: float
    classes_for_little: int


def price(
    strangers: Strangers, tpir: Callable[[float], float], threshold: float, rate: float, confidence: float
) -> Price:
    """Say what the promise of ``rate`` at ``confidence`` costs, and how many strangers make that little.

    No method that holds for all distributions of scores loses less by more than a rank: counting those accepted, the
    sign test, is the uniformly most powerful test of a quantile (Lehmann and Romano, Testing Statistical Hypotheses,
    section 3.8). So what helps is more strangers. The rate that a threshold realises is close to normal, with a
    deviation of w targets that shrinks with the root of their number, and a mean that lies z deviations below the
    target, z being the normal quantile at ``confidence``. Near it TPIR follows the logarithm of the rate, whose mean is
    z w + (1 + z^2) w^2 / 2 below that of the target, to second order.

    Args:
        strangers: those that ``threshold`` comes from.
        tpir: the share of pictures of known classes that are found again, by threshold.
        threshold: the one that keeps the promise.
        rate: the promised rate, 0..1.
        confidence: in 0..1.
    """
    guess, twice, half = (estimated_threshold(strangers, rate * factor) for factor in (1, 2, 1 / 2))
    slope = (tpir(twice) - tpir(half)) / math.log(4)
    z = NormalDist().inv_cdf(confidence)
    bend = (1 + z**2) / 2
    # The w at which the loss is little.
    w = (math.sqrt(z**2 + 4 * bend * LITTLE / slope) - z) / (2 * bend) if slope > 0 else math.inf
    shares = strangers.shares((strangers.scores >= guess).astype(np.float64))
    classes = max(shares.var() / (rate * w) ** 2, least_strangers(rate, confidence)) / strangers.each
    return Price(tpir(guess) - tpir(threshold), LITTLE, math.ceil(classes))
