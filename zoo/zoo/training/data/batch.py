"""The batch that a training step gets, and how samples become one."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

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

    Until the device has augmented them, ``images`` may be the stacked arrays that a ``DeviceAugmentation`` prepared.
    ``teacher_features float16 [N, D]`` is there where the recipe distils.
    """

    images: Any
    labels: Tensor
    teacher_features: NotRequired[Tensor]


class Collate:
    """Stacks the views of all samples of a batch, those of one sample side by side."""

    def __init__(self, features: TeacherFeatures | None = None) -> None:
        self._features = features

    def __call__(self, samples: Sequence[Sequence[TrainingItem]]) -> TrainingBatch:
        """Stack ``samples``, each a list of views."""
        images, labels, positions = zip(*chain.from_iterable(samples), strict=True)
        batch: TrainingBatch = {"images": _stack(images), "labels": torch.tensor(labels)}
        if self._features is not None:
            batch["teacher_features"] = self._features[positions]
        return batch


def _stack(images: Sequence[Any]) -> Any:  # noqa: ANN401 - a tensor or a tuple of them
    if isinstance(images[0], tuple):
        return tuple(_stack(arrays) for arrays in zip(*images, strict=True))
    return torch.from_numpy(np.stack(images))
