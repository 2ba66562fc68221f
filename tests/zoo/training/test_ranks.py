"""Of a training on two devices, one process is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
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


@pytest.mark.parametrize("killed", [0, pytest.param(1, marks=pytest.mark.slow)])
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


def launch_nodes(folder, *words, env=None):
    """Start `zoo train` as two nodes of one process each, as their users would; return exit code and text of each."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    meet = ("--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}")
    local = ("--rdzv-id=test", "--local-addr=127.0.0.1", "--no-python", "--")
    nodes = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *meet, *local, *words, "trainer.num_nodes=2"],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    texts = [node.communicate(timeout=280)[0] for node in nodes]
    return [node.returncode for node in nodes], "".join(texts)


@pytest.mark.slow
def test_a_run_on_two_nodes_stops_and_resumes_there_and_on_one(tiny_recipe, tmp_path, zoo):
    program = tmp_path / "program.py"
    program.write_text(RANK.replace("signal.SIGKILL", "signal.SIGTERM"), encoding="utf-8")
    train = (sys.executable, program, "train", "--cfg", tiny_recipe, "--output", "run", "trainer.strategy=ddp")
    _, text = launch_nodes(tmp_path, *train, "trainer.max_epochs=3", env={"KILLED": "1"})
    # Either node's signal stops both, at one step; the first one says how to resume.
    assert re.search(r"resume: torchrun --nnodes 2 .* --no-python -- zoo train --resume --run run$", text, re.MULTILINE)
    codes, text = launch_nodes(tmp_path, ZOO, "train", "--resume", "--run", "run", "trainer.max_epochs=2")
    assert codes == [0, 0], text
    one = ("trainer.num_nodes=1", "trainer.devices=1", "trainer.max_epochs=3")
    zoo("train", "--resume", "--run", "run", *one, check=0)
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert [resume["world_size"] for resume in record["resumes"]] == [2, 1]
