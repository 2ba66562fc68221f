"""Reading a whole data set once, with all cores, and keeping little of each sample."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from zoo.validation.shown import shown, shown_size
from zoo.workers import loader_processes
from zoo_core.contracts import StreamingDataset
from zoo_core.errors import RunError, UnreadableSample
from zoo_core.near_duplicates import REDUCED_SIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.inspection.data_parts import Part
    from zoo_core.contracts import Sample

_BATCH = 64
_FEW = 512  # below, starting processes takes longer than reading


@dataclass(frozen=True, slots=True)
class Reading:
    """What is kept of a sample: its image's size, a digest of pixels and view, and ``uint8 [32, 32, 3]`` of its view.

    ``aspect`` is width / height of the view. Of one that cannot be read: the file and the reason.
    """

    index: int
    label: int = -1
    width: int = 0
    height: int = 0
    aspect: float = 1.0
    digest: int = 0
    thumb: npt.NDArray[np.uint8] | None = None
    source: str = ""
    reason: str = ""


def read(part: Part) -> Iterator[list[Reading]]:
    """Read every sample of a data set once, in batches."""
    dataset = part.dataset
    items = _Stream(dataset) if isinstance(dataset, StreamingDataset) else _Items(dataset)
    few = part.length is not None and part.length < _FEW
    loader: DataLoader[Any] = DataLoader(
        items, batch_size=_BATCH, num_workers=0 if few else loader_processes("auto"), collate_fn=list
    )
    yield from loader


class _Items(Dataset[Reading]):
    """The readings of a map-style data set."""

    def __init__(self, dataset: Any) -> None:  # noqa: ANN401 - a zoo data set, whose name torch's own takes here
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Reading:
        try:
            return _reading(index, self.dataset[index])
        except RunError as error:
            return _reading(index, error)


class _Stream(IterableDataset[Reading]):
    """The readings of a data set that is read from its beginning, shared among the loader's processes."""

    def __init__(self, dataset: StreamingDataset) -> None:
        self.dataset = dataset

    def __iter__(self) -> Iterator[Reading]:
        me = get_worker_info()
        worker, workers = (me.id, me.num_workers) if me else (0, 1)
        stream = self.dataset.stream(rank=0, world_size=1, worker=worker, workers=workers, epoch=0, seed=0)
        for index, item in stream:
            yield _reading(index, item)


def _reading(index: int, item: Sample | RunError) -> Reading:
    if isinstance(item, UnreadableSample):
        return Reading(index, source=item.source, reason=item.reason)
    if isinstance(item, RunError):
        return Reading(index, source=f"sample {index}", reason=str(item))
    image = np.ascontiguousarray(item.image)
    height, width = image.shape[:2]
    key = blake2b(image.data, digest_size=8)
    key.update(repr((image.shape, item.view.tolist())).encode())
    down, across = shown_size(item)
    digest = int.from_bytes(key.digest(), "little")
    return Reading(index, item.label, width, height, across / down, digest, shown(item, (REDUCED_SIDE, REDUCED_SIDE)))
