"""The schedule follows the share of the run that is done, whatever limits the run."""

from __future__ import annotations

import pytest

PEAK = 4e-3
STRAIGHT = "lr_scheduler={name: polynomial_warmup, options: {warmup: 0.0}}"


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
def test_the_last_step_is_taken_at_the_end_of_the_schedule(train, limits, steps, read_curves):
    folder, _ = train("run", STRAIGHT, *limits)

    last = read_curves(folder)[-1]
    assert int(last["step"]) == steps
    assert float(last["progress"]) == pytest.approx(1 - 1 / steps, abs=1e-4)
    assert float(last["lr"]) == pytest.approx(PEAK / steps)


def test_a_resumed_run_goes_on_with_its_steps_and_its_schedule(train, resume, interrupt_at, read_curves):
    whole, _ = train("whole", STRAIGHT)
    release = interrupt_at(8)
    halves, _ = train("halves", STRAIGHT)
    release()
    resume(halves)

    columns = ("step", "epoch", "progress", "loss", "lr", "scale", "margin", "valid/auc")
    assert [[row[name] for name in columns] for row in read_curves(halves)] == [
        [row[name] for name in columns] for row in read_curves(whole)
    ]


@pytest.mark.usefixtures("a_second_a_step")
def test_a_resumed_run_has_only_the_rest_of_its_time(train, resume, interrupt_at, read_curves):
    release = interrupt_at(4)
    folder, first = train("run", STRAIGHT, "trainer.max_epochs=100000", "trainer.max_time=00:00:00:10")
    assert first.interrupted
    release()
    resume(folder)

    last = read_curves(folder)[-1]
    assert int(last["step"]) == 10
    assert float(last["progress"]) == pytest.approx(9 / 10)
    assert float(last["lr"]) == pytest.approx(PEAK / 10)
