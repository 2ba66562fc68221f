from __future__ import annotations

import pytest


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_run_without_a_checkpoint_is_refused_before_anything_is_written(zoo, trained_run, more):
    trained_run.last.unlink(missing_ok=True)
    before = sorted(path.name for path in trained_run.path.rglob("*"))
    done = zoo("train", "--resume", "--run", trained_run.path, *more, check=2)
    line = f"error: {trained_run.path} has no checkpoint to go on from; start anew: zoo train --cfg RECIPE"
    assert done.stderr.splitlines() == [line]
    assert done.stdout == ""
    assert sorted(path.name for path in trained_run.path.rglob("*")) == before


def test_a_training_without_a_recipe_says_where_recipes_are_listed(zoo):
    done = zoo("train", check=2)
    assert done.stderr == "error: which recipe?; give it by --cfg RECIPE; 'zoo config check --all' lists them\n"
