"""The validation set: every sample plain, then augmented views of each."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from zoo.runs.unreadable import UnreadableSamples
from zoo_core.capabilities import HasPlainSamples
from zoo_core.contracts import Sample
from zoo_core.errors import UnreadableSample
from zoo_core.images import resize

if TYPE_CHECKING:
    from zoo_core.contracts import AffineMap, Augmentation, UInt8Image
    from zoo_core.contracts import Dataset as ZooDataset

# Seeds the augmented views of validation apart from those of training, whatever the recipe's seed.
VALIDATION_STREAM = 1
# The label of a validation sample that cannot be read.
UNREADABLE_LABEL = -1


class ValidationItem(NamedTuple):
    """One view of a validation sample: ``image uint8 [H, W, 3]``, its ``label``, whether it is the plain view.

    ``position`` is where it stands in the validation set; ``digest``, an ``int64``, is that of its pixels.
    """

    image: UInt8Image
    label: int
    plain: bool
    position: int
    digest: int


def plain_sample(dataset: ZooDataset, index: int, image_size: tuple[int, int]) -> Sample:
    """Return a sample as ``zoo predict`` sees its file: its view, resized, and nothing else.

    Raises:
        UnreadableSample: it is broken.
    """
    if isinstance(dataset, HasPlainSamples):
        return dataset.plain_sample(index, image_size)
    sample = dataset[index]
    return Sample(plain_view(sample, image_size), sample.label)


def plain_view(sample: Sample, image_size: tuple[int, int]) -> UInt8Image:
    """Show the view of a sample, resized, and nothing else: ``uint8 [H, W, 3]``."""
    image = sample.image
    if not np.array_equal(sample.view, np.eye(3)):
        image = _apply_view(image, sample.view)
    return resize(image, image_size)


def _apply_view(image: UInt8Image, view: AffineMap) -> UInt8Image:
    height, width = image.shape[:2]
    to_pixels = np.diag([width, height, 1.0]) @ view
    # The number of pixels that the view covers in the image, so that nothing is lost before the resize.
    view_width, view_height = (max(1, round(float(np.hypot(*to_pixels[:2, axis])))) for axis in (0, 1))
    coefficients = to_pixels @ np.diag([1 / view_width, 1 / view_height, 1.0])
    picture = Image.fromarray(image).transform(
        (view_width, view_height),
        Image.Transform.AFFINE,
        data=tuple(coefficients[:2].ravel()),
        resample=Image.Resampling.BILINEAR,
    )
    return np.asarray(picture)


class ValidationItems:
    """All samples plain, then ``captures`` augmented views of each.

    The augmented views depend on the seed and the index alone. A sample that cannot be read is recorded in
    ``unreadable``; it has the label -1, and no embedding.
    """

    def __init__(
        self,
        dataset: ZooDataset,
        augmentation: Augmentation | None,
        captures: int,
        image_size: tuple[int, int],
        seed: int,
        unreadable: UnreadableSamples | None = None,
    ) -> None:
        self.dataset = dataset
        self.augmentation = augmentation
        self.captures = captures
        self.image_size = image_size
        self.seed = seed
        self.unreadable = unreadable or UnreadableSamples()

    def recording(self, unreadable: UnreadableSamples) -> ValidationItems:
        """Return the same items, whose unreadable samples are recorded in ``unreadable``."""
        return ValidationItems(
            self.dataset, self.augmentation, self.captures, self.image_size, self.seed, unreadable=unreadable
        )

    def __len__(self) -> int:
        return len(self.dataset) * (1 + self.captures)

    def __getitem__(self, index: int) -> ValidationItem:
        capture, number = divmod(index, len(self.dataset))
        plain = capture == 0 or self.augmentation is None
        try:
            sample = plain_sample(self.dataset, number, self.image_size) if plain else self.dataset[number]
        except UnreadableSample as error:
            self.unreadable.record("valid", error, len(self.dataset))
            image = np.zeros((*self.image_size, 3), np.uint8)
            return ValidationItem(image, UNREADABLE_LABEL, plain=False, position=index, digest=0)
        if plain or self.augmentation is None:
            image = sample.image
        else:
            generator = np.random.default_rng([self.seed, VALIDATION_STREAM, capture, number])
            image = self.augmentation(sample, generator)
        return ValidationItem(image, sample.label, plain=plain, position=index, digest=_digest(image))


def _digest(image: UInt8Image) -> int:
    digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
