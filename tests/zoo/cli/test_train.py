from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import pytest
from click.testing import CliRunner


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_run_without_a_checkpoint_is_refused_before_anything_is_written(zoo, trained_run, more):
    trained_run.last.unlink(missing_ok=True)
    before = sorted(path.name for path in trained_run.path.rglob("*"))
    done = zoo("train", "--resume", "--run", trained_run.path, *more, check=2)
    line = f"error: {trained_run.path} has no checkpoint to go on from; start anew: zoo train RECIPE"
    assert done.stderr.splitlines() == [line]
    assert done.stdout == ""
    assert sorted(path.name for path in trained_run.path.rglob("*")) == before


def test_a_training_without_a_recipe_says_where_recipes_are_listed(zoo):
    done = zoo("train", check=2)
    assert done.stderr == "error: which recipe?; name one of those that 'zoo recipes' lists\n"


@pytest.mark.usefixtures("tiny_recipe")
@pytest.mark.parametrize("command", [["train", "--dry-run"], ["config", "show"], ["data", "preview", "-o", "a.txt"]])
def test_a_recipe_is_named_with_and_without_cfg(zoo, command):
    by_option, by_word = zoo(*command, "--cfg", "tiny.yaml", "seed=7"), zoo(*command, "seed=7", "tiny.yaml")
    assert (by_word.returncode, by_word.stdout, by_word.stderr) == (
        by_option.returncode,
        by_option.stdout,
        by_option.stderr,
    )
    twice = zoo(*command, "tiny.yaml", "lcnet050_cosface_96", check=2)
    assert twice.stderr == (
        "error: one recipe at a time, not tiny.yaml and lcnet050_cosface_96; changes to it read KEY=VALUE\n"
    )


def test_a_recipe_that_is_none_is_named(zoo):
    assert "did you mean 'lcnet050_cosface_96'" in zoo("train", "lcnet50_cosface_96", check=2).stderr


def test_a_training_that_is_stopped_before_its_first_step_leaves_nothing(tiny_recipe, tmp_path, monkeypatch):
    from zoo.cli.main import cli
    from zoo.training.module import EmbeddingTraining

    monkeypatch.setattr(EmbeddingTraining, "validation_step", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    words = ["train", "--cfg", str(tiny_recipe), "--output", str(tmp_path / "run"), "data.loader.num_workers=0"]
    done = CliRunner().invoke(cli, words)

    assert done.exit_code == 143, done.output
    assert "stopped before the first step; nothing to resume" in done.stderr
    assert not (tmp_path / "run").exists()


def test_curves_in_a_folder_that_is_refused_stay(zoo, tiny_recipe, tmp_path):
    curves = tmp_path / "run" / "tensorboard" / "events.out.tfevents.1"
    curves.parent.mkdir(parents=True)
    curves.write_text("somebody's")
    zoo("train", "--cfg", tiny_recipe, "--output", tmp_path / "run", check=2)
    assert curves.read_text() == "somebody's"


@pytest.mark.parametrize(
    ("variable", "rank", "says"), [("LOCAL_RANK", "0", 1), ("LOCAL_RANK", "1", 0), ("RANK", "1", 0)]
)
def test_one_rank_prints_the_notes_of_a_recipe(variable, rank, says, monkeypatch, capsys):
    from zoo.cli.options import load

    loaded = SimpleNamespace(notes=("it is so",), warnings=("it is odd",))
    monkeypatch.setattr("zoo.recipes.loading.load_recipe", lambda *_, **__: loaded)
    monkeypatch.setenv(variable, rank)
    assert load("any", ()) is loaded
    error = capsys.readouterr().err
    assert [error.count("it is so"), error.count("it is odd")] == [says, says]
