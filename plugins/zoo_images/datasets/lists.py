"""Dataset defined by a list file: one row per image, with its path and its class."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from zoo_core.api import ComponentError
from zoo_images.datasets.decoded_images import DecodedImages
from zoo_images.datasets.labelled_images import LabelledImages
from zoo_images.datasets.options import PositiveInt, Share  # noqa: TC001 - read to check options
from zoo_images.datasets.split import belongs

if TYPE_CHECKING:
    from collections.abc import Iterator

# Files whose existence is checked when the dataset is built; one that is missing later is an unreadable sample.
_FILES_CHECKED = 100


class ListDataset(LabelledImages):
    """The images that a CSV or Parquet file lists.

    Args:
        file: the list, ``*.csv``, ``*.tsv`` or ``*.parquet``; its first line names the columns.
        root: folder that the paths are relative to; default: the folder of the list.
        path_column: name of the column of paths.
        label_column: name of the column of classes; labels follow their alphabetical order.
        split_column: name of the column with the split of each row.
        split: ``all``, a value of ``split_column``, or without such a column ``train`` or ``unseen``, which a hash of
            the class name decides.
        unseen_share: share of the classes that is unseen, without ``split_column``.
        max_side: longest side of a decoded image, in pixels; larger images are reduced.
        cache: where decoded images are cached: ``auto`` (the user's cache folder), a folder, or ``none``.
        cache_mb: size limit of the cache, in MB.

    Raises:
        ComponentError: the list cannot be read, lacks a column or a value, or names files that do not exist.
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
        rows = list(_read_rows(source, (path_column, label_column, split_column)))
        if not rows:
            raise ComponentError(f"{source}: no rows", hint="one row an image, after the line that names the columns")
        selected = [row for row in rows if _is_selected(row, split, unseen_share, by_hash=split_column is None)]
        if not selected:
            values = sorted({row.split for row in rows}) if split_column else ["all", "train", "unseen"]
            shown = ", ".join(values[:10])
            raise ComponentError(f"{source}: no row is in split {split!r}", hint=f"splits: {shown}")
        _require_existing_files(selected, folder, source)
        classes = sorted({row.label for row in selected})
        label_of = {name: label for label, name in enumerate(classes)}
        paths = [folder / row.path for row in selected]
        images = DecodedImages(paths, source, max_side=max_side, cache=cache, cache_mb=cache_mb)
        super().__init__(images, [label_of[row.label] for row in selected], classes)


class _Row(NamedTuple):
    line: int
    path: str
    label: str
    split: str


def _is_selected(row: _Row, split: str, unseen_share: float, *, by_hash: bool) -> bool:
    if split == "all":
        return True
    if by_hash:
        return split in {"train", "unseen"} and belongs(row.label, split, unseen_share)  # type: ignore[arg-type] # just checked
    return row.split == split


def _read_rows(source: Path, columns: tuple[str, str, str | None]) -> Iterator[_Row]:
    read = _read_parquet if source.suffix.lower() == ".parquet" else _read_csv
    try:
        yield from read(source, columns)
    except FileNotFoundError:
        msg = f"list {source} does not exist (looked from {Path.cwd()})"
        raise ComponentError(msg, hint="set the option `file` to a CSV or Parquet file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ComponentError(f"{source}: cannot be read ({error})", hint="a CSV file in UTF-8, or Parquet") from error


def _read_csv(source: Path, columns: tuple[str, str, str | None]) -> Iterator[_Row]:
    with source.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter="\t" if source.suffix.lower() == ".tsv" else ",", strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            indices = _column_indices(source, header, columns)
            for cells in reader:
                line = reader.line_num
                if not cells:
                    continue
                if len(cells) != len(header):
                    _raise_row_error(source, line, f"{len(cells)} values under {len(header)} columns")
                values = [cells[index] if index is not None else "" for index in indices]
                yield _parse_row(source, line, values, columns)
        except csv.Error as error:
            _raise_row_error(source, reader.line_num, str(error))


def _read_parquet(source: Path, columns: tuple[str, str, str | None]) -> Iterator[_Row]:
    from pyarrow import ArrowException, parquet  # noqa: PLC0415 - an extra that only this needs

    try:
        file = parquet.ParquetFile(source)
    except ArrowException as error:
        raise ComponentError(f"{source}: not a Parquet file ({error})", hint="is it CSV? then call it *.csv") from error
    _column_indices(source, file.schema_arrow.names, columns)
    line = 0
    for batch in file.iter_batches(columns=[name for name in columns if name is not None]):
        values = [batch.column(name).to_pylist() if name else [""] * len(batch) for name in columns]
        for cells in zip(*values, strict=True):
            line += 1
            yield _parse_row(source, line, ["" if cell is None else str(cell) for cell in cells], columns)


def _column_indices(source: Path, header: list[str], columns: tuple[str, str, str | None]) -> list[int | None]:
    options = ("path_column", "label_column", "split_column")
    for option, name in zip(options, columns, strict=True):
        if name is not None and name not in header:
            msg = f"{source}:1: no column {name!r}, but {', '.join(header) or 'none'}"
            raise ComponentError(msg, hint=f"set `{option}` to one of them")
    return [None if name is None else header.index(name) for name in columns]


def _parse_row(source: Path, line: int, values: list[str], columns: tuple[str, str, str | None]) -> _Row:
    for name, value in zip(columns, values, strict=True):
        if name is not None and not value.strip():
            _raise_row_error(source, line, f"no {name}")
    if "\0" in values[0]:
        # No path contains one, and Python raises ValueError on opening it.
        _raise_row_error(source, line, f"a NUL byte in {columns[0]}")
    return _Row(line, *(value.strip() for value in values))


def _raise_row_error(source: Path, line: int, problem: str) -> NoReturn:
    raise ComponentError(f"{source}:{line}: {problem}", hint="correct the row or remove it")


def _require_existing_files(rows: list[_Row], folder: Path, source: Path) -> None:
    """Check some files spread over the list: if all are missing, the root is wrong."""
    sample = rows[:: max(1, len(rows) // _FILES_CHECKED)]
    if not any(os.path.isfile(folder / row.path) for row in sample):  # noqa: PTH113 - faster for many paths
        first = rows[0]
        msg = f"{source}:{first.line}: {folder / first.path} does not exist, nor do the others that were looked for"
        raise ComponentError(msg, hint="set `root` to the folder from which the paths start")
