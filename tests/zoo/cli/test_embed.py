from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import zoo as api


@pytest.fixture
def pictures(tmp_path, picture):
    return [picture(tmp_path / f"in/{number}.png", number) for number in range(3)]


@pytest.fixture
def embed(zoo, exported):
    return lambda *arguments, **settings: zoo("embed", "--model", exported.path, *arguments, **settings)


def test_a_file_of_numpys_holds_paths_and_embeddings(embed, exported, pictures, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"bad")
    result = embed("in", "bad.png", "--npz", "out/all.npz", check=1)
    assert result.stdout == ""
    assert "error: bad.png: cannot be read as an image" in result.stderr
    assert "out/all.npz: 3 embeddings" in result.stderr
    with np.load(tmp_path / "out/all.npz") as found:
        assert found["paths"].tolist() == ["in/0.png", "in/1.png", "in/2.png"]
        assert found["embeddings"].dtype == np.float32
        assert np.array_equal(found["embeddings"], api.load(exported.path).embed(pictures))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["all.npz"]


def test_lines_hold_the_very_numbers(embed, exported, pictures):
    expected = api.load(exported.path).embed(pictures)
    for options in ([], ["--jsonl"]):
        result = embed("in", "none.png", *options, check=1)
        *rows, missing = map(json.loads, result.stdout.splitlines())
        assert [row["path"] for row in rows] == ["in/0.png", "in/1.png", "in/2.png"]
        assert np.array_equal(np.array([row["embedding"] for row in rows], np.float32), expected)
        assert missing == {"path": "none.png", "error": "none.png: no such file"}
        assert "error: 1 of 4 pictures cannot be read" in result.stderr
    *rows, missing = csv.DictReader(embed("in", "none.png", "--csv", check=1).stdout.splitlines())
    numbers = [[row[f"e{number}"] for number in range(8)] for row in rows]
    assert np.array_equal(np.array(numbers, np.float32), expected)
    assert missing["error"] == "none.png: no such file"


def test_no_images_are_an_empty_file_and_one_line(embed, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "error: empty: holds no pictures" in embed("empty", "--npz", "out.npz", check=1).stderr
    with np.load(tmp_path / "out.npz") as found:
        assert found["embeddings"].shape == (0, 8)
        assert found["paths"].shape == (0,)


@pytest.mark.usefixtures("pictures")
def test_a_file_that_was_there_stays_whole_when_it_fails(embed, tmp_path):
    (tmp_path / "out.npz").write_bytes(b"before")
    embed("in", "--npz", "out.npz", "--csv", check=2)
    (tmp_path / "file").write_bytes(b"")
    assert "file" in embed("in", "--npz", "file/out.npz", check=1).stderr
    assert embed("in", "--npz", "in", check=2).stderr == "error: in: a folder, not a file; name a file in it\n"
    assert (tmp_path / "out.npz").read_bytes() == b"before"


@pytest.mark.usefixtures("pictures")
def test_names_come_from_stdin_too(exported, tmp_path):
    command = [Path(sys.executable).with_name("zoo"), "embed", "--model", exported.path, "-"]
    done = subprocess.run(command, input=b"in/1.png\n", cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(done.stdout)["path"] == "in/1.png"
