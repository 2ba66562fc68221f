"""Data sets of the Hugging Face Hub, or in any form that ``datasets`` reads, streamed."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import fsspec
import huggingface_hub
from huggingface_hub.errors import (  # type: ignore[attr-defined] # of HTTPError, which is httpx's or httpx2's
    HfHubHTTPError,
    HTTPError,
)
from pyarrow import ArrowException

from zoo_core.api import ComponentError, RemoteError, UnreadableSample
from zoo_images.datasets.options import PositiveInt  # noqa: TC001 - read to check options
from zoo_images.datasets.shard_reader import (
    Encoded,
    ShardReader,
    broken_off,
    first_line,
    listed_classes,
    scanned_classes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BATCH = 16
_SECONDS_TO_ANSWER = 10
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
            names, self.length = scanned_classes(map(self._labels_of, range(self._stream.num_shards)))
            return names
        msg = f"{self._title}: column {self._label!r} does not name its classes"
        raise ComponentError(msg, hint="set `classes` to a file with one name a line, or `scan: true`")

    def _labels_of(self, number: int) -> Iterator[str | UnreadableSample]:
        for _, row in self._rows(number, [self._label], _BATCH * 64):
            if isinstance(row, UnreadableSample):
                yield row
            elif row[self._label] is not None:
                yield str(row[self._label])

    def _open(self, number: int) -> Iterator[Encoded | UnreadableSample]:
        # A forked process must not wait for its parent's connections.
        fsspec.asyn.reset_lock()
        for source, row in self._rows(number, [self._image, self._label], _BATCH):
            yield row if isinstance(row, UnreadableSample) else _encoded(source, row[self._image], row[self._label])

    def _rows(
        self, number: int, columns: list[str], size: int
    ) -> Iterator[tuple[str, dict[str, Any] | UnreadableSample]]:
        """Yield where each row of a shard stands, and its values by column; where it breaks off, that."""
        shards = self._stream.num_shards
        shard = self._stream.select_columns(columns).shard(num_shards=shards, index=number)
        source, position = f"{self._title}, shard {number}", 0
        batches = shard.iter(size)
        try:
            while batch := _next(batches):
                for values in zip(*(batch[column] for column in columns), strict=True):
                    position += 1
                    yield f"{source}, row {position - 1}", dict(zip(columns, values, strict=True))
        except _BREAKS as error:
            yield source, broken_off(source, position, error, length=self.length, shards=shards)


def _next(batches: Iterator[dict[str, list[Any]]]) -> dict[str, list[Any]] | None:
    with _quiet():
        return next(batches, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ``datasets`` from printing a broken file's error as well as raising it."""
    logger = logging.getLogger("datasets.packaged_modules")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


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
        if where == path:
            _reach(path)
        with _quiet():
            return datasets.load_dataset(
                where, name, split=part, data_files=data_files, revision=revision, streaming=True
            )
    except (ConnectionError, datasets.exceptions.DatasetNotFoundError) as error:
        msg = f"data set {path}: {first_line(error)}"
        raise RemoteError(msg, hint="is it ORG/NAME or a folder, is the network there, are you logged in?") from error
    except (OSError, ValueError, RuntimeError) as error:
        msg = f"data set {path}{f' {data_files}' if data_files else ''}: {first_line(error)}"
        raise ComponentError(msg, hint="look at `path`, `name`, `part` and `data_files`") from error


def _reach(path: str) -> None:
    """Ask the Hub once whether it is there: ``datasets`` asks for half a minute, and prints each try.

    Raises:
        ConnectionError: it is not.
    """
    named = path.count("/") == 1 and path[0] not in "./~"
    if not named or datasets.config.HF_HUB_OFFLINE:
        return
    if huggingface_hub.try_to_load_from_cache(path, "README.md", repo_type="dataset"):
        return
    url = huggingface_hub.hf_hub_url(path, "README.md", repo_type="dataset")
    try:
        huggingface_hub.get_hf_file_metadata(url, timeout=_SECONDS_TO_ANSWER)
    except HfHubHTTPError:
        return  # It is there. What this answer means, `datasets` knows.
    except HTTPError as error:
        msg = f"{huggingface_hub.constants.ENDPOINT} cannot be reached ({first_line(error)})"
        raise ConnectionError(msg) from error
