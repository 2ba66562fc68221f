from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from zoo import assembly
from zoo.evaluation import run as evaluation
from zoo.metrics.summary import summary
from zoo.models import torch_model
from zoo.recipes.loading import load_run_recipe
from zoo.validation.embedded_images import EmbeddedImages
from zoo_core.discovery import discover
from zoo_core.errors import RunError, UsageError


@pytest.fixture
def embedded():
    generator = np.random.default_rng(0)
    embeddings = np.repeat(generator.normal(size=(40, 8)), 5, axis=0) + 0.6 * generator.normal(size=(200, 8))
    labels = np.repeat(np.arange(40), 5)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return EmbeddedImages(unit.astype(np.float32), labels, np.arange(200) % 5 == 0, np.arange(200))


def written(embedded, folder):
    return evaluation.write(evaluation.measure(embedded), folder, title="a title", context={"data": {"name": "x"}})


def test_all_files_tell_the_same(embedded, tmp_path):
    document, paths = written(embedded, tmp_path)
    assert {path.name for path in paths} == {path.name for path in tmp_path.iterdir()}
    assert json.loads((tmp_path / "metrics.json").read_text()) == document
    assert document["metrics"] == summary(embedded.embeddings, embedded.labels, embedded.is_reference)
    assert document["counts"] == {"images": 200, "classes": 40, "genuine_pairs": 400, "impostor_pairs": 19500}
    rows = list(csv.DictReader((tmp_path / "thresholds.csv").open()))
    assert [{key: float(value) for key, value in row.items()} for row in rows] == document["thresholds"]
    assert document["untrained"] is None


def test_what_the_untrained_model_could_do_is_kept(embedded, tmp_path):
    (tmp_path / "untrained.json").write_text('{"auc": 0.5}')
    assert written(embedded, tmp_path)[0]["untrained"] == {"auc": 0.5}
    (tmp_path / "untrained.json").unlink()
    assert written(embedded, tmp_path)[0]["untrained"] == {"auc": 0.5}


def test_pictures_are_drawn_without_global_state_and_are_the_same_each_time(embedded, tmp_path):
    written(embedded, tmp_path)
    first = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.glob("*.png")}
    written(embedded, tmp_path)
    assert first == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.glob("*.png")}
    for path in tmp_path.glob("*.png"):
        image = np.asarray(Image.open(path).convert("RGB"))
        assert image.shape == (720, 1080, 3)
        # The curve's blue covers something, and the paper most.
        assert (np.abs(image.astype(int) - [0, 0x72, 0xB2]).sum(axis=2) < 30).sum() > 500
        assert (image == 255).all(axis=2).mean() > 0.6


@pytest.mark.parametrize("name", ["metrics.json", "untrained.json"])
def test_an_earlier_file_that_is_no_mapping_is_refused(embedded, tmp_path, name):
    (tmp_path / name).write_text("[]")
    with pytest.raises(UsageError, match=rf"{name}: holds a JSON list instead of a mapping"):
        written(embedded, tmp_path)


@pytest.mark.parametrize(
    ("embeddings", "auc", "tpr"),
    [
        pytest.param(np.ones((200, 8)), 0.5, 0, id="all images are one"),
        pytest.param(np.eye(200), 0.5, 0, id="each image is alone"),
        pytest.param(np.eye(40).repeat(5, axis=0), 1, 1, id="each class is alone"),
    ],
)
def test_pictures_of_extreme_models_can_be_drawn(embedded, embeddings, auc, tpr, tmp_path):
    extreme = replace(embedded, embeddings=embeddings.astype(np.float32))
    document, paths = written(extreme, tmp_path)
    assert document["metrics"]["auc"] == pytest.approx(auc)
    assert [point["tpr"] for point in document["thresholds"]] == [tpr] * len(document["thresholds"])
    for path in (path for path in paths if path.suffix == ".png"):
        assert np.asarray(Image.open(path)).shape[:2] == (720, 1080)


def test_a_run_is_measured_by_its_best_checkpoint(trained_run):
    loaded = load_run_recipe(trained_run)
    registry = discover()
    document, _ = evaluation.evaluate_run(trained_run, loaded, registry)
    builder = assembly.RecipeBuilder(loaded, registry)
    model = builder.model(initial_weights=False)
    torch_model.load_weights(model, trained_run.best)
    expected = torch_model.embed(model, builder.validation_items(), batch_size=5)
    figures = summary(expected.embeddings, expected.labels, expected.is_reference)
    assert document["metrics"] == pytest.approx(figures, abs=1e-3)
    assert document["counts"]["classes"] == 6
    assert (
        document["data"].items() >= {"name": "documents/synthetic", "options": loaded.recipe.data.valid.options}.items()
    )
    assert len(document["weights_sha256"]) == 64


def test_a_run_without_a_checkpoint_says_so(trained_run):
    trained_run.best.unlink()
    with pytest.raises(RunError, match="no such checkpoint"):
        evaluation.evaluate_run(trained_run, load_run_recipe(trained_run), discover())
    assert not trained_run.evaluation.exists()


@pytest.mark.parametrize(
    ("start", "unseen"),
    [
        ({"leak": {"shared_names": 0, "alike_classes": 0}}, True),
        ({"leak": {"shared_names": 2, "alike_classes": 0}}, False),
        ({}, False),
        # Damaged: nobody knows.
        (None, False),
        ({"leak": 3}, False),
        ({"leak": {"shared_names": 0}}, False),
    ],
)
def test_an_evaluation_says_whether_its_classes_are_unseen(trained_run, start, unseen):
    trained_run.record.write_text(json.dumps({"start": start}))
    document, _ = evaluation.evaluate_run(trained_run, load_run_recipe(trained_run), discover())
    assert document["unseen"] is unseen
