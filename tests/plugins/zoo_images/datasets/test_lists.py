from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from zoo_core.api import ComponentError, Dataset, UnreadableSample
from zoo_images.datasets.lists import ListDataset

ROWS = [("a/1.png", "beta", "train"), ("a/2.png", "alpha", "train"), ("b 3.png", "beta", "unseen")]


@pytest.fixture
def folder(tmp_path):
    for shade, (path, *_) in enumerate(ROWS):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 6), (shade, 0, 0)).save(tmp_path / path)
    return tmp_path


def write(path, rows=ROWS, header=("path", "label", "part")):
    if path.suffix == ".parquet":
        parquet.write_table(pa.table({name: [row[n] for row in rows] for n, name in enumerate(header)}), path)
    else:
        mark = "\t" if path.suffix == ".tsv" else ","
        path.write_text("".join(mark.join(map(str, row)) + "\n" for row in [header, *rows]), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ["list.csv", "list.tsv", "list.parquet", "LIST.CSV"])
def test_rows_are_samples_and_labels_classes(folder, name):
    dataset = ListDataset(write(folder / name))
    assert isinstance(dataset, Dataset)
    assert list(dataset.classes) == ["alpha", "beta"]
    assert [dataset[index].label for index in range(len(dataset))] == [1, 0, 1]
    assert [int(dataset[index].image[0, 0, 0]) for index in range(3)] == [0, 1, 2]
    np.testing.assert_array_equal(dataset[0].view, np.eye(3))
    with pytest.raises(IndexError):
        dataset[3]


@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_columns_have_any_names_and_order(folder, extension):
    file = write(folder / f"x.{extension}", [(7, path, label) for path, label, _ in ROWS], ("id", "file", "kind"))
    dataset = ListDataset(file, path_column="file", label_column="kind")
    assert list(dataset.classes) == ["alpha", "beta"]
    numbers = ListDataset(file, path_column="file", label_column="id")
    assert list(numbers.classes) == ["7"]


def test_a_column_says_the_split(folder):
    file = write(folder / "x.csv")
    assert len(ListDataset(file, split_column="part")) == 3
    unseen = ListDataset(file, split_column="part", split="unseen")
    assert (len(unseen), list(unseen.classes)) == (1, ["beta"])
    with pytest.raises(ComponentError, match="'test'; splits: train, unseen"):
        ListDataset(file, split_column="part", split="test")


def test_without_a_column_classes_are_held_out_by_hash(folder):
    file = write(folder / "x.csv", [(ROWS[n % 3][0], f"class {n}") for n in range(60)], ("path", "label"))
    splits = {split: set(ListDataset(file, split=split).classes) for split in ("all", "train", "unseen")}
    assert splits["train"] | splits["unseen"] == splits["all"]
    assert not splits["train"] & splits["unseen"]
    assert splits["unseen"]
    with pytest.raises(ComponentError, match="splits: all, train, unseen"):
        ListDataset(file, split="valid")


def test_paths_start_from_the_list_from_root_or_are_absolute(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    file = write(elsewhere / "x.csv")
    assert ListDataset(file, root=str(folder))[2].image[0, 0, 0] == 2
    absolute = write(elsewhere / "y.csv", [(folder / path, label, split) for path, label, split in ROWS])
    assert ListDataset(absolute)[1].image[0, 0, 0] == 1
    with pytest.raises(ComponentError, match=r"x\.csv:2: .*1\.png does not exist.*`root`"):
        ListDataset(file)


def test_single_missing_files_are_unreadable_samples(folder):
    file = write(folder / "x.csv", [*ROWS, ("gone.png", "beta", "train")])
    dataset = ListDataset(file)
    assert len(dataset) == 4
    with pytest.raises(UnreadableSample, match=r"gone\.png"):
        dataset[3]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("path,label\na/1.png,x\na/2.png\n", "x.csv:3: 1 values under 2 columns"),
        ("path,label\na/1.png,x\n,y\n", "x.csv:3: no path"),
        ('path,label\n"a/1.png","two\nlines"\na/2.png, \n', "x.csv:4: no label"),
        ('path,label\n"a/1.png"x,y\n', "x.csv:2: "),
        ("path,label\na/1.png,x\na/\0.png,x\n", "x.csv:3: a NUL byte in path"),
        ("file,label\na/1.png,x\n", "x.csv:1: no column 'path', but file, label"),
        ("", "x.csv:1: no column 'path', but none"),
        ("path,label\n", "x.csv: no rows"),
        (b"path,label\na/1.png,\xff\n", "x.csv: cannot be read"),
    ],
)
def test_errors_name_file_and_line(folder, text, where):
    (folder / "x.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ComponentError, match=re.escape(where)) as caught:
        ListDataset(str(folder / "x.csv"))
    assert caught.value.problems[0].hint


def test_errors_of_parquet_name_the_row(folder):
    file = write(folder / "x.parquet", [*ROWS, (None, "beta", "train")])
    with pytest.raises(ComponentError, match=r"x\.parquet:4: no path"):
        ListDataset(file)
    with pytest.raises(ComponentError, match=r"y\.parquet:4: a NUL byte in path"):
        ListDataset(write(folder / "y.parquet", [*ROWS, ("a/\0.png", "beta", "train")]))
    with pytest.raises(ComponentError, match="no column 'label2', but path, label, part"):
        ListDataset(file, label_column="label2")
    (folder / "bad.parquet").write_text("path,label\n")
    with pytest.raises(ComponentError, match=r"bad\.parquet: not a Parquet file"):
        ListDataset(str(folder / "bad.parquet"))


def test_a_missing_list_is_an_error(tmp_path):
    with pytest.raises(ComponentError, match=r"nowhere\.csv does not exist"):
        ListDataset(str(tmp_path / "nowhere.csv"))


def test_a_byte_order_mark_and_blank_lines_are_ignored(folder):
    (folder / "x.csv").write_text("\ufeffpath,label\na/1.png,x\n\n", encoding="utf-8")
    assert len(ListDataset(str(folder / "x.csv"))) == 1


def test_spaces_around_commas_are_ignored(folder):
    (folder / "x.csv").write_text("path, label\na/1.png, beta\na/2.png , alpha\n")
    dataset = ListDataset(str(folder / "x.csv"))
    assert list(dataset.classes) == ["alpha", "beta"]
    assert len(dataset) == 2
