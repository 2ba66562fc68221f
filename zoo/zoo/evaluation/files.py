"""A folder of labelled pictures: class folders, or references and queries apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from zoo.artifacts.digests import sha256
from zoo.models.ordered_map import ordered_map
from zoo.validation.dataset import ValidationItems
from zoo.validation.protocol import APART, FIRST, Protocol
from zoo.workers import cores
from zoo_core.contracts import Sample
from zoo_core.errors import UnreadableSample, UsageError
from zoo_core.image_files import find_images
from zoo_core.images import read_image
from zoo_core.look_alikes import LOOK_ALIKES, read_look_alikes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo.runs.unreadable import UnreadableSamples
    from zoo.validation.embedded_images import EmbeddedImages
    from zoo_core.contracts import UInt8Image
    from zoo_core.image_files import Skipped

REFERENCES, QUERIES = "references", "queries"
_EXPECTED = f"DIR/CLASS/*.jpg, or DIR/{REFERENCES}/CLASS/*.jpg and DIR/{QUERIES}/CLASS/*.jpg"


@dataclass(frozen=True, eq=False)
class LabelledFiles:
    """Pictures with their classes, in a fixed order.

    Attributes:
        folder: where they lie.
        paths: their files.
        labels: the class of each, a position in ``classes``.
        classes: the names of the classes.
        references: whether each identifies others; None: the first readable of each class does.
        look_alikes: the group of each class.
        skipped: what lies there and is not read.
    """

    folder: Path
    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    references: tuple[bool, ...] | None
    look_alikes: Sequence[int]
    skipped: tuple[Skipped, ...]

    @classmethod
    def find(cls, folder: Path) -> LabelledFiles:
        """Find the pictures below ``folder``; of two named ``references`` and ``queries``, the first identify.

        A picture directly in one of those is of the class that is named like the file, as in a gallery.

        Raises:
            UsageError: there is no such folder, or it holds no class of pictures, or its file of look-alikes is wrong.
        """
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder", hint=f"expected {_EXPECTED}")
        apart = all((folder / name).is_dir() for name in (REFERENCES, QUERIES))
        found: list[tuple[str, Path, bool]] = []
        skipped: list[Skipped] = []
        for top in (folder / REFERENCES, folder / QUERIES) if apart else (folder,):
            for name, path in _classes(top, skipped, files=apart):
                found.append((name, path, top.name == REFERENCES))
        classes = tuple(sorted({name for name, _, _ in found}))
        if not classes:
            raise UsageError(f"{folder}: holds no pictures in class folders", hint=f"expected {_EXPECTED}")
        label_of = {name: label for label, name in enumerate(classes)}
        file = folder / LOOK_ALIKES
        return cls(
            folder=folder,
            paths=tuple(path for _, path, _ in found),
            labels=tuple(label_of[name] for name, _, _ in found),
            classes=classes,
            references=tuple(reference for _, _, reference in found) if apart else None,
            look_alikes=read_look_alikes(file, classes) if file.is_file() else range(len(classes)),
            skipped=tuple(skipped),
        )

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.absolute().name or "data"

    def content(self) -> str:
        """Return the SHA-256 of the files and of their classes' names, in their order; paths are not part of it."""
        digest = hashlib.sha256()
        for label, found in zip(self.labels, ordered_map(_sha256, self.paths, cores()), strict=True):
            digest.update(f"{found} {self.classes[label]}\n".encode(errors="surrogatepass"))
        if self.references is not None:
            digest.update(bytes(self.references))
        return digest.hexdigest()

    def protocol(self, embedded: EmbeddedImages) -> Protocol:
        """Describe what was embedded of these files."""
        references = FIRST if self.references is None else APART
        return Protocol.of(embedded, self.name, content=self.content(), references=references)

    def marked(self, embedded: EmbeddedImages) -> EmbeddedImages:
        """Return the embeddings with the references that the folder names, if it does."""
        if self.references is None:
            return embedded
        return replace(embedded, is_reference=np.array(self.references)[embedded.items])

    def items(self, size: tuple[int, int], unreadable: UnreadableSamples | None = None) -> ValidationItems:
        """Return them as a validation set at ``size`` (height, width), as every model sees its files."""
        return ValidationItems(_Pictures(self), None, 0, size, seed=0, unreadable=unreadable)


class _Pictures:
    """Labelled files as a data set."""

    def __init__(self, files: LabelledFiles) -> None:
        self.classes: Sequence[str] = files.classes
        self.look_alikes = files.look_alikes
        self._files = files

    def __len__(self) -> int:
        return len(self._files.paths)

    def __getitem__(self, index: int) -> Sample:
        return Sample(_read(self._files.paths[index], None), self._files.labels[index])

    def plain_sample(self, index: int, size: tuple[int, int]) -> Sample:
        """Return a picture as ``zoo predict`` sees its file."""
        return Sample(_read(self._files.paths[index], size), self._files.labels[index])


def _classes(top: Path, skipped: list[Skipped], *, files: bool) -> list[tuple[str, Path]]:
    """List the pictures of each class folder of ``top``; with ``files`` a picture beside them is a class itself."""
    found = []
    for entry in sorted(top.iterdir(), key=lambda path: path.name):
        if entry.name.startswith(".") or entry.name == LOOK_ALIKES:
            continue
        if entry.is_dir():
            images = find_images(entry)
            found += [(entry.name, path) for path in images.paths]
            skipped += images.skipped
    if files:
        found += [(path.stem, path) for path in find_images(top).paths if path.parent == top]
    return found


def _read(path: Path, size: tuple[int, int] | None) -> UInt8Image:
    try:
        return read_image(path, size)
    except UsageError as error:
        # It was there when the folder was read.
        raise UnreadableSample(str(path), "it is gone") from error


def _sha256(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
