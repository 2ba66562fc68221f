"""Confidence of figures, and of differences of two models, by a bootstrap over classes.

Images of a class are alike, so that classes are drawn anew, not pairs: in a replicate a class counts as often as it was
drawn, ``w``; its genuine pairs weigh ``w``, pairs of two classes the product of theirs, and the threshold of a target
FPR is found anew. References stay what they are: of rank-1 the queries are weighed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.metrics.embeddings import checked_groups, checked_labels, checked_references, unit_vectors
from zoo.metrics.identification import rank1_queries
from zoo.metrics.pair_sample import genuine_sample, impostor_sample
from zoo.metrics.pairs import SortedImages, run_parts
from zoo.metrics.summary import tpr_key
from zoo.metrics.verification import FPR_TARGETS, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from zoo.metrics.embeddings import Booleans, Floats, Integers, Labels
    from zoo.metrics.verification import Verification

REPLICATES, CONFIDENCE = 1000, 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of all images, and the interval within which it lies at 95 % confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of two models on the same images: ``value`` is the second's less the first's, with its 95 % interval."""

    first: float
    second: float
    value: float
    low: float
    high: float

    @property
    def shows(self) -> bool:
        """Return whether the interval leaves out 0: one model is better."""
        return self.low > 0 or self.high < 0


