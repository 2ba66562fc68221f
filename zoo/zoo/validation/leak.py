"""Whether validation shows what training has seen: class names compared, and a sample of the images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.validation.shown import shown, shown_size
from zoo_core.contracts import StreamingDataset
from zoo_core.errors import RunError
from zoo_core.near_duplicates import REDUCED_SIDE, near_duplicates

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from zoo_core.contracts import Dataset

# Samples that are compared: a few seconds of reading, after which the image cache has them.
TRAIN_COMPARED, VALID_COMPARED = 512, 256
# Names of training classes that are compared, in each data set.
MOST_NAMES = 1_000_000
LISTED = 50


@dataclass(frozen=True)
class Leak:
    """What training and validation have in common.

    Attributes:
        classes: validation classes.
        shared: names of validation classes that training has too.
        train_compared: training samples whose images were compared.
        valid_compared: validation samples whose images were compared.
        alike: pairs of a training and a validation class with a sample that looks the same, the names of both.
    """

    classes: int
    shared: tuple[str, ...]
    train_compared: int
    valid_compared: int
    alike: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.shared or self.alike)

    def __str__(self) -> str:
        """What a person is told, in a line; empty where nothing leaks."""
        found = []
        if self.shared:
            found.append(
                f"{len(self.shared):,} of {self.classes:,} validation classes have the name of a training class "
                f"({_few(self.shared)})"
            )
        if self.alike:
            seen = sorted({valid for _, valid in self.alike})
            found.append(
                f"samples of {len(seen):,} validation classes look like training samples ({_few(seen)}; "
                f"{self.valid_compared:,} samples compared with {self.train_compared:,})"
            )
        return f"validation shows what training sees: {' and '.join(found)}" if found else ""

    def to_json(self) -> dict[str, Any]:
        """Return it for a record: counts, and the first names."""
        counts = {"shared_names": len(self.shared), "alike_classes": len(self.alike)}
        return {**asdict(self), **counts, "shared": self.shared[:LISTED], "alike": self.alike[:LISTED]}


def measure_leak(train: Sequence[Dataset | StreamingDataset], valid: Dataset) -> Leak:
    """Compare all class names, and up to 512 training samples with up to 256 of validation, evenly spread.

    Streams have no samples by number: of them the class names alone are compared.
    """
    readable = [dataset for dataset in train if not isinstance(dataset, StreamingDataset)]
    known = _Samples.of(readable, TRAIN_COMPARED)
    asked = _Samples.of([valid] if readable else [], VALID_COMPARED)
    alike: dict[tuple[str, str], None] = {}
    if known.names and asked.names:
        reductions = np.concatenate([known.reductions, asked.reductions])
        aspects = np.concatenate([known.aspects, asked.aspects])
        for low, high in map(sorted, near_duplicates(reductions, aspects)):
            if low < len(known.names) <= high:
                alike[known.names[low], asked.names[high - len(known.names)]] = None
    return Leak(len(valid.classes), shared_names(train, valid), len(known.names), len(asked.names), tuple(alike))


def shared_names(train: Sequence[Dataset | StreamingDataset], valid: Dataset) -> tuple[str, ...]:
    """Return the names of validation classes that training has too, sorted."""
    names = set(valid.classes)
    return tuple(sorted({name for one in train for name in islice(one.classes, MOST_NAMES) if name in names}))


@dataclass(frozen=True)
class _Samples:
    """Samples as they are compared: class names, ``uint8 [N, 32, 32, 3]``, and width / height ``[N]``."""

    names: list[str]
    reductions: npt.NDArray[np.uint8]
    aspects: npt.NDArray[np.float64]

    @classmethod
    def of(cls, datasets: Sequence[Dataset], most: int) -> _Samples:
        """Read up to ``most`` samples, as many of each data set; those that cannot be read are left out."""
        names, reductions, aspects = [], [], []
        for dataset in datasets:
            count = min(len(dataset), most // len(datasets))
            for index in dict.fromkeys(number * len(dataset) // count for number in range(count)):
                try:
                    sample = dataset[index]
                except RunError:
                    continue
                names.append(dataset.classes[sample.label])
                height, width = shown_size(sample)
                reductions.append(shown(sample, (REDUCED_SIDE, REDUCED_SIDE)))
                aspects.append(width / height)
        shape = (len(names), REDUCED_SIDE, REDUCED_SIDE, 3)
        return cls(names, np.array(reductions, np.uint8).reshape(shape), np.array(aspects, np.float64))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")  # noqa: PLR2004 - three show the pattern
