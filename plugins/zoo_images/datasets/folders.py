"""Dataset of class folders."""

from __future__ import annotations

from zoo_core.api import ComponentError
from zoo_images.datasets.decoded_images import DecodedImages
from zoo_images.datasets.image_files import EXPECTED_FILES, existing_folder, find_images
from zoo_images.datasets.labelled_images import LabelledImages
from zoo_images.datasets.options import PositiveInt, Share  # noqa: TC001 - read to check options
from zoo_images.datasets.split import Split, belongs, require_nonempty_split


class FolderDataset(LabelledImages):
    """One class per folder: ``root/<class>/**/<image>``.

    Args:
        root: folder of class folders; images may be at any depth below them.
        split: ``all`` classes, or those that a hash of the class name assigns to ``train`` or ``unseen``.
        unseen_share: share of the classes that is unseen.
        max_side: longest side of a decoded image, in pixels; larger images are reduced.
        cache: where decoded images are cached: ``auto`` (the user's cache folder), a folder, or ``none``.
        cache_mb: size limit of the cache, in MB.

    Raises:
        ComponentError: the root is missing, or it or the split has no images.
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
        folder = existing_folder(root)
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        paths_of = {name: find_images(folder / name) for name in names}
        if not any(paths_of.values()):
            msg = f"{folder}: no class folder with images"
            raise ComponentError(msg, hint=f"expected {folder}/<class>/<image>, {EXPECTED_FILES}")
        classes = [name for name in names if paths_of[name] and belongs(name, split, unseen_share)]
        require_nonempty_split(classes, folder, "class", split, unseen_share)
        labels = [label for label, name in enumerate(classes) for _ in paths_of[name]]
        paths = [path for name in classes for path in paths_of[name]]
        images = DecodedImages(paths, folder, max_side=max_side, cache=cache, cache_mb=cache_mb)
        super().__init__(images, labels, classes)
