"""WebDataset shards: tar archives in which a sample is the files with one stem."""

from __future__ import annotations

import json
import tarfile
import zlib
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braceexpand import braceexpand
from webdataset import tariterators

from zoo_core.api import IMAGE_SUFFIXES, ComponentError, UnreadableSample
from zoo_images.datasets.class_names import read_class_names, scan_class_names
from zoo_images.datasets.options import PositiveInt  # noqa: TC001 - read to check options
from zoo_images.datasets.shard_reader import EncodedSample, ShardReader, truncated_shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The usual ones first: the first that a sample has is its image.
_IMAGE_EXTENSIONS = tuple(
    dict.fromkeys(["jpg", "jpeg", "png", "webp", *sorted(suffix[1:] for suffix in IMAGE_SUFFIXES)])
)
# None that runs a command, because a recipe may come from an untrusted source.
_SCHEMES = {"", "http", "https", "gs", "hf"}
_TRUNCATION_ERRORS = (tarfile.TarError, zlib.error, OSError, EOFError, ValueError)


class WebDataset(ShardReader):
    """Tar shards as ``webdataset`` writes them: an image and its class, such as ``0001.jpg`` and ``0001.cls``.

    Args:
        shards: path, with ``*`` or ``{000..123}``, or a list of paths.
        classes: file with the class names, one per line, in the order of their labels.
        scan: without ``classes``, read all shards once before training to find classes and length.
        image: extension of the image; default: the first known image extension.
        label: extension of the file that holds the class, as its name or index.
        label_key: key of the class, if that file is JSON.
        length: number of samples in all shards, if known; otherwise the recipe sets ``data.samples_per_epoch``.
        max_side: longest side of a decoded image, in pixels; larger images are reduced.
        shuffle_buffer: size of the buffer of encoded samples that the next sample is drawn from.

    Raises:
        ComponentError: a shard is missing, or the classes are unknown.
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
        self._paths = _expand([shards] if isinstance(shards, str) else shards)
        self._image = image
        self._label = label
        self._label_key = label_key
        self.length = length
        if classes:
            self.classes = read_class_names(classes)
        elif scan:
            self.classes, self.length = scan_class_names(map(self._labels_of, range(len(self._paths))))
        else:
            msg = f"{self._paths[0]}: the names of the classes are not known"
            raise ComponentError(msg, hint="set `classes` to a file with one name a line, or `scan: true`")
        super().__init__(self._open, len(self._paths), self.classes, max_side=max_side, shuffle_buffer=shuffle_buffer)

    def _open(self, shard: int) -> Iterator[EncodedSample | UnreadableSample]:
        for source, files in self._samples_of(shard):
            if isinstance(files, UnreadableSample):
                yield files
                continue
            label = self._label_of(source, files)
            extensions = (self._image,) if self._image else _IMAGE_EXTENSIONS
            content = next((files[extension] for extension in extensions if extension in files), None)
            if isinstance(label, UnreadableSample):
                yield label
            elif content is None:
                found = ", ".join(f"*.{name}" for name in files if name not in {"__key__", "__url__", self._label})
                wanted = self._image or "(jpg|png|...)"
                reason = f"no file *.{wanted} belongs to it" + (f", only {found}" if found else "")
                yield UnreadableSample(source, reason)
            else:
                yield EncodedSample(source, content, label)

    def _labels_of(self, shard: int) -> Iterator[str | UnreadableSample]:
        for source, files in self._samples_of(shard):
            yield files if isinstance(files, UnreadableSample) else self._label_of(source, files)

    def _samples_of(self, shard: int) -> Iterator[tuple[str, dict[str, Any] | UnreadableSample]]:
        """Yield the source of each sample of a shard and its files by extension, or the error that ends the shard."""
        path, count = self._paths[shard], 0
        try:
            for count, files in enumerate(tariterators.tarfile_samples([{"url": path}]), 1):  # noqa: B007 - used below
                yield f"{path}/{files['__key__']}", files
        except _TRUNCATION_ERRORS as error:
            yield path, truncated_shard(path, count, error, length=self.length, shards=len(self._paths))

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


def _expand(patterns: list[str]) -> list[str]:
    """Expand the patterns of ``shards``; local files have to exist."""
    paths: list[str] = []
    for pattern in patterns:
        scheme = pattern.partition(":")[0] if "://" in pattern or pattern.startswith("pipe:") else ""
        if scheme not in _SCHEMES:
            msg = f"shards {pattern}: {scheme}: is not read from"
            raise ComponentError(msg, hint=f"a path, or one of {', '.join(sorted(filter(None, _SCHEMES)))}")
        expanded = list(braceexpand(pattern))
        paths += expanded if scheme else [path for one in expanded for path in _find_local(one)]
    return paths


def _find_local(pattern: str) -> list[str]:
    found = sorted(glob(str(Path(pattern).expanduser()), recursive=True))  # noqa: PTH207 - it may be absolute
    if not found:
        msg = f"no shard {pattern} (looked from {Path.cwd()})"
        raise ComponentError(msg, hint="set `shards` to the tar files: a path with * or {000..123}, or a list")
    return found
