"""Galleries and strangers of known distributions, of which the realised rate is computed, not measured."""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from zoo.calibration.comparison import compare
from zoo.calibration.pictures import Embedded

DIM = 8
# Scores of pictures with their own class.
GENUINE = stats.beta(30, 2)


def embedded(rows, name, pictures=1):
    """Give ``rows`` of unit length labels: ``pictures`` in a row are of one class."""
    labels = tuple(f"{name} {row // pictures}" for row in range(len(rows)))
    return Embedded(labels, (), (), rows.astype(np.float32), 0)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def strangers(generator, classes, pictures, correlation):
    """Compare strangers, each picture of them uniform on the sphere, with references at right angles to each other."""
    own = generator.standard_normal((classes, 1, DIM)) * np.sqrt(correlation)
    each = generator.standard_normal((classes, pictures, DIM)) * np.sqrt(1 - correlation)
    rows = unit((own + each).reshape(-1, DIM))
    return compare(embedded(rows, "other", pictures), embedded(np.eye(DIM), "known")).strangers


def realised(threshold):
    """Return the FPIR at ``threshold``, exactly: caps around the references, which do not meet above 0.71."""
    assert threshold > np.sqrt(1 / 2)
    return DIM / 2 * special.betainc((DIM - 1) / 2, 1 / 2, 1 - threshold**2)


def oracle(rate):
    """Return the threshold whose FPIR is ``rate``."""
    return np.sqrt(1 - special.betaincinv((DIM - 1) / 2, 1 / 2, rate * 2 / DIM))


def lost(rate, target):
    """Return how much TPIR a threshold loses whose FPIR is ``rate``, against the one whose FPIR is ``target``."""
    return GENUINE.sf(oracle(target)) - GENUINE.sf(oracle(rate))


def mean_lost(accepted, count, target):
    """Return the mean loss of the threshold that accepts ``accepted`` of ``count`` strangers alone."""
    rates = stats.beta(accepted + 1, count - accepted)
    return lost(rates.ppf((np.arange(1000) + 0.5) / 1000), target).mean()


def least_lost(count, target, confidence):
    """Return the mean loss of the most powerful test, which is randomised."""
    numbers = stats.binom(count, target)
    accepted = int(numbers.ppf(1 - confidence)) - 1
    spare = (1 - confidence - numbers.cdf(accepted)) / numbers.pmf(accepted + 1)
    return (1 - spare) * mean_lost(accepted, count, target) + spare * mean_lost(accepted + 1, count, target)


def lattice(points):
    """Return ``points`` spread evenly over the sphere of three dimensions, on a Fibonacci spiral."""
    numbers = np.arange(points) + 0.5
    height, angle = 1 - 2 * numbers / points, numbers * np.pi * (1 + np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), height], axis=1).astype(np.float32)
