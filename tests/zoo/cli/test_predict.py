from __future__ import annotations

import json
import os

import pytest


@pytest.fixture
def cards(tmp_path, picture):
    for seed, name in enumerate(("passport", "bill", "ticket")):
        picture(tmp_path / "cards" / f"{name}.png", seed)
    return tmp_path / "cards"


def test_images_are_named_in_aligned_columns(zoo, exported, cards, picture, tmp_path):
    picture(tmp_path / "new/1.png", 1, noise=10)
    picture(tmp_path / "new/2.png", 77)
    result = zoo("predict", "--model", exported.artifact.path, "--gallery", cards, "new", check=0)
    header, *rows = (line.split() for line in result.stdout.splitlines())
    assert header == ["PATH", "LABEL", "SCORE", "THRESHOLD"]
    assert [row[:2] + row[3:] for row in rows] == [["new/1.png", "bill", "0.8235"], ["new/2.png", "unknown", "0.8235"]]
    assert "3 classes, 3 references" in result.stderr


def test_a_run_folder_and_a_bare_graph_are_models_too(zoo, exported, cards, picture, tmp_path):
    picture(tmp_path / "x.png", 2)
    more = ("--gallery", cards, "--json", "--threshold", 0.5, "x.png")
    outputs = [
        zoo("predict", "--model", model, *more, check=0).stdout
        for model in (exported.path, exported.artifact.path, exported.artifact.onnx)
    ]
    assert outputs[0] == outputs[1] == outputs[2]
    document = json.loads(outputs[0])
    assert document["schema"] == 1
    assert document["errors"] == []
    (prediction,) = document["predictions"]
    assert prediction["label"] == "ticket"
    assert prediction["score"] == pytest.approx(1, abs=1e-6)
    assert prediction["threshold"] == 0.5


def test_unreadable_images_are_named_and_the_others_go_on(zoo, exported, cards, picture, tmp_path):
    picture(tmp_path / "good.png", 1)
    (tmp_path / "bad.png").write_bytes(b"bad")
    command = ("predict", "--model", exported.artifact.path, "--gallery", cards, "bad.png", "none.png", "good.png")
    result = zoo(*command, check=1)
    assert "good.png  bill" in result.stdout
    assert [line for line in result.stderr.splitlines() if line.startswith("error:")] == [
        "error: bad.png: is not an image of a known format",
        "error: none.png: no such file",
    ]
    result = zoo(*command, "--json", check=1)
    assert [error["path"] for error in json.loads(result.stdout)["errors"]] == ["bad.png", "none.png"]
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "run"
    assert error["message"].splitlines() == ["bad.png: is not an image of a known format", "none.png: no such file"]


def test_names_of_any_kind_are_printed_wherever_it_runs(zoo, exported, cards, picture):
    for seed, name in enumerate((b"broken\xff", b"a\nb", "\u5317\u4eac".encode())):
        picture(cards / os.fsdecode(name) / "1.png", seed + 10)
    terminal = {"PYTHONIOENCODING": "latin-1"}
    command = ("predict", "--model", exported.artifact.path, "--gallery", cards, "--threshold", "-1", "cards")

    rows = [line.split("  ")[0] for line in zoo(*command, check=0).stdout.splitlines()]
    assert rows[1:4] == [r"cards/a\nb/1.png", "cards/bill.png", r"cards/broken\xff/1.png"]
    # A terminal that lacks a character gets an escape, not an error.
    rows = [line.split()[:2] for line in zoo(*command, check=0, env=terminal).stdout.splitlines()]
    assert [r"cards/\u5317\u4eac/1.png", r"\u5317\u4eac"] in rows
    found = json.loads(zoo(*command, "--json", check=0, env=terminal).stdout)["predictions"]
    assert {"a\nb", r"broken\xff", "\u5317\u4eac"} < {one["label"] for one in found}
    wrong = zoo(*command[:-1], os.fsdecode(b"no\nsuch\xff"), check=1)
    assert wrong.stderr.splitlines()[-1] == r"error: no\nsuch\xff: no such file"


def test_another_operating_point_is_read_from_the_evaluation(zoo, exported, cards, picture, tmp_path):
    picture(tmp_path / "x.png", 1)
    command = ("predict", "--model", exported.artifact.path, "--gallery", cards, "x.png")
    document = json.loads(zoo(*command, "--fpr", "1e-4", "--json", check=0).stdout)
    assert document["predictions"][0]["threshold"] == 0.9123457
    assert "it knows 0.0001, 0.001" in zoo(*command, "--fpr", "0.5", check=2).stderr
    zoo(*command, "--fpr", "1e-4", "--threshold", "0.5", check=2)
    for value in ("nan", "inf"):
        assert f"{value} is not a finite number" in zoo(*command, "--threshold", value, check=2).stderr
    assert json.loads(zoo(*command, "--threshold", "1.5", "--json", check=0).stdout)["predictions"][0]["label"] is None


@pytest.mark.parametrize("model", ["nowhere", "./no/where", "no/such/folder", "gone.onnx"])
def test_what_is_neither_here_nor_a_name_on_the_hub_is_a_usage_error(zoo, cards, model):
    result = zoo("predict", "--model", model, "--gallery", cards, "x.png", check=2)
    assert result.stderr == (
        f"error: {model}: no such folder or file; give a folder, an .onnx file, or a model on the Hub as ORG/NAME\n"
    )


def test_an_unreadable_reference_is_named_and_the_others_are_used(zoo, exported, cards, picture, tmp_path):
    picture(tmp_path / "x.png", 1)
    (cards / "visa.png").write_bytes(b"bad")
    command = ("predict", "--model", exported.artifact.path, "--gallery", cards, "x.png")
    result = zoo(*command, check=1)
    assert "x.png  bill" in result.stdout
    assert f"error: {cards / 'visa.png'}: is not an image of a known format" in result.stderr
    assert "warning: no reference of visa can be read" in result.stderr
    for reference in cards.iterdir():
        reference.write_bytes(b"bad")
    assert "no picture of the gallery can be read" in zoo(*command, check=1).stderr


def test_a_path_that_is_missing_is_not_only_blamed_on_the_hub(zoo, cards):
    result = zoo(
        "predict", "--model", "missing/folder", "--gallery", cards, "x.png", check=5, env={"HF_HUB_OFFLINE": "1"}
    )
    assert "nor is there a folder missing/folder in " in result.stderr
    assert result.stderr.count("\n") == 1
