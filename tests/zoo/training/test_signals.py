from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zoo.training.signals import StopSignals

ZOO = Path(sys.executable).with_name("zoo")


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_and_a_later_one_ends(number, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    before = signal.getsignal(number)
    with StopSignals() as signals:
        signals.has_state = True
        send(number)
        assert signals.number == number
        # torchrun and SLURM pass on what the process has got already.
        now[0] += 0.5
        send(number)
        now[0] += 5
        with pytest.raises(SystemExit) as caught:
            send(number)
    assert caught.value.code == 128 + number
    assert signal.getsignal(number) == before


def test_where_nothing_can_be_saved_the_first_ends():
    with StopSignals(), pytest.raises(SystemExit) as caught:
        send(signal.SIGTERM)
    assert caught.value.code == 143


def test_what_the_process_was_started_to_ignore_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            signals.has_state = True
            send(signal.SIGHUP)
            assert signals.number == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_closes_saves(tiny_recipe, tmp_path):
    """The training's terminal goes away, and each write to it is an error from then on."""
    leader, follower = os.openpty()
    run = tmp_path / "run"
    process = subprocess.Popen(
        [ZOO, "train", "--cfg", tiny_recipe, "--output", run, "trainer.max_epochs=100000", "data.loader.num_workers=1"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=follower,
        stderr=follower,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509 - this process has one thread
    )
    os.close(follower)
    os.set_blocking(leader, False)
    deadline = time.monotonic() + 200
    while not (run / "checkpoints" / "best.ckpt").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            os.read(leader, 65536)
        except BlockingIOError:
            time.sleep(0.05)
    before = (run / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    os.close(leader)
    process.send_signal(signal.SIGHUP)

    assert process.wait(timeout=100) == 129
    assert (run / "checkpoints" / "last.ckpt").stat().st_mtime_ns > before
    assert not list((run / "checkpoints").glob(".*"))
