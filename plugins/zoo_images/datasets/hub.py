"""Datasets of the Hugging Face Hub, or in any format that ``datasets`` reads, streamed."""

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
from zoo_images.datasets.class_names import read_class_names, scan_class_names
from zoo_images.datasets.options import PositiveInt  # noqa: TC001 - read to check options
from zoo_images.datasets.shard_reader import EncodedSample, ShardReader, first_line, truncated_shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BATCH_SIZE = 16
_TIMEOUT_SECONDS = 10
_TRUNCATION_ERRORS = (OSError, ValueError, ArrowException, datasets.exceptions.DatasetsError)


class HubDataset(ShardReader):
    """A streamed dataset of the Hub: only what is read is downloaded.

    Args:
        path: ``ORG/NAME``, a folder, or a file format such as ``parquet`` or ``imagefolder``.
        name: configuration.
        part: split of the dataset, such as ``train``.
        data_files: files, if ``path`` is a file format.
        revision: branch, tag or commit.
        image: column of the images.
        label: column of the classes, as names or indices.
        classes: file with the class names, if the column does not define them.
        scan: without class names, read the column once before training.
        length: number of samples in the split, if the dataset does not state it.
        max_side: longest side of a decoded image, in pixels; larger images are reduced.
        shuffle_buffer: size of the buffer of encoded samples that the next sample is drawn from.

    Raises:
        ComponentError: there is no such dataset or column, or the classes are unknown.
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
        self._require_columns(features)
        if isinstance(features[image], datasets.Image):
            # Bytes instead of images: `read_reduced` decodes them at a reduced scale.
            stream = stream.cast_column(image, datasets.Image(decode=False))
        self._stream = stream
        splits = stream.info.splits or {}
        known = splits[part].num_examples if part in splits else None
        self.length = length or known or None
        self._names = getattr(features[label], "names", None)
        self.classes = self._find_classes(classes, scan=scan)
        super().__init__(self._open, stream.num_shards, self.classes, max_side=max_side, shuffle_buffer=shuffle_buffer)

    def _require_columns(self, features: dict[str, Any]) -> None:
        for option, column in (("image", self._image), ("label", self._label)):
            if column not in features:
                msg = f"{self._title} has no column {column!r}, but {', '.join(features) or 'none'}"
                raise ComponentError(msg, hint=f"set `{option}` to one of them")

    def _find_classes(self, file: str | None, *, scan: bool) -> Sequence[str]:
        if file:
            return read_class_names(file)
        if self._names:
            return list(self._names)
        if scan:
            names, self.length = scan_class_names(map(self._labels_of, range(self._stream.num_shards)))
            return names
        msg = f"{self._title}: column {self._label!r} does not name its classes"
        raise ComponentError(msg, hint="set `classes` to a file with one name a line, or `scan: true`")

    def _labels_of(self, shard: int) -> Iterator[str | UnreadableSample]:
        for _, row in self._rows(shard, [self._label], _BATCH_SIZE * 64):
            if isinstance(row, UnreadableSample):
                yield row
            elif row[self._label] is not None:
                yield str(row[self._label])

    def _open(self, shard: int) -> Iterator[EncodedSample | UnreadableSample]:
        # A forked process must not wait for the connections of its parent.
        fsspec.asyn.reset_lock()
        for source, row in self._rows(shard, [self._image, self._label], _BATCH_SIZE):
            yield row if isinstance(row, UnreadableSample) else _encoded(source, row[self._image], row[self._label])

    def _rows(
        self, shard: int, columns: list[str], batch_size: int
    ) -> Iterator[tuple[str, dict[str, Any] | UnreadableSample]]:
        """Yield the source of each row of a shard and its values by column, or the error that ends the shard."""
        shards = self._stream.num_shards
        stream = self._stream.select_columns(columns).shard(num_shards=shards, index=shard)
        source, count = f"{self._title}, shard {shard}", 0
        batches = stream.iter(batch_size)
        try:
            while batch := _next_batch(batches):
                for values in zip(*(batch[column] for column in columns), strict=True):
                    count += 1
                    yield f"{source}, row {count - 1}", dict(zip(columns, values, strict=True))
        except _TRUNCATION_ERRORS as error:
            yield source, truncated_shard(source, count, error, length=self.length, shards=shards)


def _next_batch(batches: Iterator[dict[str, list[Any]]]) -> dict[str, list[Any]] | None:
    with _quiet():
        return next(batches, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ``datasets`` from logging the error of a broken file, which it raises too."""
    logger = logging.getLogger("datasets.packaged_modules")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _encoded(source: str, image: Any, label: object) -> EncodedSample | UnreadableSample:  # noqa: ANN401 - any column type
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
    return EncodedSample(path or source, image, str(label))


def _load(
    path: str, name: str | None, split: str, data_files: str | list[str] | None, revision: str | None
) -> datasets.IterableDataset:
    local = Path(path).expanduser()
    location = str(local) if local.exists() else path
    try:
        if location == path:
            _require_reachable(path)
        with _quiet():
            return datasets.load_dataset(
                location, name, split=split, data_files=data_files, revision=revision, streaming=True
            )
    except (ConnectionError, datasets.exceptions.DatasetNotFoundError) as error:
        msg = f"data set {path}: {first_line(error)}"
        raise RemoteError(msg, hint="is it ORG/NAME or a folder, is the network there, are you logged in?") from error
    except (OSError, ValueError, RuntimeError) as error:
        msg = f"data set {path}{f' {data_files}' if data_files else ''}: {first_line(error)}"
        raise ComponentError(msg, hint="look at `path`, `name`, `part` and `data_files`") from error


def _require_reachable(path: str) -> None:
    """Ask the Hub once whether it can be reached; ``datasets`` retries for half a minute and prints each attempt.

    Raises:
        ConnectionError: it cannot.
    """
    on_hub = path.count("/") == 1 and path[0] not in "./~"
    if not on_hub or datasets.config.HF_HUB_OFFLINE:
        return
    if huggingface_hub.try_to_load_from_cache(path, "README.md", repo_type="dataset"):
        return
    url = huggingface_hub.hf_hub_url(path, "README.md", repo_type="dataset")
    try:
        huggingface_hub.get_hf_file_metadata(url, timeout=_TIMEOUT_SECONDS)
    except HfHubHTTPError:
        return  # The Hub answered; `datasets` reports what its answer means.
    except HTTPError as error:
        msg = f"{huggingface_hub.constants.ENDPOINT} cannot be reached ({first_line(error)})"
        raise ConnectionError(msg) from error
