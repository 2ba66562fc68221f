"""The schedule follows the share of the run that is done, whatever limits the run."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from lightning.pytorch.callbacks import Timer

from zoo.training.callbacks.progress import FollowProgress, local_progress, progress_of

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


class HalfTime(Timer):
    """Ran for 30 seconds of a minute."""

    def __init__(self, elapsed=30.0, remaining=30.0):
        super().__init__()
        self.elapsed, self.remaining = elapsed, remaining

    def time_elapsed(self, *_):
        return self.elapsed

    def time_remaining(self, *_):
        return self.remaining


# By default the third of eighteen steps is done, in the first of three epochs of six batches.
@pytest.mark.parametrize(
    ("step", "changes", "expected"),
    [
        (3, {}, 1 / 6),
        (0, {}, 0),
        (18, {"current_epoch": 2}, 1),
        (30, {}, 1),
        # Steps alone.
        (3, {"max_epochs": -1}, 1 / 6),
        (3, {"max_epochs": None}, 1 / 6),
        (3, {"num_training_batches": math.inf, "estimated_stepping_batches": 12}, 1 / 4),
        (3, {"num_training_batches": 0, "estimated_stepping_batches": 12}, 1 / 4),
        (1, {"num_training_batches": 0, "estimated_stepping_batches": 1}, 1),
        # Epochs alone.
        (9, {"estimated_stepping_batches": math.inf}, 0.5),
        (9, {"estimated_stepping_batches": -1}, 0.5),
        (9, {"estimated_stepping_batches": 0}, 0.5),
        (0, {"estimated_stepping_batches": 0, "current_epoch": 1, "max_epochs": 2, "num_training_batches": 1}, 0.5),
        # The further of both.
        (3, {"estimated_stepping_batches": 6}, 0.5),
        (3, {"current_epoch": 1}, 0.5),
        # Five batches are two steps of two, and a third of one; five batches ahead of them were no whole steps.
        (5, {"estimated_stepping_batches": math.inf, "accumulate_grad_batches": 2, "num_training_batches": 5}, 2 / 9),
        # Neither.
        (3, {"estimated_stepping_batches": math.inf, "num_training_batches": math.inf}, 0),
        # Time.
        (3, {"callbacks": [None, HalfTime()]}, 0.5),
        (12, {"callbacks": [HalfTime()], "current_epoch": 1}, 2 / 3),
        (3, {"callbacks": [HalfTime(remaining=None)]}, 1 / 6),
        (0, {"callbacks": [HalfTime(0.0, 0.0)]}, 0),
        (3, {"callbacks": [HalfTime(10.0, 30.0), HalfTime(30.0, 10.0)]}, 0.75),
        (3, {"callbacks": [HalfTime(30.0, -3.0)]}, 1),
        (0, {"callbacks": [HalfTime(0.25, 0.25)]}, 0.5),
    ],
)
def test_how_far_a_training_is(standing, step, changes, expected):
    assert local_progress(standing(step, **changes)) == pytest.approx(expected)
    assert progress_of(standing(step, **changes)) == pytest.approx(expected)


def test_the_module_follows_the_progress_that_the_first_rank_tells(standing):
    followed = []
    module = SimpleNamespace(follow=followed.append)
    trainer = standing(9, world_size=2)
    trainer.strategy = SimpleNamespace(broadcast=lambda mine: mine + 0.125)
    FollowProgress().on_train_batch_start(trainer, module, None, 0)
    trainer.world_size = 1
    FollowProgress().on_train_batch_start(trainer, module, None, 0)
    assert followed == [0.625, 0.5]
