"""Open-set identification: registered classes are to be recognised, and strangers to be refused."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.metrics.embeddings import checked_groups, checked_labels, unit_vectors
from zoo.metrics.pairs import run_parts
from zoo.metrics.verification import LEAST_FALSE
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from zoo.metrics.embeddings import Booleans, Floats, Integers, Labels

REGISTERED, REFERENCES, FPIR_TARGETS = (10, 100, 1000), (1, 2, 4), (0.01, 0.05)
RANKS = (1, 5)
# Cosines of float32 that differ by less are equal but for rounding.
_TIE = 1e-6
_BLOCK_SCORES = 2**22


@dataclass(frozen=True, slots=True)
class Spread:
    """The mean over random galleries, and their standard deviation (0 with one gallery)."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float] | Floats) -> Spread:
        """Summarise one value per gallery."""
        found = np.asarray(values, np.float64)
        return cls(float(found.mean()), float(found.std(ddof=1)) if found.size > 1 else 0.0)


@dataclass(frozen=True, slots=True)
class OpenSet:
    """Identification against random galleries of one size.

    Attributes:
        registered: classes in a gallery.
        references: images of each class in it.
        galleries: how many were drawn.
        queries: images of registered classes that are no references, on average.
        strangers: images of other classes, on average; those of look-alikes of a registered class are left out.
        left_out: images of look-alikes of a registered class, on average.
        tpir: by target FPIR, the share of queries that are accepted as their own class, at the lowest threshold at
            which the share of accepted strangers is not above the target; None with too few strangers: fewer than
            ``1 / target`` in a gallery, or than ``10 / target`` over all of them.
        threshold: by target FPIR, that threshold, -1..1; None with too few strangers.
        ranks: by ``k``, the share of queries whose class is among the ``k`` closest ones, without a threshold.
    """

    registered: int
    references: int
    galleries: int
    queries: float
    strangers: float
    left_out: float
    tpir: dict[float, Spread | None]
    threshold: dict[float, Spread | None]
    ranks: dict[int, Spread]


@dataclass(frozen=True, eq=False)
class _Trial:
    """Of one gallery: the best class's score of each stranger, and of each query score, place and rightness."""

    strangers: Floats
    queries: Floats
    ahead: Integers
    left_out: int


def open_set(
    embeddings: npt.NDArray[np.floating],
    labels: Labels,
    groups: Labels | None = None,
    *,
    registered: Sequence[int] = REGISTERED,
    references: Sequence[int] = REFERENCES,
    galleries: int = 10,
    seed: int = 0,
) -> tuple[OpenSet, ...]:
    """Draw galleries and identify all other images against them, by the closest reference.

    A query is right only if its own class scores strictly higher than every other registered one. Galleries depend on
    ``seed`` alone. Sizes that the data cannot hold are left out: a class is registered only if an image remains as a
    query, and at least one class remains a stranger.

    Args:
        embeddings: ``float [N, D]``, normalised or not.
        labels: ``int [N]``, the class of each.
        groups: ``int [N]``, the group of each one's class: classes of one group are look-alikes. Default: none are.
        registered: how many classes a gallery has.
        references: how many images of each.
        galleries: how many galleries of each size.
        seed: of the galleries.

    Raises:
        RunError: an embedding is not finite or zero.
    """
    unit = unit_vectors(embeddings).astype(np.float32)
    labels = checked_labels(labels, len(unit))
    groups = checked_groups(groups, labels)
    found = []
    for each in references:
        names, sizes = np.unique(labels, return_counts=True)
        eligible = names[sizes > each]
        held = [count for count in sorted(registered) if count <= len(eligible) and count < len(names)]
        if not held:
            continue

        def draw(
            numbers: Sequence[int], each: int = each, eligible: Integers = eligible, held: Sequence[int] = held
        ) -> list[list[_Trial]]:
            return [
                _trials(unit, labels, groups, eligible, held, each, np.random.default_rng([seed, each, number]))
                for number in numbers
            ]

        drawn = [trials for part in run_parts(draw, range(galleries)) for trials in part]
        for place, count in enumerate(held):
            found.append(_summarize([trials[place] for trials in drawn], count, each))
    return tuple(sorted(found, key=lambda one: (one.registered, one.references)))


