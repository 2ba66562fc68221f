"""Dataset in which every image is its own class."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from zoo_core.api import ComponentError, LazyNames, Sample, Skipped, UnreadableSample, find_images
from zoo_images.datasets.decoded_images import DecodedImages
from zoo_images.datasets.duplicates import duplicate_groups
from zoo_images.datasets.image_files import EXPECTED_FILES, existing_folder
from zoo_images.datasets.options import PositiveInt, Share  # noqa: TC001 - read to check options
from zoo_images.datasets.split import Split, belongs, require_nonempty_split
from zoo_images.datasets.views import shown, whole_size
from zoo_images.datasets.views import views as all_views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo_core.api import AffineMap, UInt8Image


class InstancesDataset:
    """Each image is its own class, or with ``views`` 24 classes.

    Args:
        root: folder with images, at any depth.
        views: make each of the image's 24 views a class (4 rotations, flipped or not, whole or half); class
            ``index * 24 + view`` has a name like ``name@r90-flip-upper``.
        merge_duplicates: make images that look the same, exactly or except for their encoding, one class, named after
            the first of them. Reads all images when the dataset is built.
        split: ``all`` images, or those that a hash of the file name assigns to ``train`` or ``unseen``.
        unseen_share: share of the images that is unseen.
        max_side: longest side of a decoded image, in pixels; larger images are reduced.
        cache: where decoded images are cached: ``auto`` (the user's cache folder), a folder, or ``none``.
        cache_mb: size limit of the cache, in MB.

    Raises:
        ComponentError: the root is missing, or it or the split has no images.
    """

    classes: Sequence[str]

    def __init__(
        self,
        root: str,
        views: bool = False,  # noqa: FBT001, FBT002 - options are passed by name
        merge_duplicates: bool = False,  # noqa: FBT001, FBT002 - as above
        split: Split = "all",
        unseen_share: Share = 0.25,
        max_side: PositiveInt = 192,
        cache: str = "auto",
        cache_mb: PositiveInt = 1024,
    ) -> None:
        folder = existing_folder(root)
        paths, skipped = find_images(folder)
        if not paths:
            msg = f"{folder}: no images"
            raise ComponentError(msg, hint=f"expected {EXPECTED_FILES}")
        self.skipped: Sequence[Skipped] = skipped
        names = [path.relative_to(folder).as_posix() for path in paths]
        images = DecodedImages(paths, folder, max_side=max_side, cache=cache, cache_mb=cache_mb)
        # The first image of each image's group: a group is in the split of its first image, never in both.
        first_of = duplicate_groups(images) if merge_duplicates else range(len(paths))
        selected = [index for index, first in enumerate(first_of) if belongs(names[first], split, unseen_share)]
        require_nonempty_split(selected, folder, "image", split, unseen_share)
        firsts = sorted({first_of[index] for index in selected})
        label_of = {first: label for label, first in enumerate(firsts)}
        self._images = images
        self._selected = selected
        self._labels = [label_of[first_of[index]] for index in selected]
        self._views = all_views() if views else all_views()[:1]
        classes = [names[first] for first in firsts]
        names = [view for view, _ in self._views]
        self.classes: Sequence[str] = classes
        if views:
            self.classes = LazyNames(len(classes) * len(names), partial(_view_name, classes, names))

    def __len__(self) -> int:
        return len(self._selected) * len(self._views)

    def __getitem__(self, index: int) -> Sample:
        position, label, view = self._locate(index)
        return Sample(self._read(self._images, position), label, view)

    def plain_sample(self, index: int, size: tuple[int, int]) -> Sample:
        """Return a sample as every model sees its file; see ``HasPlainSamples``.

        A view is turned and cut out of the file as it is read at the size at which the view has ``size``.
        """
        position, label, view = self._locate(index)
        return Sample(shown(self._read(self._images.at_size(whole_size(view, size)), position), view), label)

    def _locate(self, index: int) -> tuple[int, int, AffineMap]:
        """Return the position of a sample's image, its label, and its view."""
        position, view = divmod(range(len(self))[index], len(self._views))
        return self._selected[position], self._labels[position] * len(self._views) + view, self._views[view][1]

    def _read(self, images: DecodedImages, position: int) -> UInt8Image:
        try:
            return images.read(position)
        except UnreadableSample as error:
            raise UnreadableSample(error.source, error.reason, samples=len(self._views)) from error


def _view_name(images: Sequence[str], views: Sequence[str], label: int) -> str:
    image, view = divmod(label, len(views))
    return f"{images[image]}@{views[view]}"
