from __future__ import annotations

import json

import pytest

from zoo.inference.gallery import Gallery, find_references
from zoo.inference.prediction import Prediction, Unreadable, find_queries, predict
from zoo.inference.threshold import known_threshold
from zoo.models.onnx_embedder import Embedder
from zoo_core.errors import UsageError


@pytest.fixture
def embedder(exported):
    return Embedder.open(exported.artifact.path)


@pytest.fixture
def gallery(tmp_path, picture, embedder):
    for seed, name in enumerate(("passport", "bill", "ticket")):
        picture(tmp_path / "cards" / f"{name}.png", seed)
    return Gallery.build(find_references(tmp_path / "cards"), embedder)


def test_pictures_are_named_in_order_and_strangers_are_unknown(tmp_path, picture, embedder, gallery):
    bill = picture(tmp_path / "x/1.png", 1, (45, 100), noise=10)
    stranger = picture(tmp_path / "x/2.png", 77)
    passport = picture(tmp_path / "x/3.png", 0, (33, 50), noise=10)
    found = list(predict([bill, stranger, passport], embedder, gallery, 0.95))
    assert [one.label for one in found] == ["bill", None, "passport"]
    assert [one.path for one in found] == [bill, stranger, passport]
    assert found[1].score < 0.95 <= found[0].score <= 1
    assert {one.threshold for one in found} == {0.95}


def test_a_score_at_the_threshold_is_a_match(tmp_path, picture, embedder, gallery):
    path = picture(tmp_path / "x.png", 5)
    (first,) = predict([path], embedder, gallery, -1.0)
    (again,) = predict([path], embedder, gallery, first.score)
    assert again.label == first.label


def test_a_broken_picture_does_not_stop_the_others(tmp_path, picture, embedder, gallery):
    good = picture(tmp_path / "good.png", 1)
    (tmp_path / "bad.png").write_bytes(b"bad")
    found = list(predict([tmp_path / "bad.png", tmp_path / "none.png", good], embedder, gallery, 0.5))
    assert [type(one) for one in found] == [Unreadable, Unreadable, Prediction]
    assert "bad.png" in str(found[0].error)


def test_folders_among_the_queries_are_searched(tmp_path, picture):
    one, two = picture(tmp_path / "in/b.png", 0), picture(tmp_path / "in/deep/a.png", 0)
    assert find_queries([tmp_path / "in", tmp_path / "alone.png"]) == [one, two, tmp_path / "alone.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no pictures"):
        find_queries([tmp_path / "empty"])


def test_the_threshold_is_the_models_own_or_that_of_another_false_positive_rate(exported):
    model = exported.artifact.path
    assert known_threshold(model) == 0.8234568
    assert known_threshold(model, 1e-4) == 0.9123457
    with pytest.raises(UsageError, match=r"no threshold at a false positive rate of 1e-05; it knows 0.0001, 0.001"):
        known_threshold(model, 1e-5)


def test_without_an_evaluation_a_threshold_has_to_be_given(exported):
    config = json.loads(exported.artifact.config.read_text())
    config["zoo"]["threshold"] = None
    exported.artifact.config.write_text(json.dumps(config))
    exported.artifact.metrics.unlink()
    for fpr in (None, 1e-3):
        with pytest.raises(UsageError, match="--threshold X"):
            known_threshold(exported.artifact.path, fpr)
    with pytest.raises(UsageError, match="--threshold X"):
        known_threshold(exported.artifact.onnx)


@pytest.mark.parametrize("value", ["NaN", float("nan"), float("inf"), True, [0.5], {}])
def test_a_threshold_that_is_not_a_finite_number_is_refused(exported, value):
    config, metrics = (json.loads(path.read_text()) for path in (exported.artifact.config, exported.artifact.metrics))
    config["zoo"]["threshold"]["value"] = value
    metrics["thresholds"][0]["threshold"] = value
    exported.artifact.config.write_text(json.dumps(config))
    exported.artifact.metrics.write_text(json.dumps(metrics))
    for fpr, place in ((None, r"config.json: zoo.threshold.value"), (1e-4, "metrics.json: threshold")):
        with pytest.raises(UsageError, match=rf"{place} is .*, not a finite number; give --threshold X"):
            known_threshold(exported.artifact.path, fpr)


@pytest.mark.parametrize("document", [[], 3, None, {}, {"thresholds": 3}, {"thresholds": [{}]}, {"thresholds": ["a"]}])
def test_a_malformed_evaluation_is_one_line(exported, document):
    exported.artifact.metrics.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"metrics.json: not what 'zoo eval' writes"):
        known_threshold(exported.artifact.path, 1e-3)


def test_a_target_that_is_no_number_is_refused(exported):
    exported.artifact.metrics.write_text(json.dumps({"thresholds": [{"fpr_target": "NaN", "threshold": 0.5}]}))
    with pytest.raises(UsageError, match=r"metrics.json: fpr_target is 'NaN', not a finite number"):
        known_threshold(exported.artifact.path, 1e-3)
