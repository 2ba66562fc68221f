"""What map-style datasets of image files share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_core.api import Sample

if TYPE_CHECKING:
    from zoo_images.datasets.decoded_images import DecodedImages


class LabelledImages:
    """A map-style dataset of image files, one label per image.

    Args:
        images: the images, by index.
        labels: the label of each image, an index into ``classes``.
        classes: class names.
    """

    def __init__(self, images: DecodedImages, labels: list[int], classes: list[str]) -> None:
        self.classes = classes
        self._images = images
        self._labels = labels

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> Sample:
        label = self._labels[index]
        return Sample(self._images.read(range(len(self))[index]), label)

    def plain_sample(self, index: int, size: tuple[int, int]) -> Sample:
        """Return a sample as every model sees its file; see ``HasPlainSamples``."""
        label = self._labels[index]
        return Sample(self._images.at_size(size).read(range(len(self))[index]), label)
