from __future__ import annotations

import json

import pytest
from PIL import Image

from zoo.inference.gallery import Gallery, find_references
from zoo.inference.prediction import Prediction, Unreadable, predict
from zoo.inference.threshold import known_threshold
from zoo.models.model import Model
from zoo_core.errors import UsageError


@pytest.fixture
def model(exported):
    return Model.open(exported.artifact.path)


@pytest.fixture
def gallery(tmp_path, picture, model):
    for seed, name in enumerate(("passport", "bill", "ticket")):
        picture(tmp_path / "cards" / f"{name}.png", seed)
    return Gallery.build(find_references(tmp_path / "cards"), model)


def test_pictures_are_named_in_order_and_strangers_are_unknown(tmp_path, picture, model, gallery):
    bill = picture(tmp_path / "x/1.png", 1, (45, 100), noise=10)
    stranger = picture(tmp_path / "x/2.png", 77)
    passport = picture(tmp_path / "x/3.png", 0, (33, 50), noise=10)
    found = list(predict([bill, stranger, passport], model, gallery, 0.95))
    assert [one.label for one in found] == ["bill", None, "passport"]
    assert [one.path for one in found] == [bill, stranger, passport]
    assert found[1].score < 0.95 <= found[0].score <= 1
    assert {one.threshold for one in found} == {0.95}


def test_a_score_at_the_threshold_is_a_match(tmp_path, picture, model, gallery):
    path = picture(tmp_path / "x.png", 5)
    (first,) = predict([path], model, gallery, -1.0)
    (again,) = predict([path], model, gallery, first.score)
    assert again.label == first.label


def test_a_broken_picture_does_not_stop_the_others(tmp_path, picture, model, gallery):
    good = picture(tmp_path / "good.png", 1)
    (tmp_path / "bad.png").write_bytes(b"bad")
    found = list(predict([tmp_path / "bad.png", tmp_path / "none.png", good], model, gallery, 0.5))
    assert [type(one) for one in found] == [Unreadable, Unreadable, Prediction]
    assert "bad.png" in str(found[0].error)


def test_the_nearest_are_told_of_a_stranger_too(tmp_path, picture, model, gallery):
    (found,) = predict([picture(tmp_path / "x.png", 77)], model, gallery, 0.99, top_k=5)
    assert found.label is None
    assert {label for label, _ in found.nearest} == {"passport", "bill", "ticket"}
    assert found.score == found.nearest[0].score > found.nearest[1].score > found.nearest[2].score


@pytest.mark.parametrize(
    ("turn", "undone_by"),
    [(None, 0), (Image.Transpose.ROTATE_90, 90), (Image.Transpose.ROTATE_180, 180), (Image.Transpose.ROTATE_270, 270)],
)
def test_a_turned_picture_is_turned_back(tmp_path, picture, model, gallery, turn, undone_by):
    path = picture(tmp_path / "x.png", 1, noise=10)
    if turn is not None:
        Image.open(path).transpose(turn).save(path)
    (found,) = predict([path], model, gallery, 0.9, orientations=4)
    assert (found.label, found.turn) == ("bill", undone_by)


def test_the_threshold_is_the_models_own_or_that_of_another_false_positive_rate(exported):
    folder = exported.artifact.path
    assert known_threshold(folder).value == 0.8234568
    assert known_threshold(folder, 1e-4).value == 0.9123457
    with pytest.raises(UsageError, match=r"no threshold at a false positive rate of 1e-05; it knows 0.0001, 0.001"):
        known_threshold(folder, 1e-5)


def test_a_threshold_says_what_it_means(exported):
    config = json.loads(exported.artifact.config.read_text())
    # What an older zoo wrote.
    assert known_threshold(exported.artifact.path).describe(95) == (
        "threshold 0.8235: false positive rate 0.001 of pairs; with 95 references expect up to 0.095 of strangers to "
        "be accepted: see 'zoo calibrate'"
    )
    config["zoo"]["threshold"] |= {
        "protocol": {"name": "documents/synthetic", "digest": "0123456789ab"},
        "impostor_pairs": 1988032,
        "strangers_only": True,
        "expected_fpir": {"1": 0.001, "100": 0.062, "wrong": 3, "10": None},
    }
    exported.artifact.config.write_text(json.dumps(config))
    assert known_threshold(exported.artifact.path).describe(2000) == (
        "threshold 0.8235: false positive rate 0.001 of pairs on documents/synthetic (protocol 0123456789ab), "
        "1,988,032 pairs of strangers; with 2,000 references expect up to 1 of strangers to be accepted (there: 0.001 "
        "with 1, 0.062 with 100): see 'zoo calibrate'"
    )


def test_a_threshold_from_too_few_pairs_is_none(exported):
    document = json.loads(exported.artifact.metrics.read_text())
    document["thresholds"][0]["too_few_pairs"] = True
    exported.artifact.metrics.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"no threshold at a false positive rate of 0.0001; it knows 0.001"):
        known_threshold(exported.artifact.path, 1e-4)


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
