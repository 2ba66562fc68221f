from __future__ import annotations

import json

import pytest

from zoo.evaluation.verdict import worse_than_untrained
from zoo.runs.layout import RunFolder

MONITOR = "tpr_at_fpr_1e-3"
BEFORE = {MONITOR: 0.075, "rank1": 0.344, "auc": 0.8384}


@pytest.fixture
def run(tmp_path):
    """Write what training recorded: `run(steps=82)`."""

    def write(*, steps, classes=2000, weights="random"):
        folder = RunFolder(tmp_path)
        record = {"images_per_step": 256, "classes": classes, "weights": {"weights": weights}}
        folder.record.write_text(json.dumps(record), encoding="utf-8")
        folder.recipe.write_text("", encoding="utf-8")
        folder.metrics_csv.write_text(f"step,epoch\n{steps},0\n", encoding="utf-8")
        return folder

    return write


def document(**after):
    return {"metrics": BEFORE | {MONITOR: 0.0246, "rank1": 0.1074, "auc": 0.7848} | after, "untrained": BEFORE}


def test_a_short_training_says_how_short_it_was(run):
    assert worse_than_untrained(document(), run(steps=82), MONITOR) == (
        "worse than the untrained model: TPR@1e-3 0.0246 (untrained 0.0750), rank-1 0.1074 (untrained 0.3440), "
        "AUC 0.7848 (untrained 0.8384); likely too short a training: 82 steps, 10 images of each of 2,000 classes; "
        "train longer, as with --max-time 15m"
    )


@pytest.mark.parametrize(
    ("steps", "classes", "weights", "reason"),
    [
        (5000, 100_000, "random", "likely too short a training: 5,000 steps, 13 images of each of 100,000 classes"),
        (5000, 100, "timm/lcnet_050.ra2_in1k", "too high a learning rate for pretrained weights"),
        (5000, 100, "random", "training data unlike those of the validation"),
    ],
)
def test_a_long_training_has_another_reason(run, steps, classes, weights, reason):
    folder = run(steps=steps, classes=classes, weights=weights)
    assert reason in worse_than_untrained(document(), folder, MONITOR)


@pytest.mark.parametrize(
    ("trained", "untrained"),
    [
        (document(rank1=0.4, auc=0.9)["metrics"], BEFORE),
        (BEFORE, BEFORE),
        (document()["metrics"], None),
        (document()["metrics"], {}),
    ],
    ids=["one of three", "equal", "not measured", "without figures"],
)
def test_a_model_that_is_no_worse_is_not_called_so(run, trained, untrained):
    assert worse_than_untrained({"metrics": trained, "untrained": untrained}, run(steps=9), MONITOR) is None
