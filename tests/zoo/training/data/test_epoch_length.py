"""The progress within an epoch whose number of batches has changed."""

from __future__ import annotations

import lightning
import pytest

from zoo.training.data.epoch_length import EpochLength

NAMES = ("ready", "started", "processed", "completed")


@pytest.fixture
def trainer():
    """A trainer within an epoch: one batch is being trained on."""
    made = lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    current = made.fit_loop.epoch_loop.batch_progress.current
    current.ready, current.started, current.processed, current.completed = 8, 7, 6, 5
    return made


def progress(trainer):
    current = trainer.fit_loop.epoch_loop.batch_progress.current
    return [getattr(current, name) for name in NAMES]


def resumed(trainer, batches):
    """The callback of a training that resumes one with so many batches in an epoch."""
    callback = EpochLength()
    callback.on_load_checkpoint(trainer, None, {"zoo": {"batches_per_epoch": batches}})
    assert callback.batches == batches
    return callback


def test_a_new_training_keeps_its_progress_and_saves_its_number(trainer):
    callback = EpochLength()
    assert callback.batches == 0
    callback.set_batches(trainer, 40)
    assert progress(trainer) == [8, 7, 6, 5]
    checkpoint = {}
    callback.on_save_checkpoint(trainer, None, checkpoint)
    assert checkpoint == {"zoo": {"batches_per_epoch": 40}}


def test_the_number_is_saved_beside_what_others_save(trainer):
    checkpoint = {"zoo": {"display": 1}, "state_dict": {}}
    EpochLength().on_save_checkpoint(trainer, None, checkpoint)
    assert checkpoint == {"zoo": {"display": 1, "batches_per_epoch": 0}, "state_dict": {}}


@pytest.mark.parametrize("checkpoint", [{}, {"zoo": {}}, {"zoo": {"display": 1}}], ids=str)
def test_a_checkpoint_without_the_number_changes_nothing(trainer, checkpoint):
    callback = EpochLength()
    callback.batches = 9
    callback.on_load_checkpoint(trainer, None, checkpoint)
    assert callback.batches == 0
    callback.set_batches(trainer, 40)
    assert progress(trainer) == [8, 7, 6, 5]


@pytest.mark.parametrize(
    ("before", "batches", "expected"),
    [
        (10, 10, [8, 7, 6, 5]),
        (10, 20, [16, 14, 12, 10]),
        (10, 3, [2, 2, 1, 1]),
        (10, 1, [0, 0, 0, 0]),
        (1, 2, [2, 2, 2, 2]),
        # A checkpoint of more batches than its epoch had, as after a limit that was lowered.
        (6, 3, [3, 3, 3, 2]),
    ],
)
def test_a_resumed_epoch_goes_on_at_the_same_share_of_it(trainer, before, batches, expected):
    callback = resumed(trainer, before)
    callback.set_batches(trainer, batches)
    assert callback.batches == batches
    assert progress(trainer) == expected
    # Once: the next loader of the same training has the same number.
    callback.set_batches(trainer, batches)
    assert progress(trainer) == expected