def intervals(
    embeddings: npt.NDArray[np.floating],
    labels: Labels,
    groups: Labels | None = None,
    *,
    is_reference: Booleans | None = None,
    verification: Verification | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return the figures with their intervals: ``auc``, the rates with enough pairs, and with references ``rank1``.

    Args:
        embeddings: ``float [N, D]``, normalised or not.
        labels: ``int [N]``, the class of each.
        groups: ``int [N]``, the group of each one's class: classes of one group are look-alikes. Default: none are.
        is_reference: ``bool [N]``, the references that ``rank1`` takes.
        verification: what ``verify`` found of the same images, where that is known.
        replicates: how often classes are drawn.
        seed: of what is drawn.

    Raises:
        RunError: as ``verify`` and ``rank1`` do.
    """
    model = _Weighable.of(embeddings, labels, groups, is_reference, verification, seed)
    drawn = model.figures(_multiplicities(model.classes, replicates, seed))
    return {name: Estimate(value, *_interval(drawn[name])) for name, value in model.values.items() if name in drawn}


def paired_difference(
    first: npt.NDArray[np.floating],
    second: npt.NDArray[np.floating],
    labels: Labels,
    groups: Labels | None = None,
    *,
    is_reference: Booleans | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare two models by their embeddings of the same images; classes are drawn for both at once.

    Args:
        first: ``float [N, D]``, normalised or not.
        second: ``float [N, E]``, of the other model.
        labels: as of ``intervals``, as the others.
        groups: the same.
        is_reference: the same.
        replicates: the same.
        seed: the same.

    Returns:
        The difference of each figure that ``intervals`` has.

    Raises:
        RunError: as ``verify`` and ``rank1`` do.
    """
    models = [_Weighable.of(each, labels, groups, is_reference, None, seed) for each in (first, second)]
    multiplicities = _multiplicities(models[0].classes, replicates, seed)
    drawn = [model.figures(multiplicities) for model in models]
    found = {}
    for name in drawn[0]:
        one, other = (model.values[name] for model in models)
        found[name] = Difference(one, other, other - one, *_interval(drawn[1][name] - drawn[0][name]))
    return found


def _multiplicities(classes: int, replicates: int, seed: int) -> Floats:
    """Return how often each class is drawn, ``float64 [replicates, classes]``."""
    random = np.random.default_rng([seed, 0])
    drawn = random.multinomial(classes, np.full(classes, 1 / classes), replicates).astype(np.float64)
    # A replicate of one class has no impostors; of a few classes such ones are drawn.
    kept: Floats = drawn[np.count_nonzero(drawn, axis=1) > 1]
    return kept


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.nanquantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return low, high


@dataclass(frozen=True, eq=False)
class _Weighable:
    """What the figures are made of, by class."""

    images: SortedImages
    found: Verification
    seed: int
    # Queries of each class, and those of them that are right, int64 [2, classes]; None without references.
    queries: Integers | None
    values: dict[str, float]

    @classmethod
    def of(
        cls,
        embeddings: npt.NDArray[np.floating],
        labels: Labels,
        groups: Labels | None,
        is_reference: Booleans | None,
        found: Verification | None,
        seed: int,
    ) -> _Weighable:
        found = found or verify(embeddings, labels, groups)
        unit = unit_vectors(embeddings)
        whole = checked_labels(labels, len(unit))
        values = {tpr_key(target): found.at_fpr(target).tpr for target in FPR_TARGETS if found.has_enough(target)}
        values["auc"] = found.auc
        queries = None
        if is_reference is not None:
            is_reference = checked_references(is_reference, len(unit))
            right = rank1_queries(embeddings, whole, is_reference)
            _, numbers = np.unique(whole, return_inverse=True)
            asked = numbers[~is_reference]
            queries = np.stack([np.bincount(rows, minlength=found.classes) for rows in (asked, asked[right])])
            values["rank1"] = float(right.mean())
        return cls(SortedImages.of(unit, whole, checked_groups(groups, whole)), found, seed, queries, values)

    @property
    def classes(self) -> int:
        return self.found.classes

    def figures(self, multiplicities: Floats) -> dict[str, Floats]:
        """Return the figures of each replicate, ``float64 [replicates]`` by name."""
        targets = [target for target in FPR_TARGETS if self.found.has_enough(target)]
        replicas = _Replicas(self.images, self.found, targets, self.seed)
        found = np.empty((len(multiplicities), len(targets) + 1))

        def weigh(rows: Sequence[int]) -> None:
            for row in rows:
                found[row] = replicas.figures(multiplicities[row])

        run_parts(weigh, range(len(multiplicities)))
        drawn = dict(zip([*map(tpr_key, targets), "auc"], found.T, strict=True))
        if self.queries is not None:
            asked, right = (multiplicities @ counts for counts in self.queries)
            drawn["rank1"] = np.divide(right, asked, out=np.full(len(asked), np.nan), where=asked > 0)
        return drawn


class _Replicas:
    """Weighs the pairs of a sample by how often their classes are drawn."""

    def __init__(self, images: SortedImages, found: Verification, targets: Sequence[float], seed: int) -> None:
        self.targets = np.array(targets)
        self.impostor, self.genuine = impostor_sample(images, found, seed), genuine_sample(images, found, seed)
        # A threshold lies between two cells: pairs of one fall together.
        self.cells, starts = np.unique(self.impostor.cells, return_index=True)
        self.ends = np.append(starts[1:], len(self.impostor.cells))
        # Genuine pairs above each of these cells, and those in it too.
        self.above, self.within = (
            np.searchsorted(self.genuine.cells, self.cells, side=side) for side in ("left", "right")
        )
        self.sizes = np.bincount(images.labels)
        _, first = np.unique(images.labels, return_index=True)
        _, self.group_of = np.unique(images.groups[first], return_inverse=True)

    def figures(self, drawn: Floats) -> Floats:
        """Return the true positive rates at the targets, and the AUC, ``float64 [targets + 1]``; NaN without pairs."""
        pairs, twins = self.impostor, self.genuine
        false = np.append(0.0, np.cumsum(pairs.weights * drawn[pairs.first] * drawn[pairs.second]))[self.ends]
        true = np.append(0.0, np.cumsum(twins.weights * drawn[twins.first]))
        images = drawn * self.sizes
        strangers = (images.sum() ** 2 - (np.bincount(self.group_of, images) ** 2).sum()) / 2
        if not (true[-1] and false[-1]):
            return np.full(len(self.targets) + 1, np.nan)
        # The first cell that has to be refused; where all may be accepted, none has.
        refused = np.searchsorted(false, self.targets * strangers * (1 + 1e-12), side="right")
        accepted = np.append(true[self.above], true[-1])[refused]
        area = np.diff(false, prepend=0.0) @ (true[self.above] + true[self.within]) / 2 / false[-1]
        return np.asarray(np.append(accepted, area) / true[-1])
