"""The contracts of built objects: Protocols to fit, and the frozen records that zoo and plugins exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch
    from torch import Tensor

    from zoo_core.errors import UnreadableSample

UInt8Image = npt.NDArray[np.uint8]
AffineMap = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureLevel:
    """One level of a feature pyramid: its channels, and the stride in pixels of the input image."""

    channels: int
    stride: int


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The normalisation that a backbone applies inside itself to RGB pixels in 0..1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a dataset.

    ``image``: ``uint8 [H, W, 3]`` RGB. ``label``: index into the dataset's ``classes``.
    ``view``: ``float64 [3, 3]``, still to be applied: maps homogeneous points ``(x, y, 1)`` of the view's unit
    square to the image's unit square (x to the right, y down), so that rotation, flip and half compose with
    every other warp. The identity shows the whole image.
    """

    image: UInt8Image
    label: int
    view: AffineMap = field(default_factory=lambda: np.eye(3))


@runtime_checkable
class Backbone(Protocol):
    """A ``torch.nn.Module`` from pixels to a feature pyramid.

    ``forward`` takes ``images float32 [N, 3, H, W]``, RGB in 0..1, normalises them itself as ``preprocessing``
    says, and returns one ``[N, channels, ceil(H / stride), ceil(W / stride)]`` tensor per feature level.
    Options that only matter for initial weights are named by the ``restoring`` of its manifest; without it, a factory
    parameter called ``pretrained`` is set to ``False`` when zoo restores weights from a checkpoint.
    One that starts from published weights may say so: see ``HasProvenance``.
    """

    feature_levels: tuple[FeatureLevel, ...]
    preprocessing: Preprocessing

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature pyramid of ``images``."""
        ...


@runtime_checkable
class Head(Protocol):
    """A ``torch.nn.Module`` from a feature pyramid to embeddings ``[N, embedding_dim]``, not yet normalised."""

    embedding_dim: int

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the embeddings of what a backbone returned."""
        ...


@runtime_checkable
class Loss(Protocol):
    """A ``torch.nn.Module``: ``embeddings [N, D]`` and ``labels int64 [N]`` to a scalar."""

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch."""
        ...


@runtime_checkable
class Dataset(Protocol):
    """A map-style dataset; the same index gives the same sample in every process.

    ``__getitem__`` raises ``UnreadableSample`` for a sample that is there but broken.
    """

    classes: Sequence[str]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


@runtime_checkable
class StreamingDataset(Protocol):
    """A dataset that can only be read from its beginning: shards, or what outgrows a disk. For training.

    ``length`` is the number of samples of one pass, or ``None`` where it is not known before.
    """

    classes: Sequence[str]
    length: int | None

    def stream(
        self, *, rank: int, world_size: int, worker: int, workers: int, epoch: int, seed: int
    ) -> Iterator[tuple[int, Sample | UnreadableSample]]:
        """Read one pass: ``(index, sample)`` in an order that depends on ``(seed, epoch)`` and on who asks.

        All ``world_size * workers`` readers together get every sample exactly once. ``index`` is the sample's own:
        another epoch or number of readers does not change it. A broken sample comes as its error, not raised.
        """
        ...


@runtime_checkable
class Augmentation(Protocol):
    """Turns a sample into an image that a camera might have captured of it.

    Applies ``sample.view`` too, and returns ``uint8 [H, W, 3]`` RGB at the recipe's ``image_size`` (H, W). All
    randomness comes from ``generator``, which zoo seeds by (seed, pass over the data, index).
    """

    def __call__(self, sample: Sample, generator: np.random.Generator) -> UInt8Image:
        """Augment ``sample``."""
        ...


@runtime_checkable
class Teacher(Protocol):
    """A ``torch.nn.Module`` from pixels to features, whose similarities a student's embeddings follow.

    ``forward`` takes ``images float32 [N, 3, H, W]`` at its ``image_size`` (H, W), RGB in 0..1, normalises them
    itself, and returns ``[N, D]``. It may say where its weights came from: see ``HasProvenance``.
    """

    image_size: tuple[int, int]

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of ``images``."""
        ...


@runtime_checkable
class Metric(Protocol):
    """Measures a model by its embeddings of the validation data, for the document of an evaluation."""

    def __call__(self, embeddings: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Mapping[str, float]:
        """Return figures by name, of ``embeddings [N, D]``, each of unit length, and ``labels [N]``."""
        ...


class TrainedModel(Protocol):
    """What an export wrapper is given: the trained model with its backbone and head."""

    backbone: torch.nn.Module
    head: torch.nn.Module


class ExportWrapper(Protocol):
    """A class whose instance, made from the trained model, is the ``torch.nn.Module`` to export."""

    def __call__(self, model: TrainedModel, **wired: Any) -> torch.nn.Module:  # noqa: ANN401 - wiring differs by wrapper
        """Wrap ``model``."""
        ...
