"""Decide on the CPU, in the loader's processes, what the executor would have to read from the device in each batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from zoo_images.capture.packing import FIELDS
from zoo_images.capture.parameters import GAUSSIAN

if TYPE_CHECKING:
    from torch import Tensor

    Indices = npt.NDArray[np.int64]
    Sides = npt.NDArray[np.number]

# Those that are rendered for some images of a batch only, in the order of their indices in a plan.
_EFFECTS = ("neighbour", "finger", "light", "glare", "colour", "blur", "noise", "reduction", "quality")


class BatchPlan(NamedTuple):
    """Which images of a batch each effect changes, which each halving, and how far the widest blur reaches."""

    affected: dict[str, Tensor]
    halved: tuple[Tensor, ...]
    reach: int


def plan_batch(packed: npt.NDArray[np.uint8], sizes: Sides | None) -> tuple[Indices, tuple[int, ...]]:
    """Plan a batch of packed parameters ``[N, P]``, with ``sizes [N, 2]`` where its sources are still to be reduced.

    Return all indices one after the other, and the blur's reach with the number of indices of each list.
    """
    values = np.ascontiguousarray(packed).view(np.float32)
    lists = [np.flatnonzero(values[:, FIELDS[name]].any(axis=1)) for name in _EFFECTS]
    if sizes is not None:
        lists += halvings(sizes, values[:, FIELDS["source"]])
    kind, size, _ = values[:, FIELDS["blur"]].T
    # Without a blur all are zero.
    reaches = np.where(kind == GAUSSIAN, 2.5 * size, size + 0.5)
    return np.concatenate(lists).astype(np.int64), (int(reaches.max()), *map(len, lists))


def halvings(sizes: Sides, wanted: Sides) -> list[Indices]:
    """Return the images that each step halves, from ``sizes [N, 2]`` to ``wanted [N, 2]``, see ``geometry.reduced``."""
    steps, before = [], sizes.astype(np.float32)
    while len(affected := np.flatnonzero((before != wanted).any(axis=1))):
        before[affected] = np.maximum(wanted[affected], np.ceil(before[affected] / 2))
        steps.append(affected)
    return steps


def unpack_plan(indices: Tensor, counts: tuple[int, ...]) -> BatchPlan:
    """Return the plan that ``plan_batch`` made; its indices may be on any device."""
    reach, *lengths = counts
    lists = indices.split(lengths)  # type: ignore[no-untyped-call]
    return BatchPlan(dict(zip(_EFFECTS, lists, strict=False)), lists[len(_EFFECTS) :], reach)
