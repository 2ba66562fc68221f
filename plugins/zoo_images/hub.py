"""Data sets of the Hugging Face Hub, or in any form that ``datasets`` reads, streamed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import fsspec
from pyarrow import ArrowException

from zoo_core.api import ComponentError, RemoteError, UnreadableSample
from zoo_images.options import PositiveInt  # noqa: TC001 - read to check options
from zoo_images.streams import Encoded, ShardReader, listed_classes, scanned_classes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BATCH = 16
_BREAKS = (OSError, ValueError, ArrowException, datasets.exceptions.DatasetsError)


class HubDataset(ShardReader):
    """A data set of the Hub by streaming: nothing is downloaded but what is read.

    Args:
        path: ``ORG/NAME``, a folder, or a kind of file, such as ``parquet`` or ``imagefolder``.
        name: configuration.
        part: its split, such as ``train``.
        data_files: files, where ``path`` is a kind of file.
        revision: branch, tag or commit.
        image: column of the images.
        label: column of the classes: names, or numbers.
        classes: file with the names of the classes, where the column does not name them itself.
        scan: without such names, read the column once before.
        length: samples of the part, where the data set does not say.
        max_side: images are reduced to this longest side, in pixels.
        shuffle_buffer: samples, still encoded, among which the next one is chosen.

    Raises:
        ComponentError: there is no such data set or column, or the classes are not known.
        RemoteError: the Hub cannot be reached.
    """

    classes: Sequence[str]

    def __init__(
        self,
        path: str,
        name: str | None = None,
        part: str = "train",
        data_files: str | list[str] | None = None,
        revision: str | None = None,
        image: str = "image",
        label: str = "label",
        classes: str | None = None,
        scan: bool = False,  # noqa: FBT001, FBT002 - options are passed by name
        length: PositiveInt | None = None,
        max_side: PositiveInt = 192,
        shuffle_buffer: PositiveInt = 1000,
    ) -> None:
        self._title = f"{path} ({part})"
        self._image, self._label = image, label
        stream = _load(path, name, part, data_files, revision)
        features = stream.features or dict.fromkeys(next(iter(stream), {}))
        for option, column in (("image", image), ("label", label)):
            if column not in features:
                msg = f"{self._title} has no column {column!r}, but {', '.join(features) or 'none'}"
                raise ComponentError(msg, hint=f"set `{option}` to one of them")
        if isinstance(features[image], datasets.Image):
            # The file's own bytes: zoo decodes them at reduced scale.
            stream = stream.cast_column(image, datasets.Image(decode=False))
        self._stream = stream
        splits = stream.info.splits or {}
        known = splits[part].num_examples if part in splits else None
        self.length = length or known or None
        self._names = getattr(features[label], "names", None)
        self.classes = self._classes(classes, scan=scan)
        super().__init__(self._open, stream.num_shards, self.classes, max_side=max_side, shuffle_buffer=shuffle_buffer)

    def _classes(self, file: str | None, *, scan: bool) -> Sequence[str]:
        if file:
            return listed_classes(file)
        if self._names:
            return list(self._names)
        if scan:
            names, self.length = scanned_classes([self._labels()])
            return names
        msg = f"{self._title}: column {self._label!r} does not name its classes"
        raise ComponentError(msg, hint="set `classes` to a file with one name a line, or `scan: true`")

    def _labels(self) -> Iterator[str]:
        for batch in self._stream.select_columns([self._label]).iter(_BATCH * 64):
            yield from (str(label) for label in batch[self._label] if label is not None)

    def _open(self, number: int) -> Iterator[Encoded | UnreadableSample]:
        # A forked process must not wait for its parent's connections.
        fsspec.asyn.reset_lock()
        shard = self._stream.shard(num_shards=self._stream.num_shards, index=number)
        source, position = f"{self._title}, shard {number}", 0
        try:
            for batch in shard.iter(_BATCH):
                for image, label in zip(batch[self._image], batch[self._label], strict=True):
                    position += 1
                    yield _encoded(f"{source}, row {position - 1}", image, label)
        except _BREAKS as error:
            missing = max(1, (self.length or 0) // self._stream.num_shards - position)
            reason = f"the shard breaks off after {position} samples: {_first_line(error)}"
            yield UnreadableSample(source, reason, samples=missing)


def _encoded(source: str, image: Any, label: object) -> Encoded | UnreadableSample:  # noqa: ANN401 - whatever a column holds
    if label is None or image is None:
        return UnreadableSample(source, "no label" if label is None else "no image")
    path = None
    if isinstance(image, dict):
        image, path = image.get("bytes"), image.get("path")
    elif isinstance(image, str):
        image, path = None, image
    if image is None and path is not None:
        try:
            with fsspec.open(path, "rb") as file:
                image = file.read()
        except (OSError, ValueError) as error:
            return UnreadableSample(path, str(error))
    if not isinstance(image, bytes):
        return UnreadableSample(source, f"a {type(image).__name__} where an image should be")
    return Encoded(path or source, image, str(label))


def _load(
    path: str, name: str | None, part: str, data_files: str | list[str] | None, revision: str | None
) -> datasets.IterableDataset:
    local = Path(path).expanduser()
    where = str(local) if local.exists() else path
    try:
        return datasets.load_dataset(where, name, split=part, data_files=data_files, revision=revision, streaming=True)
    except (ConnectionError, datasets.exceptions.DatasetNotFoundError) as error:
        msg = f"data set {path}: {_first_line(error)}"
        raise RemoteError(msg, hint="is it ORG/NAME or a folder, is the network there, are you logged in?") from error
    except (OSError, ValueError, RuntimeError) as error:
        msg = f"data set {path}{f' {data_files}' if data_files else ''}: {_first_line(error)}"
        raise ComponentError(msg, hint="look at `path`, `name`, `part` and `data_files`") from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
