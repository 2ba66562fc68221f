"""The SLURM script: it saves before its time is up, is queued again, and resumes its own run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docker" / "slurm.sbatch"
BASH = shutil.which("bash")
SCONTROL = """\
#!/usr/bin/env bash
if [[ $1 == show ]]; then echo node3; echo node4; else echo "$@" >>"$RECORD"; fi
"""
# Without the words that start train.bash on a node. TRAINING says how the training answers to SIGTERM.
SRUN = """\
#!/usr/bin/env bash
printf '%s\\n' "${@:5}" >"$RECORD.words"
trap 'echo saved >>"$RECORD"; exit 143' TERM
touch "$RECORD.started"
[[ $TRAINING == long ]] || exit "$TRAINING"
while :; do sleep 0.05; done
"""


@pytest.fixture
def job(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("scontrol", SCONTROL), ("srun", SRUN)):
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    settings = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "RECORD": str(tmp_path / "record"),
        "RUNS_DIR": str(tmp_path / "runs"),
        "SLURM_NNODES": "2",
        "SLURM_JOB_ID": "77",
        "SLURM_JOB_NODELIST": "node[3-4]",
    }

    def start(*words, training="0", **more):
        environment = {**settings, "TRAINING": training, **more}
        return subprocess.Popen([BASH, SCRIPT, *words], env=environment, stderr=subprocess.PIPE, text=True)

    return start


def words_of(folder):
    return (folder / "record.words").read_text(encoding="utf-8").splitlines()


def test_it_asks_for_a_signal_a_limit_and_a_place_in_the_queue():
    options = re.findall(r"^#SBATCH (\S+)$", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
    assert "--requeue" in options
    assert any(re.fullmatch(r"--time=\d+:\d\d:\d\d", option) for option in options)
    assert any(re.fullmatch(r"--signal=B:USR1@\d+", option) for option in options)


@pytest.mark.parametrize(("sent", "record"), [("SIGUSR1", ["saved", "requeue 77"]), ("SIGTERM", ["saved"])])
def test_a_signal_saves_and_the_time_limit_queues_again(job, tmp_path, sent, record):
    process = job("tiny", training="long")
    while not (tmp_path / "record.started").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(getattr(signal, sent))

    assert process.wait(timeout=60) == 143
    assert (tmp_path / "record").read_text(encoding="utf-8").splitlines() == record


@pytest.mark.parametrize("code", ["0", "1"])
def test_a_training_that_ends_by_itself_is_not_queued_again(job, tmp_path, code):
    assert job("tiny", training=code).wait(timeout=60) == int(code)
    assert not (tmp_path / "record").exists()


def test_a_job_that_is_queued_again_resumes_its_own_run(job, tmp_path):
    own = tmp_path / "runs" / "tiny" / "slurm-77"
    assert job("some/tiny.yaml", "k=a b").wait(timeout=60) == 0
    assert words_of(tmp_path) == ["some/tiny.yaml", "k=a b", "--output", str(own)]
    # It ended before its first step.
    own.mkdir(parents=True)
    assert job("some/tiny.yaml", "k=a b", SLURM_RESTART_COUNT="1").wait(timeout=60) == 0
    assert words_of(tmp_path) == ["some/tiny.yaml", "k=a b", "--output", f"{own}-1"]
    # And here after it.
    checkpoint = tmp_path / "runs" / "tiny" / "slurm-77-1" / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert job("some/tiny.yaml", "k=a b", SLURM_RESTART_COUNT="2").wait(timeout=60) == 0
    assert words_of(tmp_path) == ["some/tiny.yaml", "--resume", "--run", f"{own}-1"]


def test_it_needs_a_recipe(job):
    process = job()
    assert process.wait(timeout=60) == 2
    assert process.stderr.read() == "error: which recipe? sbatch docker/slurm.sbatch RECIPE [key=value ...]\n"
