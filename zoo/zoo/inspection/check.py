"""Read the data sets of a recipe once, and report what a training would meet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from zoo.inspection.data_parts import parts
from zoo.inspection.reading import read
from zoo.validation.leak import LISTED, Leak, shared_names
from zoo.validation.left_out import LeftOut
from zoo_core.near_duplicates import near_duplicates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from zoo.inspection.data_parts import Part
    from zoo.inspection.reading import Reading
    from zoo.recipes.loading import LoadedRecipe
    from zoo_core.contracts import Dataset
    from zoo_core.registry import Registry

    # Wraps (batches, name of the part, number of its samples or None) to show progress.
    Advance = Callable[[Iterable[list[Reading]], str, int | None], Iterable[list[Reading]]]

# Near duplicates are looked for among the first few samples of each class, and so many samples in all.
PER_CLASS = 4
MOST_COMPARED = 20_000


@dataclass
class _Seen:
    """What was read of one data set."""

    part: Part
    labels: list[int] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    digests: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    unreadable: Counter[tuple[str, str]] = field(default_factory=Counter)
    compared: list[int] = field(default_factory=list)
    thumbs: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    aspects: list[float] = field(default_factory=list)
    per_class: Counter[int] = field(default_factory=Counter)

    def add(self, reading: Reading, *, room: int) -> None:
        """Take a sample; keep its thumb if its class has few and there is ``room``."""
        if reading.thumb is None:
            self.unreadable[reading.source, reading.reason] += 1
            return
        if self.per_class[reading.label] < PER_CLASS and len(self.thumbs) < room:
            self.compared.append(len(self.labels))
            self.thumbs.append(reading.thumb)
            self.aspects.append(reading.aspect)
        self.per_class[reading.label] += 1
        self.labels.append(reading.label)
        self.indices.append(reading.index)
        self.digests.append(reading.digest)
        self.sizes.append((reading.width, reading.height))

    def describe(self, position: int) -> dict[str, Any]:
        """Return part, index and class of the sample that was read at ``position``."""
        name = self.part.dataset.classes[self.labels[position]]
        return {"part": self.part.name, "index": self.indices[position], "class": name}


@dataclass(frozen=True)
class Report:
    """The document that is printed as JSON, the parts, from which sheets can be drawn, and what a person is told."""

    document: dict[str, Any]
    parts: list[Part]
    left_out: list[LeftOut]
    leak: Leak


def check(loaded: LoadedRecipe, registry: Registry, *, advance: Advance) -> Report:
    """Read all data sets of a recipe; ``advance`` may show progress."""
    found = parts(loaded, registry, ("train", "valid"))
    seen = []
    for part in found:
        one = _Seen(part)
        for batch in advance(read(part), part.name, part.length):
            for reading in batch:
                one.add(reading, room=MOST_COMPARED // len(found))
        seen.append(one)
    # Leaks first.
    pairs = sorted({**_near(seen), **_exact(seen)}.values(), key=lambda pair: not _leaks(pair))
    leak = _leak(seen, pairs)
    left_out = [LeftOut.of(part.name, part.dataset) for part in found]
    share = loaded.recipe.data.unreadable_share
    document = {
        "recipe": loaded.name,
        "ok": not (leak or any(one.unreadable for one in seen) or any(one.is_much(share) for one in left_out)),
        "parts": [_summary(one, left) for one, left in zip(seen, left_out, strict=True)],
        "shared_classes": {"count": len(leak.shared), "listed": leak.shared[:LISTED]},
        "duplicates": {
            "pairs": len(pairs),
            "leaks": sum(map(_leaks, pairs)),
            "compared": sum(len(one.thumbs) for one in seen),
            "listed": pairs[:LISTED],
        },
    }
    return Report(document, found, left_out, leak)


def _summary(seen: _Seen, left_out: LeftOut) -> dict[str, Any]:
    classes = len(seen.part.dataset.classes)
    counts = np.zeros(classes, np.int64)
    for label, count in seen.per_class.items():
        counts[label] = count
    sizes = np.array(seen.sizes or [(0, 0)])
    groups = _same_digests(np.array(seen.digests, np.uint64))
    return {
        "part": seen.part.name,
        "name": seen.part.reference.name,
        "options": seen.part.reference.options,
        "samples": len(seen.labels) + seen.unreadable.total(),
        "classes": classes,
        "empty_classes": int((counts == 0).sum()),
        "empty_classes_listed": [seen.part.dataset.classes[label] for label in np.flatnonzero(counts == 0)[:LISTED]],
        "left_out": {
            kind: {"count": len(skipped), "listed": [[one.source, one.reason] for one in skipped[:LISTED]]}
            for kind, skipped in (("classes", left_out.classes), ("files", left_out.files), ("notes", left_out.notes))
        },
        "samples_per_class": _spread(counts),
        "width": _spread(sizes[:, 0]),
        "height": _spread(sizes[:, 1]),
        "unreadable": [
            {"source": source, "reason": reason, "samples": samples}
            for (source, reason), samples in sorted(seen.unreadable.items())
        ],
        "repeated_samples": sum(len(group) - 1 for group in groups),
    }


def _spread(values: npt.NDArray[np.int64]) -> dict[str, float]:
    if not len(values):
        return {"min": 0, "median": 0, "max": 0}
    return {"min": int(values.min()), "median": float(np.median(values)), "max": int(values.max())}


# Two classes, each as its data set and its label.
_Classes = tuple[tuple[int, int], tuple[int, int]]


def _exact(seen: list[_Seen]) -> dict[_Classes, dict[str, Any]]:
    """Find samples of different classes that are the same to the bit: one pair for each class and the first like it."""
    digests = np.array([digest for one in seen for digest in one.digests], np.uint64)
    owners = [(number, position) for number, one in enumerate(seen) for position in range(len(one.labels))]
    pairs = {}
    for group in _same_digests(digests):
        # One sample of each class will do.
        classes: dict[tuple[int, int], int] = {}
        for number, position in (owners[index] for index in group):
            classes.setdefault((number, seen[number].labels[position]), position)
        (first, position), *others = classes.items()
        for other, other_position in others:
            pairs[first, other] = _pair(
                "exact", seen[first[0]].describe(position), seen[other[0]].describe(other_position)
            )
    return pairs


def _near(seen: list[_Seen]) -> dict[_Classes, dict[str, Any]]:
    """Find samples of different classes that look the same: one pair for each two classes."""
    owners = [(number, position) for number, one in enumerate(seen) for position in one.compared]
    if not owners:
        return {}
    thumbs = np.stack([thumb for one in seen for thumb in one.thumbs])
    aspects = np.array([aspect for one in seen for aspect in one.aspects])
    pairs: dict[_Classes, dict[str, Any]] = {}
    for low, high in map(sorted, near_duplicates(thumbs, aspects)):
        (number, position), (other, other_position) = owners[low], owners[high]
        classes = ((number, seen[number].labels[position]), (other, seen[other].labels[other_position]))
        if classes[0] != classes[1]:
            pair = _pair("near", seen[number].describe(position), seen[other].describe(other_position))
            pairs.setdefault(classes, pair)
    return pairs


def _pair(kind: str, first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "first": first, "second": second}


def _leak(seen: list[_Seen], pairs: list[dict[str, Any]]) -> Leak:
    """Return what the last data set, the validation's, has in common with the others."""
    *train, valid = seen
    shown = cast("Dataset", valid.part.dataset)
    alike: dict[tuple[str, str], None] = {}
    for pair in filter(_leaks, pairs):
        ends = sorted((pair["first"], pair["second"]), key=lambda end: end["part"] == valid.part.name)
        alike[ends[0]["class"], ends[1]["class"]] = None
    compared = sum(len(one.thumbs) for one in train)
    shared = shared_names([one.part.dataset for one in train], shown)
    return Leak(len(shown.classes), shared, compared, len(valid.thumbs), tuple(alike))


def _leaks(pair: dict[str, Any]) -> bool:
    """Return whether validation shows what training has seen."""
    first, second = pair["first"]["part"], pair["second"]["part"]
    return bool((first == "valid") != (second == "valid"))


def _same_digests(digests: npt.NDArray[np.uint64]) -> list[npt.NDArray[np.intp]]:
    """Return the groups, of two or more, of positions where ``digests [N]`` are equal."""
    order = np.argsort(digests, kind="stable")
    ends = np.flatnonzero(np.diff(digests[order])) + 1
    return [group for group in np.split(order, ends) if len(group) > 1]
