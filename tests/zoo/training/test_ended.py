"""A resume of a training that has nothing left to train."""

from __future__ import annotations

import json

import pytest

from zoo.training.ended import ended_training


@pytest.mark.slow
def test_it_is_said_in_a_line_and_changes_nothing(zoo, tiny_recipe, tmp_path):
    run = tmp_path / "run"
    zoo("train", "--cfg", tiny_recipe, "--output", run, "trainer.max_epochs=1", check=0)

    def files():
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*") if path.is_file()}

    before = files()
    done = zoo("train", "--resume", "--run", run, check=0)

    line = f"{run}: nothing is left to train after epoch 1, step 6; "
    line += f"to train on: zoo train --resume --run {run} trainer.max_epochs=N (above 1)\n"
    assert (done.stderr, done.stdout) == (line, "")
    found = json.loads(zoo("train", "--resume", "--run", run, "--json", check=0).stdout)
    assert found == {"schema": 1, "run": str(run), "ended": {"epochs": 1, "steps": 6}}
    # By record.json, `latest` too finds the run that it found before.
    assert files() == before

    # What was killed between its training and its evaluation is evaluated.
    (run / "evaluation" / "metrics.json").unlink()
    done = zoo("train", "--resume", "--run", run, check=0)
    assert done.stderr.startswith(line)
    assert (run / "evaluation" / "metrics.json").is_file()
    assert {path for path, content in files().items() if content != before[path]} <= set(run.glob("evaluation/*"))


def test_each_limit_that_is_reached_is_named(train, resume):
    folder, _ = train("run", "trainer.max_epochs=1", "trainer.max_time=00:01:00:00")
    of = {
        "epochs": {"max_epochs": 1},
        "steps": {"max_epochs": 4, "max_steps": 6},
        "time": {"max_epochs": -1, "max_time": "00:00:00:00"},
        "nothing": {"max_epochs": 2, "max_steps": -1, "max_time": "00:01:00:00"},
    }
    found = {name: ended_training(folder, trainer) for name, trainer in of.items()}
    assert found.pop("nothing") is None
    assert {name: one.limits for name, one in found.items()} == {
        "epochs": ("trainer.max_epochs=N (above 1)",),
        "steps": ("trainer.max_steps=N (above 6)",),
        "time": ("trainer.max_time=DD:HH:MM:SS (above 00:00:00:00)",),
    }
    resume(folder, "trainer.max_epochs=2")
    assert ended_training(folder, {"max_epochs": 3}) is None
    folder.last.write_bytes(b"no checkpoint")
    assert ended_training(folder, {"max_epochs": 1}) is None
