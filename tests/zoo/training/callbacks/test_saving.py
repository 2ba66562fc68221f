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


@pytest.fixture
def saving(standing):
    """The callback behind `on_train_start`, with its clock and the steps at which it saved."""

    def start(step=0, *, save_seconds=0.0, resumed=False, **section):
        clock, signals, saves = Clock(), StopSignals(), []

        def at(step, *, last=False, **changes):
            trainer = standing(step, **changes)
            trainer.ckpt_path = "last.ckpt" if resumed else None
            trainer.fit_loop.epoch_loop.batch_progress.is_last_batch = last
            trainer.fit_loop.epoch_loop.total_batch_idx = step - 1

            def save(path):
                assert path == "last.ckpt"
                saves.append(step)
                clock.now += save_seconds

            trainer.save_checkpoint = save
            return trainer

        callback = SaveBetweenValidations("last.ckpt", CheckpointSection(**section), signals, clock=clock)
        assert not signals.has_state
        callback.on_train_start(at(step), None)
        assert signals.has_state

        def batch(step, index=None, **changes):
            callback.on_train_batch_end(at(step, **changes), None, None, None, step - 1 if index is None else index)

        return SimpleNamespace(callback=callback, clock=clock, signals=signals, saves=saves, at=at, batch=batch)

    return start


def test_a_resumed_training_has_its_checkpoint_already(saving):
    assert saving().saves == [0]
    assert saving(7, resumed=True).saves == []


def test_a_step_counts_once_and_not_the_one_it_began_with(saving):
    made = saving(8, resumed=True, every_minutes=None, every_steps=4)
    made.batch(8)
    assert made.saves == []
    made.batch(12)
    made.batch(12)
    made.batch(13)
    assert made.saves == [12]


def test_a_validation_counts_the_interval_anew(saving):
    made = saving(every_minutes=1, every_steps=4)
    made.clock.now = 50
    made.callback.on_validation_end(made.at(3, sanity_checking=True), None)
    made.callback.on_validation_end(made.at(4), None)
    made.clock.now = 109
    made.batch(5)
    assert made.saves == [0]
    made.clock.now = 110
    made.batch(6)
    made.batch(7)
    made.batch(8)
    assert made.saves == [0, 6, 8]


def test_what_the_sanity_check_ends_counts_for_nothing(saving):
    made = saving(every_minutes=1)
    made.clock.now = 59
    made.callback.on_validation_end(made.at(0, sanity_checking=True), None)
    made.clock.now = 60
    made.batch(1)
    assert made.saves == [0, 1]


@pytest.mark.parametrize(
    ("where", "waits"),
    [
        ({}, False),
        ({"last": True}, True),
        ({"should_stop": True}, True),
        ({"val_check_batch": None}, False),
        ({"val_check_batch": 3}, True),
        ({"val_check_batch": 2}, False),
        # Every second epoch, and this is the first or the second.
        ({"val_check_batch": 3, "check_val_every_n_epoch": 2, "current_epoch": 0}, False),
        ({"val_check_batch": 3, "check_val_every_n_epoch": 2, "current_epoch": 1}, True),
        # Counted over epochs: the ninth batch of all, and the third of its epoch.
        ({"val_check_batch": 9, "check_val_every_n_epoch": None, "current_epoch": 1}, True),
        ({"val_check_batch": 3, "check_val_every_n_epoch": None, "current_epoch": 1}, True),
        ({"val_check_batch": 4, "check_val_every_n_epoch": None, "current_epoch": 1}, False),
        ({"val_check_batch": 9, "check_val_every_n_epoch": 1, "current_epoch": 1}, False),
    ],
)
def test_a_save_waits_where_a_validation_or_the_epochs_end_is_next(saving, where, waits):
    made = saving(every_minutes=None, every_steps=1)
    made.batch(9, 2, **where)
    assert made.saves == ([0] if waits else [0, 9])
    made.callback.on_validation_end(made.at(9), None)
    # The validation has saved itself, and nobody asked for the end.
    assert made.saves == ([0] if waits else [0, 9])


def test_a_signal_that_waited_is_obeyed_behind_the_validation_or_the_epoch(saving):
    made = saving()
    made.signals.number = 15
    made.batch(3, 2, val_check_batch=3)
    # Within an epoch's end the validation leaves it to that.
    made.callback.on_validation_end(made.at(3, last=True), None)
    made.callback.on_validation_end(made.at(3, should_stop=True), None)
    with pytest.raises(StopRequested):
        made.callback.on_validation_end(made.at(3), None)
    assert made.saves == [0, 3]

    made.batch(6, last=True)
    with pytest.raises(StopRequested):
        made.callback.on_train_epoch_end(made.at(6), None)
    assert made.saves == [0, 3, 6]


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({"current_epoch": 1}, False),
        ({"current_epoch": 2}, True),
        ({"current_epoch": 3}, True),
        ({"current_epoch": 5, "max_epochs": -1}, False),
        ({"current_epoch": 5, "max_epochs": None}, False),
        ({"max_epochs": 0}, True),
        ({"current_epoch": 0, "should_stop": True}, True),
    ],
)
def test_at_the_trainings_end_there_is_nothing_to_stop(saving, changes, ends):
    made = saving()
    made.signals.number = 2
    made.batch(6, last=True)
    if ends:
        made.callback.on_train_epoch_end(made.at(6, **changes), None)
        assert made.saves == [0]
        return
    with pytest.raises(StopRequested):
        made.callback.on_train_epoch_end(made.at(6, **changes), None)
    assert made.saves == [0, 6]


@pytest.mark.parametrize(
    ("mine", "first", "due", "others", "saves", "stops"),
    [
        (0, True, True, 0, True, 0),
        (0, True, False, 0, False, 0),
        # Another rank's clock decides nothing, its signal does.
        (0, False, True, 0, False, 0),
        (0, False, True, 1, True, 0),
        (2, False, True, 0, True, 2),
        (0, True, False, 30, True, 15),
        (15, True, True, 4, True, 15),
    ],
)
def test_ranks_save_and_stop_together(saving, mine, first, due, others, saves, stops):
    made = saving(every_minutes=1)
    made.signals.number, made.clock.now = mine, 60.0 if due else 59.0

    def reduce(request, reduce_op):
        assert reduce_op == "max"
        return torch.maximum(request, torch.tensor(others))

    together = SimpleNamespace(root_device=torch.device("cpu"), reduce=reduce)

    def step():
        made.batch(1, world_size=2, is_global_zero=first, strategy=together)

    if stops:
        with pytest.raises(StopRequested):
            step()
        assert made.signals.number == stops
    else:
        step()
    assert made.saves == ([0, 1] if saves else [0])


def test_signals_are_heard_from_the_start(saving, monkeypatch):
    heard = []
    monkeypatch.setattr(StopSignals, "listen", lambda signals: heard.append(signals))  # noqa: PLW0108 - bound as a method
    made = saving()
    made.callback.on_sanity_check_start(None, None)
    assert heard == [made.signals] * 2