def fpir_at(
    threshold: float,
    embeddings: npt.NDArray[np.floating],
    labels: Labels,
    groups: Labels | None = None,
    *,
    gallery_sizes: Sequence[int] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
) -> dict[int, float | None]:
    """Return the expected share of strangers that a gallery accepts at ``threshold``, by its number of references.

    Each image is a stranger to all galleries of images of other classes that are no look-alikes of its own. The mean is
    over all such galleries: nothing is drawn. It is None where some image has fewer such others than references.

    Args:
        threshold: scores from here on are accepted, -1..1.
        embeddings: ``float [N, D]``, normalised or not.
        labels: ``int [N]``, the class of each.
        groups: ``int [N]``, the group of each one's class. Default: none are look-alikes.
        gallery_sizes: numbers of references.

    Raises:
        RunError: an embedding is not finite or zero.
    """
    unit = unit_vectors(embeddings).astype(np.float32)
    groups = checked_groups(groups, checked_labels(labels, len(unit)))
    # Those of a group together, so that most columns of a block need no look at their groups.
    order = np.argsort(groups, kind="stable")
    unit, groups = unit[order], groups[order]
    rows = max(1, _BLOCK_SCORES // len(unit))

    def count(starts: Sequence[int]) -> list[tuple[int, Integers]]:
        counted = []
        for start in starts:
            accepted = unit[start : start + rows] @ unit.T >= threshold
            own = groups[start : start + rows]
            near = slice(*np.searchsorted(groups, own[[0, -1]] + [0, 1]))
            accepted[:, near] &= own[:, None] != groups[near]
            counted.append((start, np.count_nonzero(accepted, axis=1)))
        return counted

    parts = run_parts(count, range(0, len(unit), rows))
    accepting = np.concatenate([found for _, found in sorted((one for part in parts for one in part), key=_start)])
    _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    others = len(unit) - sizes[numbers]
    cases, weights = np.unique(np.stack([others, accepting]), axis=1, return_counts=True)
    return {
        size: None
        if size > others.min()
        else float(np.average([1 - _misses(int(all_of), int(hits), size) for all_of, hits in cases.T], weights=weights))
        for size in gallery_sizes
    }


def _start(counted: tuple[int, Integers]) -> int:
    return counted[0]


def _misses(others: int, accepting: int, size: int) -> float:
    """Return the probability that none of ``size`` references out of ``others`` is one of those ``accepting``."""
    left = others - accepting
    if size > left:
        return 0.0
    return math.exp(
        math.lgamma(left + 1) - math.lgamma(left - size + 1) - math.lgamma(others + 1) + math.lgamma(others - size + 1)
    )


def _trials(
    unit: npt.NDArray[np.float32],
    labels: Integers,
    groups: Integers,
    eligible: Integers,
    held: Sequence[int],
    each: int,
    random: np.random.Generator,
) -> list[_Trial]:
    """Draw one gallery of the largest size; the smaller ones are its first classes."""
    chosen = random.permutation(eligible)[: held[-1]]
    # Images in random order, then by class: the first of each class are its references.
    shuffled = random.permutation(len(labels))
    ordered = shuffled[np.argsort(labels[shuffled], kind="stable")]
    starts = np.searchsorted(labels[ordered], chosen)
    gallery = ordered[starts[:, None] + np.arange(each)]
    queries = np.setdiff1d(np.arange(len(labels)), gallery)
    best, own, ahead = _closest(unit, queries, unit[gallery.T.ravel()], each, _places(labels[queries], chosen), held)
    trials = []
    for size, best_of, ahead_of in zip(held, best, ahead, strict=True):
        known = np.isin(labels[queries], chosen[:size])
        alike = np.isin(groups[queries], groups[gallery[:size, 0]]) & ~known
        # Images that are references of a larger gallery alone are nobody's queries here.
        trials.append(_Trial(best_of[~known & ~alike], own[known], ahead_of[known], int(alike.sum())))
    return trials


def _places(labels: Integers, chosen: Integers) -> Integers:
    """Return where the class of each image is among ``chosen``, or -1."""
    order = np.argsort(chosen)
    near = np.minimum(np.searchsorted(chosen[order], labels), len(chosen) - 1)
    return np.where(chosen[order][near] == labels, order[near], -1)


def _closest(
    unit: npt.NDArray[np.float32],
    queries: Integers,
    gallery: npt.NDArray[np.float32],
    each: int,
    places: Integers,
    held: Sequence[int],
) -> tuple[Floats, Floats, Integers]:
    """Score queries against the classes of a gallery, for each number of them that counts.

    Returns:
        The best score among the first classes, ``float64 [sizes, Q]``; that of the own class, ``float64 [Q]``, which
        means nothing where it is not in the gallery; how many others score as high, ``int64 [sizes, Q]``.
    """
    best, ahead = np.empty((len(held), len(queries))), np.empty((len(held), len(queries)), np.int64)
    own = np.empty(len(queries))
    rows = max(1, _BLOCK_SCORES // len(gallery))
    for start in range(0, len(queries), rows):
        block = slice(start, start + rows)
        scores = unit[queries[block]] @ gallery.T
        # The first references of all classes come first, then their second ones.
        scores = functools.reduce(np.maximum, np.split(scores, each, axis=1))
        own[block] = mine = scores[np.arange(len(scores)), places[block]]
        for number, size in enumerate(held):
            first = scores[:, :size]
            best[number, block] = first.max(axis=1)
            others = np.count_nonzero(first >= mine[:, None] - np.float32(_TIE), axis=1)
            ahead[number, block] = others - 1
    return best, own, ahead


def _summarize(trials: Sequence[_Trial], registered: int, references: int) -> OpenSet:
    counts = [len(trial.strangers) for trial in trials]
    tpir: dict[float, Spread | None] = {}
    threshold: dict[float, Spread | None] = {}
    for target in FPIR_TARGETS:
        tpir[target] = threshold[target] = None
        if min(counts) * target >= 1 - 1e-9 and sum(counts) * target >= LEAST_FALSE - 1e-9:
            limits = [lowest_threshold(trial.strangers, target) for trial in trials]
            threshold[target] = Spread.of(limits)
            tpir[target] = Spread.of(
                [_right(trial, trial.queries >= limit) for trial, limit in zip(trials, limits, strict=True)]
            )
    return OpenSet(
        registered=registered,
        references=references,
        galleries=len(trials),
        queries=float(np.mean([len(trial.queries) for trial in trials])),
        strangers=float(np.mean(counts)),
        left_out=float(np.mean([trial.left_out for trial in trials])),
        tpir=tpir,
        threshold=threshold,
        ranks={rank: Spread.of([float((trial.ahead < rank).mean()) for trial in trials]) for rank in RANKS},
    )


def _right(trial: _Trial, accepted: Booleans) -> float:
    return float((accepted & (trial.ahead == 0)).mean())


def lowest_threshold(strangers: npt.NDArray[np.floating], fpir: float) -> float:
    """Return the lowest threshold at which the share of accepted strangers is not above ``fpir``.

    It is the next number above the first score that must be refused, so that ties are refused together.

    Args:
        strangers: ``float [S]``, the best score of each, in any order.
        fpir: the share that may be accepted, 0..1.

    Raises:
        RunError: there are no strangers.
    """
    if not len(strangers):
        raise RunError("a threshold at a false positive identification rate needs strangers, but there are none")
    allowed = int(len(strangers) * fpir * (1 + 1e-12))
    if allowed >= len(strangers):
        return float(np.min(strangers))
    refused = np.partition(strangers, len(strangers) - 1 - allowed)[len(strangers) - 1 - allowed]
    return float(np.nextafter(np.float64(refused), np.inf))
