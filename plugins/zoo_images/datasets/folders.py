"""Datasets of image files: class folders, and images that each are a class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

from zoo_core.api import ComponentError, Sample, UnreadableSample
from zoo_images.datasets.decoded_images import DecodedImages
from zoo_images.datasets.duplicates import groups
from zoo_images.datasets.options import PositiveInt, Share  # noqa: TC001 - read to check options
from zoo_images.datasets.split import Split, belongs
from zoo_images.datasets.views import views as all_views

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


class FolderDataset:
    """One class per folder: ``root/<class>/**/<image>``.

    Args:
        root: folder of class folders; images may lie deeper inside them.
        split: ``all`` classes, or by hash of the class name the ``train`` or the ``unseen`` ones.
        unseen_share: share of the classes that is unseen.
        max_side: images are kept reduced to this longest side, in pixels.
        cache: where decoded images are kept: ``auto``, the user's cache folder; a folder; or ``none``.
        cache_mb: size limit of that, in MB.

    Raises:
        ComponentError: the root is missing, or no image is in it or in the split.
    """

    def __init__(
        self,
        root: str,
        split: Split = "all",
        unseen_share: Share = 0.25,
        max_side: PositiveInt = 192,
        cache: str = "auto",
        cache_mb: PositiveInt = 1024,
    ) -> None:
        folder = _existing(root)
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        images = {name: _images(folder / name) for name in names}
        if not any(images.values()):
            msg = f"{folder}: no class folder with images"
            raise ComponentError(msg, hint=f"expected {folder}/<class>/<image>, {_KINDS}")
        self.classes = [name for name in names if images[name] and belongs(name, split, unseen_share)]
        _require(self.classes, folder, "class", split, unseen_share)
        self._labels = [label for label, name in enumerate(self.classes) for _ in images[name]]
        paths = [path for name in self.classes for path in images[name]]
        self._images = DecodedImages(paths, folder, max_side=max_side, cache=cache, cache_mb=cache_mb)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> Sample:
        label = self._labels[index]
        return Sample(self._images.read(range(len(self))[index]), label)


class InstancesDataset:
    """Each image is a class of its own, optionally in 24 views of which each is again one.

    Args:
        root: folder with images, at any depth.
        views: also tell the image's 24 views apart (4 rotations, flipped or not, whole or half); class
            ``index * 24 + view`` is named like ``name@r90-flip-upper``.
        merge_duplicates: images that show the same, to the pixel or but for their encoding, are one class, named
            after the first of them. Reads all images when the data set is built.
        split: ``all`` images, or by hash of the file name the ``train`` or the ``unseen`` ones.
        unseen_share: share of the images that is unseen.
        max_side: images are kept reduced to this longest side, in pixels.
        cache: where decoded images are kept: ``auto``, the user's cache folder; a folder; or ``none``.
        cache_mb: size limit of that, in MB.

    Raises:
        ComponentError: the root is missing, or no image is in it or in the split.
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
        folder = _existing(root)
        paths = _images(folder)
        if not paths:
            msg = f"{folder}: no images"
            raise ComponentError(msg, hint=f"expected {_KINDS}")
        names = [path.relative_to(folder).as_posix() for path in paths]
        images = DecodedImages(paths, folder, max_side=max_side, cache=cache, cache_mb=cache_mb)
        # A group of duplicates lies in the part of its first image, never in both.
        of_group = groups(images) if merge_duplicates else range(len(paths))
        chosen = [number for number, first in enumerate(of_group) if belongs(names[first], split, unseen_share)]
        _require(chosen, folder, "image", split, unseen_share)
        firsts = sorted({of_group[number] for number in chosen})
        class_of = {first: label for label, first in enumerate(firsts)}
        self._images = images
        self._numbers = chosen
        self._labels = [class_of[of_group[number]] for number in chosen]
        self._views = all_views() if views else all_views()[:1]
        classes = [names[first] for first in firsts]
        self.classes = ViewNames(classes, [view for view, _ in self._views]) if views else classes

    def __len__(self) -> int:
        return len(self._numbers) * len(self._views)

    def __getitem__(self, index: int) -> Sample:
        position, view = divmod(range(len(self))[index], len(self._views))
        label = self._labels[position] * len(self._views) + view
        try:
            return Sample(self._images.read(self._numbers[position]), label, self._views[view][1])
        except UnreadableSample as error:
            error.samples = len(self._views)
            raise


class ViewNames(Sequence[str]):
    """The names ``image@view`` of all views of all images, made when asked for."""

    def __init__(self, images: Sequence[str], views: Sequence[str]) -> None:
        self._images = images
        self._views = views

    def __len__(self) -> int:
        return len(self._images) * len(self._views)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[label] for label in range(len(self))[index]]
        image, view = divmod(range(len(self))[index], len(self._views))
        return f"{self._images[image]}@{self._views[view]}"


_KINDS = "images called " + ", ".join(f"*{extension}" for extension in sorted(EXTENSIONS))


def _existing(root: str) -> Path:
    folder = Path(root).expanduser()
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        msg = f"dataset root {folder} {problem} (looked from {Path.cwd()})"
        raise ComponentError(msg, hint="set the option `root` to the folder with the images")
    return folder


def _images(folder: Path) -> list[Path]:
    """Find all images below ``folder``, sorted by path so that labels are the same everywhere."""
    found = (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _require(chosen: Sequence[object], folder: Path, unit: str, split: Split, unseen_share: float) -> None:
    if not chosen:
        msg = f"{folder}: no {unit} falls into split {split!r} with unseen_share {unseen_share}"
        raise ComponentError(msg, hint="change `unseen_share`, or use `split: all`")
