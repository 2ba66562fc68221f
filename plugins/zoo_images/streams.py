"""Read shards once each, by any number of readers together, in an order that seed and epoch decide."""

from __future__ import annotations

import json
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from zoo_core.api import ComponentError, Sample, UnreadableSample
from zoo_images.decoding import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Item = TypeVar("Item")

_ORDER, _BUFFER = range(2)
# The index of a sample is its shard's number and, below, its position therein.
_POSITION_BITS = 40
_DIGITS, _SHOWN = 18, 80


class Turn(NamedTuple):
    """What a reader reads of a shard: each ``step``-th sample from ``first`` on."""

    shard: int
    first: int
    step: int


def deal(shards: int, *, reader: int, readers: int, key: Sequence[int]) -> list[Turn]:
    """Return which shards ``reader`` of ``readers`` reads, in the order that ``key`` chooses.

    Whole shards as long as they go round; the rest is read by several, who take turns with its samples.
    """
    order = np.random.default_rng(key).permutation(shards).tolist()
    rest = shards % readers
    turns = [Turn(shard, 0, 1) for shard in order[: shards - rest][reader::readers]]
    if rest:
        mine = reader % rest
        turns.append(Turn(order[shards - rest + mine], reader // rest, len(range(mine, readers, rest))))
    return turns


def shuffled(items: Iterable[Item], size: int, generator: np.random.Generator) -> Iterator[Item]:
    """Yield all ``items``, each from a random place of a buffer of ``size``."""
    items = iter(items)
    buffer = list(islice(items, size))
    for item in items:
        place = int(generator.integers(size))
        yield buffer[place]
        buffer[place] = item
    generator.shuffle(buffer)
    yield from buffer


class Encoded(NamedTuple):
    """A sample as it stands in its shard: where that is, the image file's bytes, and its class's name or number."""

    source: str
    image: bytes
    label: str


class ShardReader:
    """What the streaming data sets share: who reads what, shuffling, decoding and the names of classes.

    Args:
        open_shard: opens a shard by number; yields its samples, or why one cannot be read.
        shards: how many there are.
        classes: names, by label.
        max_side: images are reduced to this longest side, in pixels.
        shuffle_buffer: samples, still encoded, among which the next one is chosen.
    """

    def __init__(
        self,
        open_shard: Callable[[int], Iterator[Encoded | UnreadableSample]],
        shards: int,
        classes: Sequence[str],
        *,
        max_side: int,
        shuffle_buffer: int,
    ) -> None:
        self._open_shard = open_shard
        self._shards = shards
        self._label_by_name = {name: label for label, name in enumerate(classes)}
        self._max_side = max_side
        self._shuffle_buffer = shuffle_buffer

    def stream(
        self, *, rank: int, world_size: int, worker: int, workers: int, epoch: int, seed: int
    ) -> Iterator[tuple[int, Sample | UnreadableSample]]:
        """Read one pass as one of ``world_size * workers`` readers; see ``StreamingDataset``."""
        reader, readers = rank * workers + worker, world_size * workers
        turns = deal(self._shards, reader=reader, readers=readers, key=(seed, epoch, _ORDER))
        encoded = (item for turn in turns for item in self._read(turn))
        generator = np.random.default_rng((seed, epoch, _BUFFER, reader))
        for index, item in shuffled(encoded, self._shuffle_buffer, generator):
            yield index, item if isinstance(item, UnreadableSample) else self._decode(item)

    def _read(self, turn: Turn) -> Iterator[tuple[int, Encoded | UnreadableSample]]:
        for position, item in enumerate(self._open_shard(turn.shard)):
            if position % turn.step == turn.first:
                yield turn.shard << _POSITION_BITS | position, item

    def _decode(self, item: Encoded) -> Sample | UnreadableSample:
        label = self._label_by_name.get(item.label)
        # More digits are no number of a class, and at some length Python refuses to read them.
        if label is None and item.label.isdecimal() and len(item.label) <= _DIGITS:
            label = int(item.label) if int(item.label) < len(self._label_by_name) else None
        if label is None:
            name = f"{item.label[:_SHOWN]!r}"
            return UnreadableSample(item.source, f"{name} is none of the {len(self._label_by_name)} classes")
        try:
            return Sample(read_image(BytesIO(item.image), self._max_side, item.source), label)
        except UnreadableSample as error:
            return error


def scanned_classes(shards: Iterable[Iterator[str | UnreadableSample]]) -> tuple[list[str], int]:
    """Read the labels of all ``shards``: the names of the classes, numbers in their order, and how many samples."""
    names: set[str] = set()
    count = 0
    for shard in shards:
        for label in shard:
            count += 1
            if isinstance(label, str):
                names.add(label)
    numbers = all(name.isdecimal() and len(name) <= _DIGITS for name in names)
    return sorted(names, key=lambda name: (int(name) if numbers else 0, name)), count


def listed_classes(file: str) -> list[str]:
    """Read the names of classes, one a line, or a JSON list of them.

    Raises:
        ComponentError: the file is missing, holds nothing, or a name twice.
    """
    path = Path(file).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = json.loads(text) if path.suffix == ".json" else [line.strip() for line in text.splitlines()]
    except (OSError, ValueError) as error:
        msg = f"{path}: the classes cannot be read ({error})"
        raise ComponentError(msg, hint="one name a line, or a JSON list") from error
    while isinstance(names, list) and names and not names[-1]:
        names.pop()
    if not isinstance(names, list) or not names:
        raise ComponentError(f"{path}: no classes", hint="one name a line, or a JSON list")
    first: dict[str, int] = {}
    for line, name in enumerate(map(str, names), 1):
        if not name:
            msg = f"{path}:{line}: no name"
            raise ComponentError(msg, hint="one name a line, or a JSON list")
        if first.setdefault(name, line) != line:
            msg = f"{path}:{line}: {name!r} stands in line {first[name]} already"
            raise ComponentError(msg, hint="each class once, in the order of its labels")
    return list(first)
