"""Recipe and registry to model, loss and data: what training, evaluation and export have in common."""

from __future__ import annotations

import inspect
import os
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from zoo import preprocessing
from zoo.skipping import Skipped
from zoo_core.building import build
from zoo_core.contracts import DeviceAugmentation
from zoo_core.errors import Problem, RecipeError, RunError, UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor

    from zoo.recipe import ComponentReference
    from zoo.recipes import LoadedRecipe
    from zoo_core.components import Kind
    from zoo_core.contracts import AffineMap, Augmentation, Sample, UInt8Image
    from zoo_core.contracts import Dataset as ZooDataset
    from zoo_core.registry import Component, Registry

# Keeps the chance of validation captures apart from that of training, whatever the recipe's seed.
VALIDATION_STREAM = 1
# The label of a validation sample that cannot be read.
LEFT_OUT = -1


class EmbeddingModel(nn.Module):
    """Backbone and head: ``images float32 [N, 3, H, W]`` in 0..1 to embeddings ``[N, D]``, not yet normalised."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    @property
    def embedding_dim(self) -> int:
        """Length D of an embedding."""
        return cast("int", self.head.embedding_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Embed ``images``."""
        return cast("Tensor", self.head(self.backbone(images)))


class RecipeBuilder:
    """Builds what a recipe names, and blames the recipe's own lines for what does not fit."""

    def __init__(self, loaded: LoadedRecipe, registry: Registry) -> None:
        self.loaded = loaded
        self.recipe = loaded.recipe
        self.registry = registry

    def component(self, kind: Kind, path: tuple[str | int, ...], **wired: object) -> Any:  # noqa: ANN401 - kind decides
        """Build the component that stands at ``path`` of the recipe.

        Raises:
            RecipeError: its options do not fit.
            ComponentError: it is not available.
        """
        return self._build(kind, self.loaded.reference(path), path, wired)

    def _build(
        self,
        kind: Kind,
        reference: ComponentReference,
        path: tuple[str | int, ...],
        wired: dict[str, object],
    ) -> Any:  # noqa: ANN401 - kind decides
        def locate(below: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - Location or None
            return self.loaded.document.locate((*path, *below))

        return build(self.registry, kind, reference.name, reference.options, wired=wired, locate=locate)

    def components(self) -> list[Component]:
        """Return all components that the recipe names.

        Raises:
            ComponentError: one is not available.
        """
        return self.loaded.components(self.registry)

    def model(self, *, initial_weights: bool) -> EmbeddingModel:
        """Build backbone and head; without ``initial_weights`` nothing is looked up or downloaded for them."""
        section = self.recipe.model.backbone
        if not initial_weights:
            factory = self.registry.load(self.registry.find("backbone", section.name))
            if "pretrained" in inspect.signature(factory).parameters:
                section = section.model_copy(update={"options": {**section.options, "pretrained": False}})
        size = self.recipe.data.image_size
        backbone = self._build("backbone", section, ("model", "backbone"), {"image_size": size})
        head = self.component("head", ("model", "head"), feature_levels=backbone.feature_levels, image_size=size)
        return EmbeddingModel(backbone, head)

    def loss(self, *, embedding_dim: int, classes: Sequence[str]) -> nn.Module:
        """Build the loss for a model and a data set."""
        wired = {"num_classes": len(classes), "classes": classes, "seed": self.recipe.seed}
        return cast("nn.Module", self.component("loss", ("model", "loss"), embedding_dim=embedding_dim, **wired))

    def dataset(self, *below: str | int) -> ZooDataset:
        """Build the data set that stands ``below`` the section ``data``."""
        dataset = self.component("dataset", ("data", *below), seed=self.recipe.seed)
        if hasattr(dataset, "stream"):
            if below[0] == "valid":
                hint = "validate on a data set with samples by number, such as images/folder"
                where = self.loaded.document.locate(("data", *below))
                raise RecipeError([Problem("a stream can only be trained on", where, hint)])
        elif len(dataset) == 0:
            raise RecipeError([Problem("the data set is empty", self.loaded.document.locate(("data", *below)))])
        return cast("ZooDataset", dataset)

    def training_sources(self) -> list[Source]:
        """Build the data sets to train on, each with its share."""
        also = self.recipe.data.train_also
        first = Source(self.dataset("train"), 1 - sum(one.share for one in also))
        return [first, *(Source(self.dataset("train_also", index), one.share) for index, one in enumerate(also))]

    def augmentation(self) -> Augmentation:
        """Build the augmentation."""
        size = self.recipe.data.image_size
        return cast("Augmentation", self.component("augmentation", ("data", "augmentation"), image_size=size))

    def device_augmentation(self) -> DeviceAugmentation:
        """Build the augmentation for pictures taken on the device.

        Raises:
            RecipeError: it can only take them in the loader.
        """
        augmentation = self.augmentation()
        if not isinstance(augmentation, DeviceAugmentation):
            message = f"{self.recipe.data.augmentation.name} has no executor for the device"
            place = self.loaded.document.locate(("data", "augment_on"))
            raise RecipeError([Problem(message, place, "augment_on: loader works with every augmentation")])
        return augmentation

    def validation_items(self) -> ValidationItems:
        """Build the validation set: every sample plain, then its captures."""
        data = self.recipe.data
        return ValidationItems(
            dataset=self.dataset("valid"),
            augmentation=self.augmentation() if data.valid_captures else None,
            captures=data.valid_captures,
            image_size=data.image_size,
            seed=self.recipe.seed,
        )


@dataclass(frozen=True, slots=True)
class Source:
    """A data set to train on, and its share 0..1 of the samples shown."""

    dataset: ZooDataset
    share: float


def plain_view(sample: Sample, image_size: tuple[int, int]) -> UInt8Image:
    """Show a sample as ``zoo predict`` would: its view, resized, and nothing else. ``uint8 [H, W, 3]``."""
    image = sample.image
    if not np.array_equal(sample.view, np.eye(3)):
        image = _apply_view(image, sample.view)
    return preprocessing.fit(image, image_size)


def _apply_view(image: UInt8Image, view: AffineMap) -> UInt8Image:
    height, width = image.shape[:2]
    to_pixels = np.diag([width, height, 1.0]) @ view
    # As many pixels as the view covers in the image, so that nothing is lost before the resize.
    view_width, view_height = (max(1, round(float(np.hypot(*to_pixels[:2, axis])))) for axis in (0, 1))
    coefficients = to_pixels @ np.diag([1 / view_width, 1 / view_height, 1.0])
    picture = Image.fromarray(image).transform(
        (view_width, view_height),
        Image.Transform.AFFINE,
        data=tuple(coefficients[:2].ravel()),
        resample=Image.Resampling.BILINEAR,
    )
    return np.asarray(picture)


class ValidationItems(Dataset[tuple["UInt8Image", int, bool, int]]):
    """All samples plain, then ``captures`` augmented pictures of each.

    An item is ``(image uint8 [H, W, 3], label, plain, index)``; captures depend on the seed and the index alone.
    What cannot be read has the label -1, and is left out of what is embedded.
    """

    def __init__(
        self,
        dataset: ZooDataset,
        augmentation: Augmentation | None,
        captures: int,
        image_size: tuple[int, int],
        seed: int,
    ) -> None:
        self.dataset = dataset
        self.augmentation = augmentation
        self.captures = captures
        self.image_size = image_size
        self.seed = seed
        self.skipped = Skipped()

    def __len__(self) -> int:
        return len(self.dataset) * (1 + self.captures)

    def __getitem__(self, index: int) -> tuple[UInt8Image, int, bool, int]:
        capture, position = divmod(index, len(self.dataset))
        try:
            sample = self.dataset[position]
        except UnreadableSample as error:
            self.skipped.note("valid", error, len(self.dataset))
            return np.zeros((*self.image_size, 3), np.uint8), LEFT_OUT, False, index
        if capture == 0 or self.augmentation is None:
            return plain_view(sample, self.image_size), sample.label, True, index
        generator = np.random.default_rng([self.seed, VALIDATION_STREAM, capture, position])
        return self.augmentation(sample, generator), sample.label, False, index


def collate(items: list[tuple[Any, ...]]) -> tuple[Tensor, ...]:
    """Stack items: the images as ``uint8 [N, H, W, 3]``, everything else as ``[N]``.

    What a ``DeviceAugmentation`` prepared in an image's place, a tuple of arrays, becomes a tuple of their stacks.
    """
    images, *others = zip(*items, strict=True)
    return (_stack(images), *(torch.tensor(other) for other in others))


def _stack(images: Sequence[Any]) -> Any:  # noqa: ANN401 - a tensor or a tuple of them
    if isinstance(images[0], tuple):
        return tuple(_stack(arrays) for arrays in zip(*images, strict=True))
    return torch.from_numpy(np.stack(images))


def loader_processes(wish: int | str, *, devices: int = 1, on_cpu: bool = False) -> int:
    """How many loader processes a device gets: the recipe's number, or its share of the cores, at most 16.

    Where the cores train too, half of them: measured on two, 264 images/s with one process and 242 with two.
    """
    if isinstance(wish, int):
        return wish
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(16, cores // (devices * (2 if on_cpu else 1))))


def to_pixels(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """``uint8 [N, H, W, 3]`` to ``[N, 3, H, W]`` in 0..1, channels_last in memory without a copy."""
    return images.permute(0, 3, 1, 2).to(dtype) / 255


@dataclass(frozen=True)
class EmbeddedImages:
    """Embeddings of a validation set: ``float32 [N, D]`` of unit length, ``int64 [N]`` and ``bool [N]``.

    ``is_reference`` marks the first plain image of each class, against which the others are identified. ``items``:
    ``int64 [N]``, where each stands in the validation set.
    """

    embeddings: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    is_reference: npt.NDArray[np.bool_]
    items: npt.NDArray[np.int64]

    @classmethod
    def of(cls, embeddings: Tensor, labels: Tensor, plain: Tensor, index: Tensor) -> EmbeddedImages:
        """Bring gathered rows into the order of the data set, each once, and mark the references."""
        items, rows = np.unique(index.cpu().numpy(), return_index=True)
        readable = labels.cpu().numpy()[rows] != LEFT_OUT
        items, rows = items[readable], rows[readable]
        ordered_labels = labels.cpu().numpy()[rows].astype(np.int64)
        plain_rows = np.flatnonzero(plain.cpu().numpy()[rows])
        _, first = np.unique(ordered_labels[plain_rows], return_index=True)
        is_reference = np.zeros(len(rows), dtype=np.bool_)
        is_reference[plain_rows[first]] = True
        unit = nn.functional.normalize(embeddings.float(), dim=1).cpu().numpy()[rows]
        return cls(unit, ordered_labels, is_reference, items.astype(np.int64))


def embed(
    model: nn.Module,
    items: ValidationItems,
    *,
    batch_size: int,
    num_workers: int = 0,
    advance: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> EmbeddedImages:
    """Embed a whole validation set on the best device there is; ``advance`` may wrap the batches to show progress."""
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    model = model.to(device).eval()
    loader = DataLoader(items, batch_size=batch_size, num_workers=num_workers, collate_fn=collate)
    rows: list[tuple[Tensor, ...]] = []
    with torch.inference_mode():
        for images, *others in advance(loader):
            rows.append((model(to_pixels(images.to(device))).cpu(), *others))
    return EmbeddedImages.of(*(torch.cat(column) for column in zip(*rows, strict=True)))


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Load the model's weights out of a training checkpoint, exactly.

    Raises:
        RunError: the checkpoint is missing, unreadable, or does not fit the model.
    """
    prefix = "model."
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        weights = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        model.load_state_dict(weights)
    except FileNotFoundError:
        msg = f"{checkpoint}: no such checkpoint"
        raise RunError(msg, hint="has the training got as far as its first validation?") from None
    except Exception as error:
        # Torch's own words advise to load the file unsafely, or are none, or a lone key.
        if isinstance(error, pickle.UnpicklingError | EOFError | LookupError | TypeError | AttributeError):
            reason = "it is no checkpoint of tensors alone"
        else:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        msg = f"{checkpoint}: cannot be loaded: {reason}"
        raise RunError(msg, hint="it must come from this run's recipe") from error
