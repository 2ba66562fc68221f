"""A contact sheet of what a recipe trains or is judged on: some classes, captured, and what they are mistaken for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from zoo.assembly import RecipeBuilder
from zoo.inspection.contact_sheet import Cell, Sheet
from zoo.inspection.data_parts import parts
from zoo.validation.dataset import VALIDATION_STREAM
from zoo.validation.shown import shown, shown_size
from zoo_core.contracts import StreamingDataset
from zoo_core.errors import RunError, UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from zoo.inspection.data_parts import Part, Side
    from zoo.recipes.loading import LoadedRecipe
    from zoo_core.contracts import Augmentation, Dataset, Sample, UInt8Image
    from zoo_core.registry import Registry

PLAIN, CAPTURES = 3, 5
# The random stream of captures of training samples: drawn like training's, but not the same images.
_PREVIEW_STREAM = 5
_POOL = 240  # samples among which the class that looks most alike is looked for
_STREAMED = 2048  # samples that are read of a data set that can only be read from its beginning
_THUMB = 24


@dataclass(frozen=True)
class Preview:
    """A sheet, and how many classes of how many it shows."""

    sheet: Sheet
    shown: int
    classes: int


def preview(loaded: LoadedRecipe, registry: Registry, *, side: Side, augmented: bool, rows: int) -> Preview:
    """Draw a sheet with up to ``rows`` classes of all data sets of one side."""
    found = parts(loaded, registry, (side,))
    builder = RecipeBuilder(loaded, registry)
    data = loaded.recipe.data
    columns = [("as it is", PLAIN + (0 if augmented else CAPTURES))]
    columns += [("captured, as the network sees it", CAPTURES)] if augmented else []
    height, width = data.image_size
    names = ", ".join(dict.fromkeys(f"{part.reference.name} ({len(part.dataset.classes):,} classes)" for part in found))
    captured = f"   captures: {data.augmentation.name} {height}x{width}" if augmented else ""
    sheet = Sheet(f"{loaded.name}: {side}", names + captured, [*columns, ("most alike", 1)])
    artist = _Artist(
        builder.augmentation() if augmented else None,
        [loaded.recipe.seed, VALIDATION_STREAM if side == "valid" else _PREVIEW_STREAM],
        data.image_size,
        columns[0][1],
    )
    for part in found:
        sheet.rows.extend(artist.rows(part, -(-rows // len(found))))
    if not sheet.rows:
        msg = f"{loaded.name}: no sample of {side} could be read"
        raise RunError(msg, hint="zoo data check says why")
    return Preview(sheet, len(sheet.rows), sum(len(part.dataset.classes) for part in found))


def save(sheet: Sheet, path: Path) -> bool:
    """Write the sheet; say whether a file was replaced."""
    replaced = path.exists()
    sheet.save(path)
    return replaced


@dataclass(frozen=True)
class _Artist:
    augmentation: Augmentation | None
    seed: list[int]
    image_size: tuple[int, int]
    plain: int

    def rows(self, part: Part, count: int) -> list[list[Cell]]:
        """Draw a row for each of ``count`` classes spread over the data set."""
        pool = _pool(part, count, self.plain)
        most = max(map(len, pool.values()), default=0)
        # Of neighbours there is one sample each; better a class of which there are several.
        several = [label for label, samples in pool.items() if len(samples) == most]
        chosen = _spread(several if len(several) >= count else list(pool), count)
        alike = _most_alike(pool, chosen)
        drawn = []
        for label in chosen:
            samples = pool[label]
            row = [Cell(_upright(sample)) for _, sample in samples[: self.plain]]
            row += [Cell()] * (self.plain - len(row))
            if self.augmentation is not None:
                row += [Cell(self._capture(*samples[n % len(samples)], n)) for n in range(CAPTURES)]
            other = alike.get(label)
            name = str(part.dataset.classes[label])
            row[0] = Cell(row[0].image, name)
            row.append(Cell() if other is None else Cell(_upright(pool[other][0][1]), str(part.dataset.classes[other])))
            drawn.append(row)
        return drawn

    def _capture(self, index: int, sample: Sample, number: int) -> UInt8Image:
        generator = np.random.default_rng([*self.seed, 1 + number, index])
        assert self.augmentation is not None  # noqa: S101 - asked by the caller
        return self.augmentation(sample, generator)


_Samples = dict[int, list[tuple[int, "Sample"]]]


def _pool(part: Part, count: int, each: int) -> _Samples:
    """Read samples of many classes, ``each`` or fewer of one: ``{label: [(index, sample)]}``."""
    pool: _Samples = {}
    dataset = part.dataset
    items = _streamed(dataset) if isinstance(dataset, StreamingDataset) else _picked(dataset, count, each)
    for index, sample in items:
        kept = pool.setdefault(sample.label, [])
        if len(kept) < each:
            kept.append((index, sample))
    return dict(sorted(pool.items()))


def _streamed(dataset: StreamingDataset) -> Iterator[tuple[int, Sample]]:
    stream = dataset.stream(rank=0, world_size=1, worker=0, workers=1, epoch=0, seed=0)
    for index, item in islice(stream, _STREAMED):
        if not isinstance(item, UnreadableSample):
            yield index, item


def _picked(dataset: Dataset, count: int, each: int) -> Iterator[tuple[int, Sample]]:
    """Read samples of some classes, of their neighbours, and from the whole data set.

    Data sets keep the samples of a class together, so neighbours are found without reading everything.
    """
    length = len(dataset)
    size = max(1, length // len(dataset.classes))
    starts = [number * length // count // size * size for number in range(count)]
    if length <= size * count:
        starts = list(range(0, length, size))
    indices = [start + offset for start in starts for offset in range(min(each, size))]
    indices += [start + step * size for start in starts for step in range(-4, 5)]
    indices += [number * length // _POOL for number in range(_POOL)]
    for index in dict.fromkeys(index for index in indices if 0 <= index < length):
        try:
            yield index, dataset[index]
        except RunError:
            continue


def _spread(labels: list[int], count: int) -> list[int]:
    """Return up to ``count`` of the labels, from first to last."""
    if len(labels) <= count:
        return labels
    return [labels[number * len(labels) // count] for number in range(count)]


def _most_alike(pool: _Samples, chosen: list[int]) -> dict[int, int]:
    """Return for each label of ``chosen`` the other label whose first sample looks most like its first sample."""
    labels = list(pool)
    if len(labels) <= 1:
        return {}
    thumbs = np.stack([_thumb(pool[label][0][1]) for label in labels])
    found = {}
    for label in chosen:
        index = labels.index(label)
        distances = np.abs(thumbs - thumbs[index]).mean((1, 2, 3))
        distances[index] = np.inf
        found[label] = labels[int(distances.argmin())]
    return found


def _thumb(sample: Sample) -> npt.NDArray[np.float32]:
    return shown(sample, (_THUMB, _THUMB)).astype(np.float32)


def _upright(sample: Sample) -> UInt8Image:
    """Show the sample in its view, in the proportions of that view."""
    return shown(sample, shown_size(sample))
