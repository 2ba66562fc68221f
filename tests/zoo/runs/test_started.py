"""Relative paths of a run's recipe, wherever it is looked at from and wherever it has been moved."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from zoo.runs.layout import RunFolder
from zoo.runs.started import place_of, started_folder


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a run that was started in it."""
    folder = tmp_path / "project"
    run = RunFolder(folder / "runs" / "small" / "1")
    run.path.mkdir(parents=True)
    monkeypatch.chdir(folder)
    run.record.write_text(json.dumps(place_of(run)), encoding="utf-8")
    return folder


def folder_of(path):
    return started_folder(RunFolder(path))


def test_a_run_belongs_to_the_project_that_it_was_started_in_and_a_copy_to_the_copy(project, tmp_path):
    inside = "runs/small/1"
    assert folder_of(project / inside) == project
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    assert folder_of(copy / inside) == copy
    # A run alone, copied or moved, still needs the data of its project.
    shutil.copytree(project / inside, tmp_path / "alone")
    assert folder_of(tmp_path / "alone") == project
    (tmp_path / "archive" / "runs" / "small").mkdir(parents=True)
    (project / inside).rename(tmp_path / "archive" / inside)
    assert folder_of(tmp_path / "archive" / inside) == project
    project.rename(tmp_path / "gone")
    assert folder_of(copy / inside) == copy
    assert folder_of(tmp_path / "alone") is None


def test_a_run_outside_of_where_it_was_started_and_a_record_without_its_place(project, tmp_path):
    run = RunFolder(tmp_path / "elsewhere")
    run.path.mkdir()
    assert started_folder(run) is None
    run.record.write_text(json.dumps(place_of(run)), encoding="utf-8")
    assert started_folder(run) == project
    run.record.write_text(json.dumps({"folder": 3, "run": []}), encoding="utf-8")
    assert started_folder(run) is None


def test_eval_and_export_find_relative_data_from_another_folder(zoo, trained_run, picture, tmp_path):
    for number in range(12):
        picture(tmp_path / "cards" / str(number // 3) / f"{number}.png", number)
    recipe = yaml.safe_load(trained_run.recipe.read_text(encoding="utf-8"))
    recipe["data"]["valid"] = {"name": "images/folder", "options": {"root": "cards"}}
    trained_run.recipe.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    place = {"folder": str(tmp_path), "run": "runs/small/1"}
    trained_run.record.write_text(json.dumps(place), encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()

    words = ("--run", "../runs/small/1")
    done = zoo("eval", *words, "--json", cwd=tmp_path / "elsewhere", check=0)
    assert json.loads(done.stdout)["evaluation"]["counts"]["images"] == 12
    assert f"paths in the recipe are relative to {tmp_path}, where the run was started" in done.stderr
    zoo("export", *words, "-o", "graph.onnx", cwd=tmp_path / "elsewhere", check=0)
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["graph.onnx"]
