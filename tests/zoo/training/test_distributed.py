"""Trainings on several ranks: each rank is a process of its own, without the seconds that a new one imports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.multiprocessing import start_processes

TWO = ("trainer.devices=2", "trainer.strategy=ddp")


def start_rank(rank, world_size, port, act):
    from lightning.pytorch.utilities import rank_zero_only

    # As a launcher of several nodes does: Lightning then starts no process itself.
    settings = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": world_size, "NODE_RANK": 0}
    os.environ.update({name: str(value) for name, value in {**settings, "LOCAL_RANK": rank}.items()})
    rank_zero_only.rank = rank
    act(rank)


@pytest.fixture
def on_ranks(prepare):  # noqa: ARG001 - it leaves torch one thread, as a fork needs
    """Call ``act(rank)`` on two ranks, and wait for both."""

    def call(act):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        start_processes(start_rank, (2, port, act), nprocs=2, start_method="fork")

    return call


def weights_of(folder):
    return torch.load(folder.last, weights_only=True)["state_dict"]


@pytest.mark.parametrize("pressed", [0, 1], ids=["first rank", "second rank"])
def test_ctrl_c_within_an_epoch_stops_all_ranks_at_one_step_and_a_resume_sees_what_was_to_come(
    train, resume, interrupt_at, on_ranks, tmp_path, pressed
):
    from zoo.runs.layout import RunFolder

    on_ranks(lambda _rank: train("whole", *TWO))

    def interrupted(rank):
        if rank == pressed:
            interrupt_at(5)
        _, outcome = train("halves", *TWO)
        assert outcome.interrupted

    on_ranks(interrupted)
    whole, halves = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "halves")
    # Of three steps an epoch, the fifth is within the second.
    assert torch.load(halves.last, weights_only=True)["global_step"] == 5
    on_ranks(lambda _rank: resume(halves))

    expected, found = weights_of(whole), weights_of(halves)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_each_rank_resumes_with_its_own_random_state(train, resume, interrupt_at, on_ranks, monkeypatch, tmp_path):
    from zoo.runs.layout import RunFolder
    from zoo.training.module import EmbeddingTraining

    options = (*TWO, "model.backbone.options.drop_path_rate=0.5")

    def seeding(module):
        if module.global_step == 0:
            torch.manual_seed(module.global_rank)

    monkeypatch.setattr(EmbeddingTraining, "on_train_start", seeding, raising=False)
    on_ranks(lambda _rank: train("whole", *options))

    def interrupted(_rank):
        interrupt_at(5)
        train("halves", *options)

    on_ranks(interrupted)
    whole, halves = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "halves")
    on_ranks(lambda _rank: resume(halves))

    expected, found = weights_of(whole), weights_of(halves)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_ranks_whose_clocks_differ_end_together_and_step_alike(train, on_ranks, monkeypatch, tmp_path):
    from lightning.pytorch.callbacks import Timer

    from zoo.training.module import EmbeddingTraining

    def by_its_clock(rank):
        steps, training_step = [], EmbeddingTraining.training_step

        def counting(self, batch, index):
            steps.append([group["lr"] for group in self.optimizers().param_groups])
            return training_step(self, batch, index)

        monkeypatch.setattr(EmbeddingTraining, "training_step", counting)
        # A step takes a second on the first rank and half a second on the other.
        monkeypatch.setattr(Timer, "time_elapsed", lambda *_, **__: len(steps) / (1 + rank))
        train("run", *TWO, "trainer.max_time=00:00:00:07", "trainer.max_epochs=100000")
        torch.save(steps, tmp_path / f"{rank}.pt")

    on_ranks(by_its_clock)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert first == second
    assert len(first) == 7
    assert first[-1] < first[1]


@pytest.mark.slow
def test_ctrl_c_at_a_terminal_ends_ranks_and_loader_processes_with_one_line(tiny_recipe, tmp_path):
    """A terminal sends the signal to all of them: two ranks, and the loader's process of each."""
    options = (*TWO, "trainer.max_epochs=100000", "data.loader.num_workers=1")
    process = subprocess.Popen(
        [Path(sys.executable).with_name("zoo"), "train", "--cfg", tiny_recipe, *options],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while not [row for path in tmp_path.glob("runs/tiny/*/metrics.csv") for row in path.read_text().splitlines()[1:]]:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    # Until the last of them has closed it.
    _, stderr = process.communicate(timeout=100)

    assert process.returncode == 130, stderr
    assert stderr.count("zoo train --resume") == 1
    assert "Traceback" not in stderr
    assert len(list(tmp_path.glob("runs/tiny/*/checkpoints/last.ckpt"))) == 1
