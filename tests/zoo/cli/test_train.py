from __future__ import annotations

import pytest


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
