"""What a training shows without a terminal; ``test_terminal`` has the bar."""

from __future__ import annotations

import math
import re
import threading
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.training.callbacks import display


class Clock:
    """Goes on by so many seconds each time that somebody looks."""

    def __init__(self, pace):
        self.now, self.pace = 0.0, pace

    def monotonic(self):
        self.now += self.pace
        return self.now


def test_without_a_terminal_there_is_a_line_every_thirty_seconds(train, capsys, monkeypatch):
    monkeypatch.setattr(display, "time", Clock(pace=4.0))
    train("run", "trainer.max_epochs=3")
    lines = capsys.readouterr().err.splitlines()

    shown = [
        re.match(r"epoch (\d)/3  (\d+)%  step (\d+)/18  lr \S+  (\d+) images/s  loss .+  left", line) for line in lines
    ]
    found = [match for match in shown if match]
    # Two looks at the clock a step, one more for each line: about every fourth step.
    assert 3 <= len(found) <= 9, lines
    assert [int(match[2]) for match in found] == [round(int(match[3]) / 18 * 100) for match in found]
    assert len([line for line in lines if re.match(r"epoch \d/3  step \d+  loss \S+  unseen: TPR@1e-3", line)]) == 3
    assert not any("\x1b" in line for line in lines)


def test_a_long_validation_shows_how_far_it_is(train, capsys, monkeypatch):
    monkeypatch.setattr(display, "time", Clock(pace=40.0))
    train("run", "trainer.max_epochs=1")
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("validating ") and "/" in line] == [
        f"validating {batch}/3" for batch in (1, 2, 3)
    ]
    assert any(re.match(r"epoch 1/1  100%  validating 2/3  step 6/6  lr", line) for line in lines)


