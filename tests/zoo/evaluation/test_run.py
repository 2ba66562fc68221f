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
from zoo.evaluation.measurement import measure
from zoo.evaluation.writing import write
from zoo.metrics.identification import rank1
from zoo.metrics.summary import summary
from zoo.metrics.verification import verify
from zoo.models import torch_model
from zoo.recipes.loading import load_run_recipe
from zoo.validation.embedded_images import EmbeddedImages
from zoo_core.discovery import discover
from zoo_core.errors import RunError, UsageError

UNKNOWN = {"tpr_at_fpr_1e-5", "tpr_at_fpr_1e-4"}


@pytest.fixture
def embedded():
    generator = np.random.default_rng(0)
    embeddings = np.repeat(generator.normal(size=(40, 8)), 5, axis=0) + 0.6 * generator.normal(size=(200, 8))
    labels = np.repeat(np.arange(40), 5)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return EmbeddedImages(unit.astype(np.float32), labels, np.arange(200) % 5 == 0, np.arange(200))


def written(embedded, folder):
    return write(measure(embedded), folder, title="a title", context={"data": {"name": "x"}})


def test_all_files_tell_the_same(embedded, tmp_path):
    document, paths = written(embedded, tmp_path)
    assert {path.name for path in paths} == {path.name for path in tmp_path.iterdir()}
    assert json.loads((tmp_path / "metrics.json").read_text()) == document
    expected = summary(embedded.embeddings, embedded.labels, embedded.is_reference)
    # 19,500 pairs: a rate of 1e-4 would be known from two of them.
    assert not UNKNOWN & set(document["metrics"])
    assert document["metrics"].items() >= {name: expected[name] for name in expected if name not in UNKNOWN}.items()
    for name in ("auc", "rank1", "tpr_at_fpr_1e-2"):
        low, high = document["intervals"][name]
        assert low < document["metrics"][name] < high
    assert {one["references"] for one in document["open_set"]} == {1, 2, 4}
    assert document["docclassifier"]["pairs"] == 200 * 199 / 2
    expected = document["thresholds"][2]["expected_fpir"]
    # 39 other classes of five: galleries of up to 195 references.
    assert list(expected) == ["1", "10", "100"]
    assert expected["1"] == pytest.approx(document["thresholds"][2]["fpr"], rel=1e-6)
    assert [point["too_few_pairs"] for point in document["thresholds"]] == [True, True, False, False, False]
    pairs = {"genuine_pairs": 400, "impostor_pairs": 19500, "look_alike_pairs": 0}
    assert document["counts"] == {"images": 200, "classes": 40, **pairs}
    rows = list(csv.DictReader((tmp_path / "thresholds.csv").open()))
    assert [float(row["threshold"]) for row in rows] == [point["threshold"] for point in document["thresholds"]]
    assert document["look_alikes"] is None


def test_look_alikes_are_reported_apart_and_move_no_threshold(embedded, tmp_path):
    # The second class is the first one again.
    twins = embedded.embeddings.copy()
    twins[5:10] = twins[0:5]
    plain, _ = written(replace(embedded, embeddings=twins), tmp_path)
    groups = np.where(embedded.labels == 1, 0, embedded.labels)
    document, _ = written(replace(embedded, embeddings=twins, groups=groups), tmp_path)
    assert document["counts"]["look_alike_pairs"] == 25
    assert document["counts"]["impostor_pairs"] == plain["counts"]["impostor_pairs"] - 25
    assert document["metrics"]["look_alike_auc"] < document["metrics"]["auc"]
    assert document["metrics"]["auc"] > plain["metrics"]["auc"]
    at = {point["fpr_target"]: point for point in document["thresholds"]}
    assert at[1e-3]["threshold"] < {point["fpr_target"]: point for point in plain["thresholds"]}[1e-3]["threshold"]
    unit = twins / np.linalg.norm(twins, axis=1, keepdims=True)
    accepted = (unit[0:5] @ unit[5:10].T >= at[1e-3]["threshold"]).mean()
    assert at[1e-3]["look_alike_fpr"] == pytest.approx(accepted)
    assert accepted >= 0.2


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
def test_an_earlier_file_that_is_no_mapping_is_refused(trained_run, name):
    trained_run.evaluation.mkdir()
    (trained_run.evaluation / name).write_text("[]")
    with pytest.raises(UsageError, match=rf"{name}: holds a JSON list instead of a mapping"):
        evaluation.evaluate_run(trained_run, load_run_recipe(trained_run), discover())


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
    strangers = verify(expected.embeddings, expected.labels, expected.groups)
    assert strangers.look_alike_pairs == document["counts"]["look_alike_pairs"] == 9
    figures = document["metrics"]
    assert figures["auc"] == pytest.approx(strangers.auc, abs=1e-3)
    assert figures["rank1"] == pytest.approx(rank1(expected.embeddings, expected.labels, expected.is_reference))
    assert {name for name in figures if "tpr" in name} == {"tpr_at_fpr_1e-1"}
    assert 0 <= figures["look_alike_auc"] <= 1
    assert document["counts"]["classes"] == 6
    assert (
        document["data"].items() >= {"name": "documents/synthetic", "options": loaded.recipe.data.valid.options}.items()
    )
    assert len(document["weights_sha256"]) == 64


def evaluated(run):
    return evaluation.evaluate_run(run, load_run_recipe(run), discover())[0]


def test_what_the_untrained_model_could_do_is_kept_where_it_was_measured_in_the_same_way(trained_run):
    first = evaluated(trained_run)
    assert first["untrained"] is None
    file = trained_run.evaluation / "untrained.json"
    file.write_text(json.dumps({"auc": 0.5, "protocol": first["protocol"]}))
    assert evaluated(trained_run)["untrained"] == {"auc": 0.5}
    file.unlink()
    assert evaluated(trained_run)["untrained"] == {"auc": 0.5}
    file.write_text(json.dumps({"auc": 0.5, "protocol": {**first["protocol"], "digest": "0" * 12}}))
    assert evaluated(trained_run)["untrained"] is None
    # Before look-alikes were counted apart.
    file.write_text('{"auc": 0.5}')
    assert evaluated(trained_run)["untrained"] is None


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
