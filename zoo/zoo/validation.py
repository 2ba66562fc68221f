"""The validation set: its samples plain and captured, and their embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from zoo.batches import collate, to_pixels
from zoo.skipping import Skipped
from zoo_core import images as preprocessing
from zoo_core.errors import UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt
    from torch import Tensor

    from zoo_core.contracts import AffineMap, Augmentation, Sample, UInt8Image
    from zoo_core.contracts import Dataset as ZooDataset

# Keeps the chance of validation captures apart from that of training, whatever the recipe's seed.
VALIDATION_STREAM = 1
# The label of a validation sample that cannot be read.
LEFT_OUT = -1


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