class _Waits(TorchDispatchMode):
    """Counts what reads a number of a tensor, for which a GPU has to be waited for."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("pace", [0.0, 1000.0], ids=["never due", "always due"])
def test_no_step_waits_for_the_device_unless_something_is_shown(train, monkeypatch, pace):
    monkeypatch.setattr(display, "time", Clock(pace))
    # SGD: Adam reads its own step on a CPU.
    plain = ("optimizer={name: SGD, options: {lr: 0.01}}", "trainer.gradient_clip_val=null", "trainer.max_epochs=1")
    waits = []
    for batch in (16, 8):
        with _Waits() as counted:
            train(f"run{batch}", *plain, f"data.loader.batch_size={batch}")
        waits.append(counted.count)
    # 6 and 12 steps, 3 and 5 batches of validation.
    assert (waits[0] == waits[1]) == (pace == 0.0), waits


def test_a_line_says_unseen_only_where_no_leak_was_found(prepare, train, capsys):
    leaking = "data.valid=${data.train}", "trainer.max_epochs=1"
    assert prepare(*leaking).report.leak
    train("run", *leaking)
    said = capsys.readouterr().err
    assert "validation: TPR@1e-3" in said
    assert "unseen" not in said


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is set."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def batch_of(count):
    return {"labels": torch.zeros(count)}


@pytest.fixture
def training(clock, standing, embedding_training):
    """Let a training pass its moments, whose lines are what it prints: two steps of 100 images a minute."""

    def until(step, *, side="unseen", bar=True, trainer=standing, before=None):
        shows = display.TrainingDisplay(side, bar=bar)
        if before is not None:
            shows.load_state_dict(before)
        shows.on_sanity_check_start(trainer(0), embedding_training)
        shows.on_train_start(trainer(0), embedding_training)
        for number in range(step):
            if number % 6 == 0:
                shows.on_train_epoch_start()
            clock.now += 30
            shows.on_train_batch_end(trainer(number + 1), embedding_training, None, batch_of(100), number % 6)
        return shows

    return until


def lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_a_line_has_epoch_share_step_rate_throughput_loss_and_time_left(training, embedding_training, capsys):
    embedding_training.loss_parts["contrast"] = torch.tensor(0.25)
    training(2)
    rest = "lr 4.00e-03  3 images/s  loss 1.500 (softmax 1.25, contrast 0.25)"
    assert lines(capsys) == [
        "validating the untrained model",
        f"epoch 1/3  6%  step 1/18  {rest}  left 0:08:30",
        f"epoch 1/3  11%  step 2/18  {rest}  left 0:08:00",
    ]


def test_nothing_is_said_before_it_is_due_nor_when_it_is_disabled(
    training, standing, embedding_training, clock, capsys
):
    shows = training(0)
    for step in range(4):
        clock.now += 9.9
        shows.on_train_batch_end(standing(step + 1), embedding_training, None, batch_of(1), step)
    assert len(lines(capsys)) == 2
    shows.disable()
    clock.now += 1000
    shows.on_train_batch_end(standing(5), embedding_training, None, batch_of(1), 4)
    shows.on_validation_end(standing(6), embedding_training)
    assert lines(capsys) == []


def test_counts_are_of_all_ranks_and_go_on_after_a_resume(training, standing, clock):
    shows = training(2, before={"images": 800, "seconds": 20.0}, trainer=lambda step: standing(step, world_size=4))
    assert shows.state_dict() == {"images": 1600, "seconds": 80.0}
    assert shows.images_per_second == 20
    # What lies between epochs counts for nothing.
    clock.now += 500
    shows.on_train_epoch_start()
    assert shows.seconds == 80
    assert display.TrainingDisplay("unseen").images_per_second == 0


def test_the_time_left_is_told_from_what_this_process_did(standing, embedding_training, clock, capsys):
    shows = display.TrainingDisplay("unseen")
    shows.on_train_start(standing(9), embedding_training)
    clock.now += 4000
    shows.on_train_batch_end(standing(10), embedding_training, None, batch_of(1), 3)
    long = standing(10, estimated_stepping_batches=5000, max_epochs=-1)
    clock.now += 4000
    shows.on_train_batch_end(long, embedding_training, None, batch_of(1), 3)
    said = lines(capsys)
    # One of eighteen steps took 4,000 s, and eight are left.
    assert said[0].endswith("  left 8:53:20")
    assert said[1].endswith("  left -:--:--")


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"max_epochs": -1, "estimated_stepping_batches": math.inf}, "epoch 2  0%  step 6,006  lr"),
        ({"max_epochs": None, "estimated_stepping_batches": 12_012}, "epoch 2  50%  step 6,006/12,012  lr"),
        ({"max_epochs": 1}, "epoch 1/1  100%  step 6,006/18  lr"),
        ({"max_epochs": 2000, "num_training_batches": 0, "estimated_stepping_batches": -1}, "epoch 2/2000  0%  step"),
    ],
)
def test_limits_are_named_where_there_are_any(standing, embedding_training, clock, capsys, changes, start):
    shows = display.TrainingDisplay("unseen")
    trainer = standing(6006, current_epoch=1, callback_metrics={}, **changes)
    trainer.fit_loop.epoch_loop.batch_progress.current.completed = 0
    shows.on_train_start(trainer, embedding_training)
    clock.now += 30
    shows.on_train_batch_end(trainer, embedding_training, None, batch_of(1), 0)
    (said,) = lines(capsys)
    assert said.startswith(start)
    assert "  loss nan  " in said


def test_a_validation_says_how_far_it_is_and_ends_in_a_line(training, standing, embedding_training, clock, capsys):
    shows = training(6, side="validation")
    lines(capsys)
    trainer = standing(6, callback_metrics={"train/loss": torch.tensor(1.25)}, num_val_batches=[1000, 500])
    shows.on_validation_start(trainer, embedding_training)
    for number in range(3):
        clock.now += 15
        shows.on_validation_batch_end(trainer, embedding_training, None, None, number)
    clock.now += 400
    shows.on_validation_end(trainer, embedding_training)
    clock.now += 29
    shows.on_train_batch_end(standing(7), embedding_training, None, batch_of(100), 0)
    rest = "step 6/18  lr 4.00e-03  3 images/s  loss 1.250  left 0:07:00"
    assert lines(capsys) == [
        f"epoch 2/3  33%  validating 2/1,500  {rest}",
        "epoch 2/3  step 6  loss 1.250  validation: TPR@1e-3 0.5000  rank-1 0.7500  AUC 0.9062",
    ]
    # The validation is no time of the training.
    assert shows.seconds == 180 + 29


def test_the_untrained_models_validation_has_lines_of_its_own(standing, embedding_training, clock, capsys):
    shows = display.TrainingDisplay("unseen")
    trainer = standing(0, sanity_checking=True)
    shows.on_sanity_check_start(trainer, embedding_training)
    shows.on_validation_start(trainer, embedding_training)
    clock.now += 30
    shows.on_validation_batch_end(trainer, embedding_training, None, None, 0)
    trainer.num_sanity_val_batches = [math.inf]
    clock.now += 30
    shows.on_validation_batch_end(trainer, embedding_training, None, None, 1)
    shows.on_validation_end(trainer, embedding_training)
    assert lines(capsys) == [
        "validating the untrained model",
        "validating 1/2",
        "validating 2",
        "untrained: TPR@1e-3 0.1000  rank-1 0.2000  AUC 0.6000",
    ]


@pytest.fixture
def animated(monkeypatch):
    """Standard error is a terminal of 100 columns, as far as rich can tell."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)


