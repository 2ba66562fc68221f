"""What a training shows without a terminal; ``test_terminal`` has the bar."""

from __future__ import annotations

import re

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
