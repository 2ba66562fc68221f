"""A batch that the device augments in parts, each with what its executor has to know: no step waits for the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from zoo_core.capabilities import PlannedAugmentation

    Arrays = tuple[npt.NDArray[Any], ...]


class Part(NamedTuple):
    """How much of a batch is one part, and what stays on the CPU of its plan.

    ``images`` and ``numbers`` are those of this part; ``side`` is that of its largest image where samples stay on the
    device.
    """

    images: int
    numbers: int
    side: int | None
    counts: tuple[int, ...]


class PlannedBatch(NamedTuple):
    """Stacked arrays ``[N, ...]``, the plans' ``numbers int64 [K]``, and the parts that both are cut into.

    A loader pins the tensors and a trainer sends them to the device; numbers of Python stay where they are.
    """

    arrays: tuple[Tensor, ...]
    numbers: Tensor
    parts: tuple[Part, ...]


class BatchPlanner:
    """Cuts batches into parts and plans them, in the loader's processes.

    Args:
        augmentation: what plans.
        device: where the batches are augmented.
        sides: the longest side of each sample's image, ``int [M]``, where samples stay on the device; the first array
            of a batch is then their indices.
    """

    def __init__(
        self, augmentation: PlannedAugmentation, device: torch.device, sides: npt.NDArray[np.int32] | None = None
    ) -> None:
        self._augmentation = augmentation
        self._device = device
        self._sides = sides

    def __call__(self, arrays: Arrays) -> PlannedBatch:
        """Plan a batch of stacked ``arrays``."""
        at_once = self._augmentation.images_at_once(self._device)
        plans, parts = [], []
        for first in range(0, len(arrays[0]), at_once):
            part = tuple(array[first : first + at_once] for array in arrays)
            seen = part if self._sides is None else (None, *part[1:])
            numbers, counts = self._augmentation.plan(*seen)
            plans.append(numbers)
            parts.append(Part(len(part[0]), len(numbers), self._largest(part), counts))
        return PlannedBatch(tuple(map(torch.from_numpy, arrays)), torch.from_numpy(np.concatenate(plans)), tuple(parts))

    def _largest(self, arrays: Arrays) -> int | None:
        return None if self._sides is None else int(self._sides[arrays[0]].max())


def augment(executor: nn.Module, prepared: PlannedBatch | tuple[Tensor, ...]) -> Any:  # noqa: ANN401 - the executor's
    """Augment a batch on the device: in the parts that were planned, or at once."""
    if not isinstance(prepared, PlannedBatch):
        return executor(*prepared)
    rendered = [executor(*arrays, **options) for arrays, options in _cut(prepared)]
    return rendered[0] if len(rendered) == 1 else torch.cat(rendered)


def _cut(batch: PlannedBatch) -> Iterator[tuple[tuple[Tensor, ...], dict[str, Any]]]:
    image = number = 0
    for part in batch.parts:
        arrays = tuple(array[image : image + part.images] for array in batch.arrays)
        options: dict[str, Any] = {"plan": (batch.numbers[number : number + part.numbers], part.counts)}
        if part.side is not None:
            options["side"] = part.side
        yield arrays, options
        image, number = image + part.images, number + part.numbers
