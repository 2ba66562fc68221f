"""WebDataset shards: tar archives, each sample some files with one stem."""

from __future__ import annotations

import json
import tarfile
import zlib
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braceexpand import braceexpand
from webdataset import tariterators

from zoo_core.api import ComponentError, UnreadableSample
from zoo_images.datasets.options import PositiveInt  # noqa: TC001 - read to check options
from zoo_images.datasets.shard_reader import Encoded, ShardReader, broken_off, listed_classes, scanned_classes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_IMAGES = ("jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff")
# Nothing that runs a command of its own: a recipe may come from anybody.
_SCHEMES = {"", "http", "https", "gs", "hf"}
_BREAKS = (tarfile.TarError, zlib.error, OSError, EOFError, ValueError)


class WebDataset(ShardReader):
    """Tar shards as ``webdataset`` writes them: an image and its class, such as ``0001.jpg`` and ``0001.cls``.

    Args:
        shards: path, with ``*`` or ``{000..123}``, or a list of such.
        classes: file with the names of the classes, one a line, in the order of their numbers.
        scan: without ``classes``, read all shards once before to find classes and length.
        image: extension of the image; default: the first that is one.
        label: extension of the file that holds the class, its name or its number.
        label_key: key of the class, where that file is JSON.
        length: samples of all shards, if known; else the recipe says ``data.samples_per_epoch``.
        max_side: images are reduced to this longest side, in pixels.
        shuffle_buffer: samples, still encoded, among which the next one is chosen.

    Raises:
        ComponentError: a shard is missing, or the classes are not known.
    """

    classes: Sequence[str]

    def __init__(
        self,
        shards: str | list[str],
        classes: str | None = None,
        scan: bool = False,  # noqa: FBT001, FBT002 - options are passed by name
        image: str | None = None,
        label: str = "cls",
        label_key: str | None = None,
        length: PositiveInt | None = None,
        max_side: PositiveInt = 192,
        shuffle_buffer: PositiveInt = 2000,
    ) -> None:
        self._paths = _paths([shards] if isinstance(shards, str) else shards)
        self._image = image
        self._label = label
        self._label_key = label_key
        self.length = length
        if classes:
            self.classes = listed_classes(classes)
        elif scan:
            self.classes, self.length = scanned_classes(map(self._labels_of, range(len(self._paths))))
        else:
            msg = f"{self._paths[0]}: the names of the classes are not known"
            raise ComponentError(msg, hint="set `classes` to a file with one name a line, or `scan: true`")
        super().__init__(self._open, len(self._paths), self.classes, max_side=max_side, shuffle_buffer=shuffle_buffer)

    def _open(self, number: int) -> Iterator[Encoded | UnreadableSample]:
        for source, files in self._files_of(number):
            if isinstance(files, UnreadableSample):
                yield files
                continue
            label = self._label_of(source, files)
            names = (self._image,) if self._image else _IMAGES
            content = next((files[name] for name in names if name in files), None)
            if isinstance(label, UnreadableSample):
                yield label
            elif content is None:
                yield UnreadableSample(source, f"no file *.{self._image or '(jpg|png|...)'} belongs to it")
            else:
                yield Encoded(source, content, label)

    def _labels_of(self, number: int) -> Iterator[str | UnreadableSample]:
        for source, files in self._files_of(number):
            yield files if isinstance(files, UnreadableSample) else self._label_of(source, files)

    def _files_of(self, number: int) -> Iterator[tuple[str, dict[str, Any] | UnreadableSample]]:
        """Yield where each sample of a shard stands, and its files by extension; where it breaks off, that."""
        path, count = self._paths[number], 0
        try:
            for count, files in enumerate(tariterators.tarfile_samples([{"url": path}]), 1):  # noqa: B007 - told below
                yield f"{path}/{files['__key__']}", files
        except _BREAKS as error:
            yield path, broken_off(path, count, error, length=self.length, shards=len(self._paths))

    def _label_of(self, source: str, files: dict[str, Any]) -> str | UnreadableSample:
        try:
            text = files[self._label].decode()
            return str(json.loads(text)[self._label_key]) if self._label_key else text.strip()
        except KeyError as error:
            return UnreadableSample(
                source, f"no {'file *.' if error.args[0] == self._label else 'key '}{error.args[0]}"
            )
        except (ValueError, TypeError) as error:
            return UnreadableSample(source, f"*.{self._label} cannot be read: {error}")


def _paths(patterns: list[str]) -> list[str]:
    """Expand the patterns of ``shards``; what is on this machine has to be there."""
    paths: list[str] = []
    for pattern in patterns:
        scheme = pattern.partition(":")[0] if "://" in pattern or pattern.startswith("pipe:") else ""
        if scheme not in _SCHEMES:
            msg = f"shards {pattern}: {scheme}: is not read from"
            raise ComponentError(msg, hint=f"a path, or one of {', '.join(sorted(filter(None, _SCHEMES)))}")
        expanded = list(braceexpand(pattern))
        paths += expanded if scheme else [path for one in expanded for path in _local(one)]
    return paths


def _local(pattern: str) -> list[str]:
    found = sorted(glob(str(Path(pattern).expanduser()), recursive=True))  # noqa: PTH207 - it may be absolute
    if not found:
        msg = f"no shard {pattern} (looked from {Path.cwd()})"
        raise ComponentError(msg, hint="set `shards` to the tar files: a path with * or {000..123}, or a list")
    return found
