"""Of a training on two devices, one process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ZOO = Path(sys.executable).with_name("zoo")
RANK = """\
import os, signal, sys
from zoo.training.module import EmbeddingTraining

step = EmbeddingTraining.training_step

def dying(self, batch, index):
    if self.global_step == 4 and self.global_rank == int(os.environ["KILLED"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, index)

EmbeddingTraining.training_step = dying
from zoo.cli.main import main
main()
"""


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_rank_is_named_in_one_line(tiny_recipe, tmp_path, killed):
    program = tmp_path / "program.py"
    program.write_text(RANK, encoding="utf-8")
    log = (tmp_path / "log.txt").open("w", encoding="utf-8")
    two = ("trainer.devices=2", "trainer.strategy=ddp")
    process = subprocess.Popen(
        [sys.executable, program, "train", "--cfg", tiny_recipe, "--output", "run", *two],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "KILLED": str(killed)},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    code = process.wait(timeout=250)
    deadline = time.monotonic() + 30
    while _is_alive(process.pid):
        assert time.monotonic() < deadline, "a rank was left behind"
        time.sleep(0.1)
    text = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert code == (1 if killed else -signal.SIGKILL), text
    assert "Traceback" not in text
    (line,) = (line for line in text.splitlines() if line.startswith("error:"))
    assert line.startswith(f"error: rank {killed} was killed")
    assert line.endswith("resume: zoo train --resume --run run")


def _is_alive(session):
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True