def drawn(capsys):
    """What was drawn since the last look, line by line, without colours."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]


@pytest.mark.usefixtures("animated")
def test_a_bar_shows_training_and_validation_and_ends_at_100_percent(
    training, standing, embedding_training, clock, capsys
):
    threads = threading.active_count()
    shows = training(0)
    # One that drew while a loader's process is forked could leave it the console's lock.
    assert threading.active_count() == threads
    first = drawn(capsys)
    assert re.fullmatch(r"training ━+ +0% \d:\d\d:\d\d", first[-1])
    assert len(first[-1]) >= 92

    clock.now += 0.2
    shows.on_train_batch_end(standing(1), embedding_training, None, batch_of(100), 0)
    assert drawn(capsys) == []
    clock.now += 29.8
    shows.on_train_batch_end(standing(2), embedding_training, None, batch_of(100), 1)
    bar, figures = drawn(capsys)
    assert re.fullmatch(r"epoch 1/3 [━╸╺]+ +11% \d:\d\d:\d\d left 0:04:00", bar)
    assert len(bar) == 100
    assert figures == "step 2/18  lr 4.00e-03  7 images/s  loss 1.500"

    shows.on_validation_start(standing(6), embedding_training)
    training_bar, validation_bar, _ = drawn(capsys)[-3:]
    assert re.match(r"epoch 2/3 +[━╸╺]+ +33% ", training_bar)
    assert re.fullmatch(r"validating +━+ +0% -:--:--|validating +━+ +0% 0:00:00", validation_bar)
    clock.now += 1
    shows.on_validation_batch_end(standing(6), embedding_training, None, None, 1)
    _, validation_bar, _ = drawn(capsys)[-3:]
    assert re.match(r"validating 2/3 [━╸╺]+ +67% ", validation_bar)
    shows.on_validation_end(standing(6), embedding_training)
    shown = drawn(capsys)
    assert "epoch 2/3  step 6  loss 1.500  unseen: TPR@1e-3 0.5000  rank-1 0.7500  AUC 0.9062" in shown

    clock.now += 1
    shows.on_train_batch_end(standing(7), embedding_training, None, batch_of(100), 0)
    assert not [line for line in drawn(capsys) if "validating" in line]
    shows.on_train_end(standing(7), embedding_training)
    *_, bar, figures = drawn(capsys)
    assert re.fullmatch(r"epoch 2/3 ━+ 100% \d:\d\d:\d\d left 0:00:00", bar)
    shows.say("afterwards")
    assert capsys.readouterr().err == "afterwards\n"


@pytest.mark.usefixtures("animated", "clock")
def test_the_bar_of_a_resumed_training_begins_where_it_was(standing, embedding_training, capsys):
    shows = display.TrainingDisplay("unseen")
    shows.on_sanity_check_start(standing(0, sanity_checking=True), embedding_training)
    sanity = standing(0, sanity_checking=True)
    shows.on_validation_start(sanity, embedding_training)
    assert any(re.match(r"training +━+ +0%", line) for line in drawn(capsys))
    shows.on_validation_end(sanity, embedding_training)
    shows.on_train_start(standing(9), embedding_training)
    shows._bar.refresh()
    assert any(re.search(r" 50% ", line) for line in drawn(capsys))
    shows.on_exception(standing(9), embedding_training, KeyboardInterrupt())
    shows.on_exception(standing(9), embedding_training, KeyboardInterrupt())
    drawn(capsys)
    shows.say("above the message")
    assert capsys.readouterr().err == "above the message\n"


@pytest.mark.usefixtures("animated")
@pytest.mark.parametrize("why", ["unwanted", "dumb", "disabled"])
def test_no_bar_is_drawn_where_none_is_wanted(standing, embedding_training, clock, capsys, monkeypatch, why):
    if why == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    shows = display.TrainingDisplay("unseen", bar=why != "unwanted")
    if why == "disabled":
        shows.disable()
    shows.on_train_start(standing(0), embedding_training)
    clock.now += 1
    shows.on_train_batch_end(standing(1), embedding_training, None, batch_of(1), 0)
    assert drawn(capsys) == []
