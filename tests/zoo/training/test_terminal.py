"""A training on a terminal: through a pseudo-terminal, as a person sees it and presses keys."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

ZOO = Path(sys.executable).with_name("zoo")
COLUMNS = 80
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A process on a pseudo-terminal of 80 columns."""

    def __init__(self, command, cwd, env):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))

        def own_terminal():
            # Ctrl-C goes to all processes of the terminal's foreground group, those of the loader too.
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, preexec_fn=own_terminal,  # noqa: PLW1509 - no thread runs here
        )  # fmt: skip
        os.close(slave)
        self.raw = ""

    def read(self, *, until=None, timeout=240):
        """Read until the text is there, else to the end."""
        deadline = time.monotonic() + timeout
        while until is None or until not in self.text:
            assert time.monotonic() < deadline, self.text
            if not select.select([self.master], [], [], 1)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:  # Linux says so when the other side has closed
                data = b""
            if not data:
                assert until is None, self.text
                return self.process.wait(30)
            self.raw += data.decode(errors="replace")
        return None

    def press(self, key):
        os.write(self.master, key)

    @property
    def text(self):
        return ESCAPE.sub("", self.raw).replace("\r\n", "\n").replace("\r", "\n")


@pytest.fixture
def terminal(tmp_path):
    started = []

    def start(*arguments, **more):
        # One thread, as everywhere; and a terminal with colours, whatever runs the tests.
        env = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm-256color", "HF_HUB_OFFLINE": "1", **more}
        for name in ("NO_COLOR", "COLUMNS", "LINES"):
            if name not in more:
                env.pop(name, None)
        started.append(Terminal([ZOO, *map(str, arguments)], tmp_path, env))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
        os.close(one.master)


def test_the_bar_shows_epoch_step_rate_loss_and_time_and_ends_at_100_percent(terminal, tiny_recipe):
    shown = terminal("train", tiny_recipe, "data.captures=2", "model.loss.options.contrast=1")
    assert shown.read() == 0, shown.text

    frames = re.findall(r"epoch (\d)/2 [━╸╺ ]* +(\d+)% \d:\d\d:\d\d left (\S+)", shown.text)
    assert frames[0][0] == "1"
    assert (frames[-1][0], frames[-1][1], frames[-1][2]) == ("2", "100", "0:00:00")
    figures = (
        r"step (\d+)/24  lr \d\.\d\de-\d\d  \d+ images/s  loss \d+\.\d\d\d\s+\(softmax [\d.]+,\s+contrast [\d.]+\)"
    )
    assert re.findall(figures, shown.text)[-1] == "24"
    # It does not freeze in a validation, of the untrained model neither.
    assert shown.text.index("validating 3/3") < shown.text.index("untrained: TPR@1e-3")
    assert shown.text.count("validating 3/3") >= 3
    assert all(len(line) <= COLUMNS for line in shown.text.splitlines() if "━" in line or line.startswith("step"))


def test_without_colour_there_is_no_colour(terminal, tiny_recipe):
    shown = terminal("train", tiny_recipe, "trainer.max_epochs=1", NO_COLOR="1")
    assert shown.read() == 0, shown.text
    assert "100%" in shown.text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown.raw)


def test_a_dumb_terminal_gets_lines(terminal, tiny_recipe):
    shown = terminal("train", tiny_recipe, "trainer.max_epochs=1", TERM="dumb")
    assert shown.read() == 0, shown.text
    assert "\x1b" not in shown.raw
    assert "epoch 1/1  step 6  loss" in shown.text


def test_ctrl_c_stops_after_the_step_and_the_loader_survives_it(terminal, tiny_recipe, tmp_path):
    shown = terminal("train", tiny_recipe, "data.loader.num_workers=2", "trainer.max_epochs=100000")
    shown.read(until="epoch 3/100000")
    shown.press(b"\x03")
    assert shown.read() == 130, shown.text
    assert "Traceback" not in shown.text
    assert "DataLoader worker" not in shown.text
    (run,) = tmp_path.glob("runs/tiny/*")
    assert f"resume: zoo train --resume --run {run.relative_to(tmp_path)}" in shown.text
    assert (run / "checkpoints" / "last.ckpt").is_file()


def test_ctrl_c_twice_stops_at_once_without_a_traceback(terminal, tiny_recipe, tmp_path):
    # Many steps wait for each other, so that the second one finds the training within a step or its checkpoint.
    shown = terminal("train", tiny_recipe, "data.loader.num_workers=2", "trainer.max_epochs=100000")
    shown.read(until="epoch 3/100000")
    shown.press(b"\x03")
    shown.press(b"\x03")
    assert shown.read() == 130, shown.text
    assert "Traceback" not in shown.text
    (run,) = tmp_path.glob("runs/tiny/*")
    assert (run / "checkpoints" / "last.ckpt").is_file()
