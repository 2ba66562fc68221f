"""The last checkpoint between validations: when it is written, and what that may cost."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from zoo.recipes.schema import CheckpointSection
from zoo.training.callbacks.saving import SaveBetweenValidations
from zoo.training.callbacks.stopping import StopRequested
from zoo.training.signals import StopSignals


class Clock:
    """Moves when a step or a save takes its time."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def run(steps, *, step_seconds, save_seconds, accumulate=1, batches=10**6, **section):
    """Let that many batches pass, and return at which step each save came, and the seconds of all."""
    clock, saves, signals = Clock(), [], StopSignals()

    def save(_path):
        saves.append(trainer.global_step)
        clock.now += save_seconds

    progress = SimpleNamespace(is_last_batch=False)
    trainer = SimpleNamespace(
        global_step=0,
        current_epoch=0,
        ckpt_path=None,
        world_size=1,
        should_stop=False,
        val_check_batch=batches,
        check_val_every_n_epoch=1,
        save_checkpoint=save,
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
    )
    callback = SaveBetweenValidations("last.ckpt", CheckpointSection(**section), signals, clock=clock)
    callback.on_train_start(trainer, None)
    for batch in range(steps):
        clock.now += step_seconds
        trainer.global_step += (batch + 1) % accumulate == 0
        progress.is_last_batch = (batch + 1) % batches == 0
        callback.on_train_batch_end(trainer, None, None, None, batch % batches)
    return saves, clock.now


def test_the_default_is_every_five_minutes():
    saves, _ = run(1000, step_seconds=1, save_seconds=0.5)
    assert saves == [0, 300, 600, 900]


@pytest.mark.parametrize("save_seconds", [0.01, 1, 2.9, 3.1, 60, 600])
def test_saving_by_time_takes_at_most_a_hundredth(save_seconds):
    saves, seconds = run(200_000, step_seconds=2, save_seconds=save_seconds)
    assert len(saves) > 5
    # The first is written before training.
    assert (len(saves) - 1) * save_seconds <= 0.01 * (seconds - save_seconds)


def test_saves_by_steps_come_at_exactly_these():
    saves, _ = run(10, step_seconds=1, save_seconds=100, every_minutes=None, every_steps=4)
    assert saves == [0, 4, 8]


def test_neither_is_never():
    assert run(10**4, step_seconds=60, save_seconds=1, every_minutes=None)[0] == [0]


def test_nothing_is_saved_amid_accumulated_batches_or_before_a_validation():
    saves, _ = run(40, step_seconds=1, save_seconds=0, accumulate=3, every_minutes=None, every_steps=1)
    assert saves == list(range(14))
    saves, _ = run(12, step_seconds=1, save_seconds=0, batches=4, every_minutes=None, every_steps=1)
    assert saves == [0, 1, 2, 3, 5, 6, 7, 9, 10, 11]


def test_a_signal_saves_at_the_next_step_and_stops(monkeypatch):
    monkeypatch.setattr(StopSignals, "listen", lambda signals: setattr(signals, "number", 15))
    saves = []
    with pytest.raises(StopRequested):
        saves, _ = run(5, step_seconds=1, save_seconds=0)
    assert saves == []


def test_checkpoints_by_steps_are_written_in_a_real_training(train, monkeypatch):
    from zoo.training.checkpoints import AtomicCheckpointIO

    written, save = [], AtomicCheckpointIO.save_checkpoint

    def watching(self, checkpoint, path, storage_options=None):
        written.append((checkpoint["global_step"], Path(path).name))
        save(self, checkpoint, path, storage_options)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", watching)
    train("run", "checkpoint.every_steps=4", "trainer.max_epochs=1")
    # Before the first step, at the fourth of six, at the validation, at the end.
    assert [step for step, name in written if name == "last.ckpt"] == [0, 4, 6, 6]


@pytest.fixture
def signalled(monkeypatch):
    """Ask for the end, by a real signal, in the first call of a method of the module."""
    from zoo.training.module import EmbeddingTraining

    def on(method):
        original, sent = getattr(EmbeddingTraining, method), []

        def sending(self, *arguments, **options):
            if not sent and not self.trainer.sanity_checking:
                sent.append(os.kill(os.getpid(), signal.SIGTERM))
            return original(self, *arguments, **options)

        monkeypatch.setattr(EmbeddingTraining, method, sending)

    return on


ONE_STEP = ("data.loader.batch_size=96", "trainer.max_epochs=4")


@pytest.mark.parametrize(
    ("method", "overrides", "step"),
    [
        ("training_step", ONE_STEP, 1),
        ("validation_step", ONE_STEP, 1),
        ("training_step", (*ONE_STEP, "trainer.check_val_every_n_epoch=100"), 1),
        ("training_step", ("trainer.max_epochs=4", "trainer.accumulate_grad_batches=6"), 1),
        (
            "training_step",
            ("trainer.max_epochs=4", "trainer.val_check_interval=2", "trainer.accumulate_grad_batches=2"),
            1,
        ),
    ],
    ids=["validated", "in the validation", "not validated", "accumulated", "each step validated"],
)
def test_a_signal_is_obeyed_where_no_step_comes_before_the_epochs_end(
    method, overrides, step, signalled, train, resume, state_of
):
    signalled(method)
    folder, outcome = train("run", *overrides)

    assert outcome.interrupted
    assert state_of(folder.last)["global_step"] == step
    assert folder.best.is_file() == ("check_val" not in str(overrides))

    resume(folder)
    whole, _ = train("whole", *overrides)
    expected, found = state_of(whole.last), state_of(folder.last)
    assert found["global_step"] == expected["global_step"]
    assert all(torch.equal(expected["state_dict"][name], found["state_dict"][name]) for name in expected["state_dict"])


def test_saves_by_steps_come_at_the_end_of_epochs_that_are_not_validated(train, monkeypatch):
    from zoo.training.checkpoints import AtomicCheckpointIO

    written, save = [], AtomicCheckpointIO.save_checkpoint

    def watching(self, checkpoint, path, storage_options=None):
        written.append(checkpoint["global_step"])
        save(self, checkpoint, path, storage_options)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", watching)
    train("run", "checkpoint.every_steps=6", "trainer.check_val_every_n_epoch=100", "trainer.max_epochs=3")
    assert written[:3] == [0, 6, 12]
