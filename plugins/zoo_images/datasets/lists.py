"""A data set by a list: one row an image, with its path and its class."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from zoo_core.api import ComponentError, Sample
from zoo_images.datasets.decoded_images import DecodedImages
from zoo_images.datasets.options import PositiveInt, Share  # noqa: TC001 - read to check options
from zoo_images.datasets.split import belongs

if TYPE_CHECKING:
    from collections.abc import Iterator

# So many files are looked for at the start; what is missing later is an unreadable sample.
_LOOKED_FOR = 100


class ListDataset:
    """The images that a CSV or Parquet file lists.

    Args:
        file: the list, ``*.csv``, ``*.tsv`` or ``*.parquet``; its first line names the columns.
        root: folder from which the paths start; default: the list's own.
        path_column: name of the column of paths.
        label_column: name of the column of classes; they are numbered in alphabetical order.
        split_column: name of the column that says which part a row belongs to.
        split: ``all``, a value of ``split_column``, or without that ``train`` or ``unseen`` by hash of the class.
        unseen_share: share of the classes that is unseen, without ``split_column``.
        max_side: images are kept reduced to this longest side, in pixels.
        cache: where decoded images are kept: ``auto``, the user's cache folder; a folder; or ``none``.
        cache_mb: size limit of that, in MB.

    Raises:
        ComponentError: the list cannot be read, lacks a column or a value, or names files that are not there.
    """

    def __init__(
        self,
        file: str,
        root: str | None = None,
        path_column: str = "path",
        label_column: str = "label",
        split_column: str | None = None,
        split: str = "all",
        unseen_share: Share = 0.25,
        max_side: PositiveInt = 192,
        cache: str = "auto",
        cache_mb: PositiveInt = 1024,
    ) -> None:
        source = Path(file).expanduser()
        folder = Path(root).expanduser() if root is not None else source.parent
        rows = list(_rows(source, (path_column, label_column, split_column)))
        if not rows:
            raise ComponentError(f"{source}: no rows", hint="one row an image, after the line that names the columns")
        chosen = [row for row in rows if _is_chosen(row, split, unseen_share, by_hash=split_column is None)]
        if not chosen:
            values = sorted({row.split for row in rows}) if split_column else ["all", "train", "unseen"]
            shown = ", ".join(values[:10])
            raise ComponentError(f"{source}: no row is in split {split!r}", hint=f"splits: {shown}")
        _look_for(chosen, folder, source)
        self.classes = sorted({row.label for row in chosen})
        label_of = {name: label for label, name in enumerate(self.classes)}
        self._labels = [label_of[row.label] for row in chosen]
        paths = [folder / row.path for row in chosen]
        self._images = DecodedImages(paths, source, max_side=max_side, cache=cache, cache_mb=cache_mb)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> Sample:
        label = self._labels[index]
        return Sample(self._images.read(range(len(self))[index]), label)


class _Row(NamedTuple):
    line: int
    path: str
    label: str
    split: str


def _is_chosen(row: _Row, split: str, unseen_share: float, *, by_hash: bool) -> bool:
    if split == "all":
        return True
    if by_hash:
        return split in {"train", "unseen"} and belongs(row.label, split, unseen_share)  # type: ignore[arg-type] # just asked
    return row.split == split


def _rows(source: Path, columns: tuple[str, str, str | None]) -> Iterator[_Row]:
    read = _parquet if source.suffix.lower() == ".parquet" else _csv
    try:
        yield from read(source, columns)
    except FileNotFoundError:
        msg = f"list {source} does not exist (looked from {Path.cwd()})"
        raise ComponentError(msg, hint="set the option `file` to a CSV or Parquet file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ComponentError(f"{source}: cannot be read ({error})", hint="a CSV file in UTF-8, or Parquet") from error


def _csv(source: Path, columns: tuple[str, str, str | None]) -> Iterator[_Row]:
    with source.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter="\t" if source.suffix.lower() == ".tsv" else ",", strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            places = _places(source, header, columns)
            for cells in reader:
                line = reader.line_num
                if not cells:
                    continue
                if len(cells) != len(header):
                    _blame(source, line, f"{len(cells)} values under {len(header)} columns")
                yield _row(source, line, [cells[place] if place is not None else "" for place in places], columns)
        except csv.Error as error:
            _blame(source, reader.line_num, str(error))


def _parquet(source: Path, columns: tuple[str, str, str | None]) -> Iterator[_Row]:
    from pyarrow import ArrowException, parquet  # noqa: PLC0415 - an extra that only this needs

    try:
        file = parquet.ParquetFile(source)
    except ArrowException as error:
        raise ComponentError(f"{source}: not a Parquet file ({error})", hint="is it CSV? then call it *.csv") from error
    _places(source, file.schema_arrow.names, columns)
    line = 0
    for batch in file.iter_batches(columns=[name for name in columns if name is not None]):
        values = [batch.column(name).to_pylist() if name else [""] * len(batch) for name in columns]
        for cells in zip(*values, strict=True):
            line += 1
            yield _row(source, line, ["" if cell is None else str(cell) for cell in cells], columns)


def _places(source: Path, header: list[str], columns: tuple[str, str, str | None]) -> list[int | None]:
    options = ("path_column", "label_column", "split_column")
    for option, name in zip(options, columns, strict=True):
        if name is not None and name not in header:
            msg = f"{source}:1: no column {name!r}, but {', '.join(header) or 'none'}"
            raise ComponentError(msg, hint=f"set `{option}` to one of them")
    return [None if name is None else header.index(name) for name in columns]


def _row(source: Path, line: int, cells: list[str], columns: tuple[str, str, str | None]) -> _Row:
    for name, cell in zip(columns, cells, strict=True):
        if name is not None and not cell.strip():
            _blame(source, line, f"no {name}")
    if "\0" in cells[0]:
        _blame(source, line, f"a NUL byte in {columns[0]}")  # no file is called so, and Python raises at the attempt
    return _Row(line, *(cell.strip() for cell in cells))


def _blame(source: Path, line: int, what: str) -> NoReturn:
    raise ComponentError(f"{source}:{line}: {what}", hint="correct the row or remove it")


def _look_for(rows: list[_Row], folder: Path, source: Path) -> None:
    """Look for some files spread over the list: where all are missing, it is the root that is wrong."""
    some = rows[:: max(1, len(rows) // _LOOKED_FOR)]
    if not any(os.path.isfile(folder / row.path) for row in some):  # noqa: PTH113 - paths of any kind, in bulk
        first = rows[0]
        msg = f"{source}:{first.line}: {folder / first.path} does not exist, nor do the others that were looked for"
        raise ComponentError(msg, hint="set `root` to the folder from which the paths start")
