"""The schedule follows the share of the run that is done, whatever limits the run."""

from __future__ import annotations

import csv

import pytest

PEAK = 4e-3
STRAIGHT = "lr_scheduler={name: polynomial_warmup, options: {warmup: 0.0}}"


def rows(folder):
    with folder.metrics_csv.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("limits", "steps"),
    [
        (["trainer.max_epochs=2"], 12),
        (["trainer.max_epochs=100", "trainer.max_steps=9"], 9),
        (["trainer.max_epochs=-1", "trainer.max_steps=9"], 9),
        (["trainer.max_epochs=2", "trainer.accumulate_grad_batches=2"], 6),
        (["trainer.max_epochs=2", "trainer.limit_train_batches=4"], 8),
    ],
)
def test_the_last_step_is_taken_at_the_end_of_the_schedule(train, limits, steps):
    folder, _ = train("run", STRAIGHT, *limits)

    last = rows(folder)[-1]
    assert int(last["step"]) == steps
    assert float(last["progress"]) == pytest.approx(1 - 1 / steps, abs=1e-4)
    assert float(last["lr"]) == pytest.approx(PEAK / steps)


def test_a_resumed_run_goes_on_with_its_steps_and_its_schedule(train, resume, interrupt_at):
    whole, _ = train("whole", STRAIGHT)
    release = interrupt_at(8)
    halves, _ = train("halves", STRAIGHT)
    release()
    resume(halves)

    columns = ("step", "epoch", "progress", "loss", "lr", "scale", "margin", "valid/auc")
    assert [[row[name] for name in columns] for row in rows(halves)] == [
        [row[name] for name in columns] for row in rows(whole)
    ]


def test_a_resumed_run_has_only_the_rest_of_its_time(train, resume, interrupt_at):
    endless = ["trainer.max_epochs=100000", "trainer.max_time=00:00:00:06"]
    release = interrupt_at(4)
    folder, first = train("run", STRAIGHT, *endless)
    assert first.interrupted
    release()
    resume(folder)

    last = rows(folder)[-1]
    assert float(last["progress"]) > 0.9
    assert float(last["lr"]) < 0.1 * PEAK
    # A clock that began anew would have gone back.
    progress = [float(row["progress"]) for row in rows(folder)]
    assert progress == sorted(progress)
