from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper
from PIL import Image

import zoo
from zoo.cli.main import cli
from zoo_core.errors import UsageError


@pytest.fixture
def cards(tmp_path):
    """Noisy pictures of twelve classes in class folders."""
    for number in range(60):
        path = tmp_path / "cards" / f"c{number % 12:02}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        motif = np.random.default_rng(number % 12).integers(0, 256, (4, 6, 3)).repeat(15, 0).repeat(15, 1)
        noise = np.random.default_rng(1000 + number).normal(0, 120, motif.shape)
        Image.fromarray(np.clip(motif + noise, 0, 255).astype(np.uint8)).save(path)
    return tmp_path / "cards"


@pytest.fixture
def blind(tmp_path, graph_file):
    """A graph that sees one pixel of each picture, which is mostly noise."""
    model = onnx.load(graph_file("blind.onnx"))
    weights = max(model.graph.initializer, key=lambda one: np.prod(one.dims))
    values = numpy_helper.to_array(weights).copy()
    values[:, :, 1:] = values[:, :, :, 1:] = 0
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    path = tmp_path / "blind.onnx"
    onnx.save(model, path)
    return path


def compare(*arguments, check=0):
    result = CliRunner().invoke(cli, ["compare", *map(str, arguments)])
    assert result.exit_code == check, result.output
    return result


def test_the_better_model_is_said_with_an_interval(cards, graph_file, blind, tmp_path):
    done = compare(graph_file(), blind, "--data", cards, "-o", tmp_path / "out")
    (verdict,) = (line for line in done.stdout.splitlines() if " better than " in line)
    assert verdict.startswith("A better than B at ")
    document = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [one["letter"] for one in document["models"]] == ["A", "B"]
    assert document["comparisons"][0]["verdict"] == verdict
    figures = document["comparisons"][0]["figures"]
    for found in figures.values():
        assert found["low"] <= found["value"] <= found["high"]
        assert found["value"] == pytest.approx(found["second"] - found["first"])
        assert found["shows"] == (found["low"] > 0 or found["high"] < 0)
    evaluated = zoo.evaluate(graph_file(), data=cards, output=tmp_path / "alone")
    assert figures["auc"]["first"] == pytest.approx(evaluated["auc"])
    assert document["protocol"] == evaluated.protocol
    assert str(tmp_path) not in json.dumps(document)
    assert Image.open(tmp_path / "out" / "comparison.png").width == 1080


def test_a_model_is_no_better_than_itself(cards, graph_file):
    done = compare(graph_file("one.onnx"), graph_file("two.onnx"), "--data", cards)
    assert "B against A: no difference shows at TPR@1e-2" in done.stdout
    assert " better" not in done.stdout


def test_runs_and_graphs_are_compared_on_the_recipe_of_the_first(trained_run, monkeypatch):
    monkeypatch.chdir(trained_run.path.parents[2])
    assert CliRunner().invoke(cli, ["export"]).exit_code == 0
    document = json.loads(compare("small/1", "runs/small/1/artifact", "--json").stdout)["comparison"]
    assert document["protocol"]["name"] == "documents/synthetic"
    assert document["protocol"]["look_alikes"] == 2
    assert not any(one["shows"] for one in document["comparisons"][0]["figures"].values())


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["one.onnx"], "one model alone is not compared"),
        (["one.onnx", "none.onnx"], "none.onnx: no such folder or file"),
    ],
)
def test_what_cannot_be_compared_is_one_line(cards, graph_file, monkeypatch, tmp_path, models, message):
    graph_file("one.onnx")
    monkeypatch.chdir(tmp_path)
    refused = compare(*models, "--data", cards, check=2)
    assert message in refused.stderr
    assert refused.stdout == ""


def test_one_text_is_not_several_models():
    with pytest.raises(UsageError, match="models: one, not several"):
        zoo.compare("a.onnx")
