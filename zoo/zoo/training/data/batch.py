"""The batch that a training step gets, and how samples become one."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from zoo.training.data.device_parts import BatchPlanner
    from zoo.training.distillation.teacher_features import TeacherFeatures


class TrainingItem(NamedTuple):
    """One augmented view: ``image uint8 [H, W, 3]`` or what a ``DeviceAugmentation`` prepared, and its ``label``.

    ``position`` is that of the sample that was asked for, among those of all data sets.
    """

    image: Any
    label: int
    position: int


class TrainingBatch(TypedDict):
    """Items as tensors: ``images uint8 [N, H, W, 3]`` and ``labels int64 [N]``.

    Until the device has augmented them, ``images`` may be the stacked arrays that a ``DeviceAugmentation`` prepared, or
    the ``PlannedBatch`` of a ``PlannedAugmentation``.
    ``teacher_features float16 [N, D]`` is there where the recipe distils.
    """

    images: Any
    labels: Tensor
    teacher_features: NotRequired[Tensor]


class Collate:
    """Stacks the views of all samples of a batch, those of one sample side by side.

    Args:
        features: of the teacher, where the recipe distils.
        planner: plans the batch for the device that augments it, where the augmentation does that.
    """

    def __init__(self, features: TeacherFeatures | None = None, planner: BatchPlanner | None = None) -> None:
        self._features = features
        self._planner = planner

    def __call__(self, samples: Sequence[Sequence[TrainingItem]]) -> TrainingBatch:
        """Stack ``samples``, each a list of views."""
        images, labels, positions = zip(*chain.from_iterable(samples), strict=True)
        batch: TrainingBatch = {"images": self._together(images), "labels": torch.tensor(labels)}
        if self._features is not None:
            batch["teacher_features"] = self._features[positions]
        return batch

    def _together(self, images: Sequence[Any]) -> Any:  # noqa: ANN401 - a tensor, a tuple of them, or a planned batch
        if not isinstance(images[0], tuple):
            return torch.from_numpy(np.stack(images))
        arrays = tuple(np.stack(each) for each in zip(*images, strict=True))
        return self._planner(arrays) if self._planner else tuple(map(torch.from_numpy, arrays))
