"""Which files are images: one list for data sets, galleries and prediction, and one walk that reports what it skips."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from zoo_core.extras import pip_line

if TYPE_CHECKING:
    from collections.abc import Iterable

# Named, because Pillow would also open formats that run programs (EPS calls Ghostscript). TGA last: its files do not
# begin with a mark. HEIC comes with an extra.
IMAGE_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP", "TGA")
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
IMAGE_SUFFIXES = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png"),
        *(".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp", *HEIF_SUFFIXES),
    }
)
# What lies beside images and is none.
_NOTE_SUFFIXES = frozenset(
    {
        *(".cls", ".csv", ".db", ".html", ".ini", ".json", ".jsonl", ".log", ".md", ".parquet", ".sha256", ".tsv"),
        *(".txt", ".xml", ".yaml", ".yml"),
    }
)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something below a folder of images that is not read.

    Attributes:
        source: its path.
        reason: why, in a few words.
        kind: ``class`` for a class folder from which nothing is read; ``file`` for what may be an image; ``note`` for
            text and tables that lie beside images.
    """

    source: str
    reason: str
    kind: Literal["class", "file", "note"] = "file"


class FoundImages(NamedTuple):
    """The image files below a folder, sorted by their path in it, and what else lies there."""

    paths: list[Path]
    skipped: list[Skipped]


def find_images(folder: Path) -> FoundImages:
    """Find all images below ``folder`` by their suffix.

    Hidden files and folders (``.name``) are left out. Everything else that is not an image is in ``skipped``, links to
    folders too, which are not followed: they can lead back to where they lie.
    """
    paths: list[Path] = []
    skipped: list[Skipped] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(parent)
        skipped += [Skipped(str(here / name), "a link to a folder") for name in folders if (here / name).is_symlink()]
        for name in files:
            if name.startswith("."):
                continue
            path = here / name
            if (found := skipped_file(path)) is None:
                paths.append(path)
            else:
                skipped.append(found)
    return FoundImages(
        sorted(paths, key=lambda path: path.relative_to(folder).as_posix()), sorted(skipped, key=lambda one: one.source)
    )


def skipped_file(path: Path) -> Skipped | None:
    """Return why the file at ``path`` is not read as an image; ``None`` if it is."""
    suffix = path.suffix.lower()
    if suffix in _NOTE_SUFFIXES:
        return Skipped(str(path), f"{suffix} is no image", "note")
    if suffix not in IMAGE_SUFFIXES:
        return Skipped(str(path), f"{suffix} is not read" if suffix else "no suffix")
    if suffix in HEIF_SUFFIXES and find_spec("pillow_heif") is None:
        return Skipped(str(path), f"{suffix} is not read without: {pip_line('heic')}")
    if not path.is_file():
        return Skipped(str(path), "a link to nothing" if path.is_symlink() else "not a regular file")
    return None


def tally(skipped: Iterable[Skipped]) -> str:
    """Return the reasons with their numbers, the most frequent first: ``.svg is not read: 12, no suffix: 1``."""
    counts = Counter(one.reason for one in skipped).most_common()
    more = sum(count for _, count in counts[_SHOWN:])
    return ", ".join(
        [*(f"{reason}: {count:,}" for reason, count in counts[:_SHOWN]), *([f"others: {more:,}"] * bool(more))]
    )
