from __future__ import annotations

import json
import os
from datetime import UTC, datetime

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


@pytest.mark.parametrize("made", ["evaluation/metrics.json", "artifact/onnx/model.onnx"])
def test_what_was_made_before_a_resume_is_not_of_the_run_now(run, made):
    run.last.write_bytes(b"")
    run.metrics_csv.write_text("step,valid/auc\n12,0.625\n", encoding="utf-8")
    path = run.path / made
    path.parent.mkdir(parents=True)
    path.write_text('{"metrics": {"auc": 0.5}}', encoding="utf-8")
    ended = summarize(run).state
    at = {"trained_at": "2026-01-02T03:00:00+00:00", "resumes": [{"trained_at": "2026-01-02T05:00:00+00:00"}]}
    run.record.write_text(json.dumps(at), encoding="utf-8")

    for hour, state in ((4, "stopped"), (6, ended)):
        written = datetime(2026, 1, 2, hour, tzinfo=UTC).timestamp()
        os.utime(path, (written, written))
        assert summarize(run).state == state
        assert summarize(run).metrics == {"auc": 0.5 if state == "trained" else 0.625}
