"""Datasets of image files: class folders, and images that each are a class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, overload

from pydantic import Field

from zoo_core.api import ComponentError, Sample
from zoo_images.decoding import read_image
from zoo_images.partition import Split, belongs
from zoo_images.views import views as all_views

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_core.api import UInt8Image

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

Share = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(gt=0)]


class FolderDataset:
    """One class per folder: ``root/<class>/**/<image>``.

    Args:
        root: folder of class folders; images may lie deeper inside them.
        split: ``all`` classes, or by hash of the class name the ``train`` or the ``unseen`` ones.
        unseen_share: share of the classes that is unseen.
        max_side: images are kept reduced to this longest side, in pixels.
        cache_mb: memory for decoded images, in each process that reads.

    Raises:
        ComponentError: the root is missing, or no image is in it or in the split.
    """

    def __init__(
        self,
        root: str,
        split: Split = "all",
        unseen_share: Share = 0.25,
        max_side: PositiveInt = 192,
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
        self._items = [(path, label) for label, name in enumerate(self.classes) for path in images[name]]
        self._images = _DecodedImages(max_side, cache_mb)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Sample:
        path, label = self._items[index]
        return Sample(self._images.read(path), label)


class InstancesDataset:
    """Each image is a class of its own, optionally in 24 views of which each is again one.

    Args:
        root: folder with images, at any depth.
        views: also tell the image's 24 views apart (4 rotations, flipped or not, whole or half); class
            ``index * 24 + view`` is named like ``name@r90-flip-upper``.
        split: ``all`` images, or by hash of the file name the ``train`` or the ``unseen`` ones.
        unseen_share: share of the images that is unseen.
        max_side: images are kept reduced to this longest side, in pixels.
        cache_mb: memory for decoded images, in each process that reads.

    Raises:
        ComponentError: the root is missing, or no image is in it or in the split.
    """

    classes: Sequence[str]

    def __init__(
        self,
        root: str,
        views: bool = False,  # noqa: FBT001, FBT002 - options are passed by name
        split: Split = "all",
        unseen_share: Share = 0.25,
        max_side: PositiveInt = 192,
        cache_mb: PositiveInt = 1024,
    ) -> None:
        folder = _existing(root)
        paths = _images(folder)
        if not paths:
            msg = f"{folder}: no images"
            raise ComponentError(msg, hint=f"expected {_KINDS}")
        named = [(path.relative_to(folder).as_posix(), path) for path in paths]
        chosen = [(name, path) for name, path in named if belongs(name, split, unseen_share)]
        _require(chosen, folder, "image", split, unseen_share)
        names = [name for name, _ in chosen]
        self._paths = [path for _, path in chosen]
        self._views = all_views() if views else all_views()[:1]
        self.classes = ViewNames(names, [view for view, _ in self._views]) if views else names
        self._images = _DecodedImages(max_side, cache_mb)

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, index: int) -> Sample:
        label = range(len(self))[index]
        image, view = divmod(label, len(self._views))
        return Sample(self._images.read(self._paths[image]), label, self._views[view][1])


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


class _DecodedImages:
    """Keeps decoded images until its memory is full; then others are decoded anew each time.

    Nothing is evicted: an epoch reads every image once in random order, where evicting only costs.
    """

    def __init__(self, max_side: int, cache_mb: int, decode: Callable[[Path, int], UInt8Image] = read_image) -> None:
        self._max_side = max_side
        self._free = cache_mb * 2**20
        self._decode = decode
        self._kept: dict[Path, UInt8Image] = {}

    def read(self, path: Path) -> UInt8Image:
        image = self._kept.get(path)
        if image is None:
            image = self._decode(path, self._max_side)
            if image.nbytes <= self._free:
                self._free -= image.nbytes
                self._kept[path] = image
        return image


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
