from __future__ import annotations

import pytest

import zoo
from zoo_core.errors import UsageError


def test_only_the_artifact_of_a_run_is_pushed(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for artifact in (exported.artifact.path, zoo.Artifact(exported.artifact.path), zoo.Run(exported.path), None):
        with pytest.raises(UsageError, match=r"^seed: a push changes only card\.\* and hub\.\*"):
            zoo.push(artifact, "org/tiny", overrides={"card.license": "mit", "seed": 1})
    alone = exported.artifact.path.rename(tmp_path / "model")
    with pytest.raises(UsageError, match=r"model lies in no run, of whose record the card is made; push the run"):
        zoo.push(alone, "org/tiny")
    with pytest.raises(UsageError, match="there is no run 'other'"):
        zoo.push("other", "org/tiny")


def test_a_run_and_an_artifact_are_paths_that_stay_the_same(tmp_path, monkeypatch, exported):
    monkeypatch.chdir(tmp_path)
    run = zoo.Run("runs/tiny/1")
    assert run.path == exported.path
    assert run == zoo.Run(exported.path)
    assert {run: 1}[zoo.Run(exported.path)] == 1
    assert zoo.Artifact(f"{run.path}/artifact").report["verified"] is True
    with pytest.raises(AttributeError):
        run.path = tmp_path
    with pytest.raises(UsageError, match=r"export\.json"):
        _ = zoo.Artifact(tmp_path).report


def test_a_name_that_is_none_is_refused_before_anything_is_asked(tmp_path):
    with pytest.raises(UsageError, match="is no name of a model on the Hub"):
        zoo.pull("tiny")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="exists already"):
        zoo.pull("org/tiny", output=tmp_path)
