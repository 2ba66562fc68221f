"""Read shards once each, by any number of readers together, in an order that seed and epoch decide."""

from __future__ import annotations

import json
from io import BytesIO
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from zoo_core.api import ComponentError, Sample, UnreadableSample
from zoo_images.datasets.decoding import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Item = TypeVar("Item")

_ORDER, _BUFFER = range(2)
# At least so many shards are dealt together, if there are as many: among them, one that is shorter tells little.
GROUP = 32
# The index of a sample is its shard's number and, below, its position therein.
_POSITION_BITS = 40
_DIGITS, _SHOWN = 18, 80


class Piece(NamedTuple):
    """What a reader reads of some shards, one after the other: samples whose turn is one from ``first`` to ``last``.

    The ``number``-th sample has turn ``number * stride % turns``: each comes as often, and a reader's evenly spread.
    """

    shards: list[int]
    first: int
    last: int
    turns: int
    stride: int

    def holds(self, number: int) -> bool:
        """Whether the ``number``-th sample of the shards belongs to it."""
        return self.first <= number * self.stride % self.turns < self.last


def deal(shards: int, first: int, last: int, parts: int, *, key: Sequence[int]) -> list[Piece]:
    """Return what parts ``first`` to ``last``, without it, of ``parts`` read, in the order that ``key`` chooses.

    Nobody knows before how long a shard is. Were whole shards dealt, one reader would be through while others still
    have much to show; so the readers of a group of shards all read it and take turns with its samples.
    """
    order = np.random.default_rng(key).permutation(shards)
    pieces, start = [], 0
    for group in np.array_split(order, max(1, shards // GROUP)):
        # On a line of `shards * parts` places each shard holds `parts` of them, and each part `shards`.
        begin, end = start * parts, (start + len(group)) * parts
        low, high = max(begin, first * shards), min(end, last * shards)
        unit = gcd(shards, begin, end)
        if low < high:
            turns = (end - begin) // unit
            pieces.append(Piece(group.tolist(), (low - begin) // unit, (high - begin) // unit, turns, _stride(turns)))
        start += len(group)
    return pieces


def _stride(turns: int) -> int:
    """Return a step that visits all turns, near the golden section, whose multiples lie evenly."""
    stride = max(1, round(turns * 0.618034))
    while gcd(stride, turns) > 1:
        stride += 1
    return stride


def shuffled(
    items: Iterable[Item],
    size: int,
    generator: np.random.Generator,
    *,
    at_once: Callable[[Item], bool] = lambda _: False,
) -> Iterator[Item]:
    """Yield all ``items``, each from a random place of a buffer of ``size``, but some ``at_once``."""
    buffer: list[Item] = []
    for item in items:
        if at_once(item):
            yield item
        elif len(buffer) < size:
            buffer.append(item)
        else:
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
        reader = rank * workers + worker
        return self.stream_slices(reader, reader + 1, world_size * workers, epoch=epoch, seed=seed)

    def stream_slices(
        self, first: int, last: int, slices: int, *, epoch: int, seed: int
    ) -> Iterator[tuple[int, Sample | UnreadableSample]]:
        """Read slices ``first`` to ``last - 1`` of one pass; see ``SliceableStream``."""
        pieces = deal(self._shards, first, last, slices, key=(seed, epoch, _ORDER))
        encoded = (item for piece in pieces for item in self._read(piece))
        generator = np.random.default_rng((seed, epoch, _BUFFER, first, slices))
        for index, item in shuffled(encoded, self._shuffle_buffer, generator, at_once=_is_unreadable):
            yield index, item if isinstance(item, UnreadableSample) else self._decode(item)

    def _read(self, piece: Piece) -> Iterator[tuple[int, Encoded | UnreadableSample]]:
        samples = (
            (shard << _POSITION_BITS | position, item)
            for shard in piece.shards
            for position, item in enumerate(self._open_shard(shard))
        )
        return (sample for number, sample in enumerate(samples) if piece.holds(number))

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


def broken_off(source: str, count: int, error: Exception, *, length: int | None, shards: int) -> UnreadableSample:
    """Tell that one of ``shards`` ends after ``count`` samples: a share of all, where their ``length`` is not known."""
    reason = f"the shard breaks off after {count} samples: {first_line(error)}"
    if length is None:
        return UnreadableSample(source, reason, share=1 / shards)
    return UnreadableSample(source, reason, samples=max(1, length // shards - count))


def first_line(error: BaseException) -> str:
    """Return what an error says, or its name if that is nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _is_unreadable(sample: tuple[int, Encoded | UnreadableSample]) -> bool:
    # Told before it has to wait for its turn in a buffer: who has lost half of the data wants to know now.
    return isinstance(sample[1], UnreadableSample)


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
