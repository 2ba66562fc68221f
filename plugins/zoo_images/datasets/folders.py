"""Dataset of class folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.api import LOOK_ALIKES, ComponentError, Skipped, read_look_alikes, tally
from zoo_images.datasets.decoded_images import DecodedImages
from zoo_images.datasets.image_files import EXPECTED_FILES, existing_folder, find_classes
from zoo_images.datasets.labelled_images import LabelledImages
from zoo_images.datasets.options import PositiveInt, Share  # noqa: TC001 - read to check options
from zoo_images.datasets.split import Split, belongs, require_nonempty_split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo_core.api import FoundImages


class FolderDataset(LabelledImages):
    """One class per folder: ``root/<class>/**/<image>``.

    Args:
        root: folder of class folders; images may be at any depth below them.
        split: ``all`` classes, or those that a hash of the class name assigns to ``train`` or ``unseen``.
        unseen_share: share of the classes that is unseen.
        max_side: longest side of a decoded image, in pixels; larger images are reduced.
        cache: where decoded images are cached: ``auto`` (the user's cache folder), a folder, or ``none``.
        cache_mb: size limit of the cache, in MB.
        look_alikes: file with groups of classes that are nearly the same picture: one class a line, an empty line
            between groups; default: ``root/look_alikes.txt``, if there is one.

    Raises:
        ComponentError: the root is missing, or it or the split has no images.
        UsageError: the file of look-alikes cannot be read, or names a class that is not there.
    """

    def __init__(
        self,
        root: str,
        split: Split = "all",
        unseen_share: Share = 0.25,
        max_side: PositiveInt = 192,
        cache: str = "auto",
        cache_mb: PositiveInt = 1024,
        look_alikes: str | None = None,
    ) -> None:
        folder = existing_folder(root)
        found, beside = find_classes(folder)
        every = set(found)
        if not any(images.paths for images in found.values()):
            msg = f"{folder}: no class folder with images"
            raise ComponentError(msg, hint=f"expected {folder}/<class>/<image>, {EXPECTED_FILES}")
        found = {name: images for name, images in found.items() if belongs(name, split, unseen_share)}
        paths_of = {name: images.paths for name, images in found.items() if images.paths}
        require_nonempty_split(paths_of, folder, "class", split, unseen_share)
        labels = [label for label, paths in enumerate(paths_of.values()) for _ in paths]
        paths = [path for paths in paths_of.values() for path in paths]
        images = DecodedImages(paths, folder, max_side=max_side, cache=cache, cache_mb=cache_mb)
        super().__init__(images, labels, list(paths_of))
        file = Path(look_alikes).expanduser() if look_alikes else folder / LOOK_ALIKES
        named = look_alikes or file.is_file()
        self.look_alikes: Sequence[int] = (
            read_look_alikes(file, self.classes, every) if named else range(len(self.classes))
        )
        self.skipped: Sequence[Skipped] = [*beside, *_skipped(folder, found)]


def _skipped(folder: Path, found: Mapping[str, FoundImages]) -> list[Skipped]:
    """Return what is skipped in class folders, and before it the folders of which nothing is left."""
    skipped = []
    for name, images in found.items():
        if not images.paths:
            reason = f"a class folder without an image{f' ({tally(images.skipped)})' if images.skipped else ''}"
            skipped.append(Skipped(str(folder / name), reason, "class"))
        # A link that is not followed is the class folder itself.
        skipped += [one for one in images.skipped if one.source != str(folder / name)]
    return skipped
