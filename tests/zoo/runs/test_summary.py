from __future__ import annotations

import json

import pytest

from zoo.runs.layout import RunFolder
from zoo.runs.lock import locked
from zoo.runs.summary import summarize


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "small" / "1")
    run.checkpoints.mkdir(parents=True)
    run.recipe.write_text("seed: 0\n", encoding="utf-8")
    return run


def test_the_state_is_told_by_what_the_folder_holds(run):
    assert summarize(run).state == "empty"
    run.last.write_bytes(b"")
    assert summarize(run).state == "stopped"
    run.evaluation.mkdir()
    (run.evaluation / "metrics.json").write_text('{"metrics": {"auc": 0.5}}', encoding="utf-8")
    assert summarize(run).state == "trained"
    run.artifact.onnx.parent.mkdir(parents=True)
    run.artifact.onnx.write_bytes(b"")
    assert summarize(run).state == "exported"
    with locked(run, new=False):
        assert summarize(run).state == "running"
    assert summarize(run).state == "exported"


def test_figures_are_those_of_the_evaluation_else_of_the_last_validation(run):
    run.metrics_csv.write_text("step,valid/auc\n6,0.5\n12,0.625\n", encoding="utf-8")
    run.evaluation.mkdir()
    (run.evaluation / "untrained.json").write_text('{"auc": 0.25}', encoding="utf-8")
    summary = summarize(run)
    assert (summary.steps, summary.metrics, summary.untrained) == (12, {"auc": 0.625}, {"auc": 0.25})

    document = {"metrics": {"auc": 0.75}, "untrained": {"auc": 0.125}}
    (run.evaluation / "metrics.json").write_text(json.dumps(document), encoding="utf-8")
    summary = summarize(run)
    assert (summary.metrics, summary.untrained) == ({"auc": 0.75}, {"auc": 0.125})


def test_what_a_killed_training_left_half_written_is_left_out(run):
    run.metrics_csv.write_text("step,loss,valid/auc\n6,1.5", encoding="utf-8")
    run.record.write_text("{", encoding="utf-8")
    summary = summarize(run)
    assert (summary.steps, summary.metrics, summary.record) == (6, {}, {})
