from __future__ import annotations

import os
import signal

import pytest
from torch.utils.data import DataLoader, Dataset

from zoo.workers import loader_processes, start_worker


class ProcessIds(Dataset):
    """Each sample is the process that made it."""

    def __len__(self):
        return 100

    def __getitem__(self, _index):
        return os.getpid()


def test_ctrl_c_does_not_end_a_loader_process():
    loader = DataLoader(ProcessIds(), batch_size=1, num_workers=1, prefetch_factor=1, worker_init_fn=start_worker)
    made_by = []
    for batch in loader:
        made_by.append(int(batch))
        if len(made_by) == 1:
            assert made_by[0] != os.getpid()
            os.kill(made_by[0], signal.SIGINT)
    assert made_by == made_by[:1] * 100


@pytest.mark.parametrize(
    ("wish", "cores", "options", "expected"),
    [
        (0, 8, {}, 0),
        (5, 2, {"devices": 4, "on_cpu": True}, 5),
        ("auto", 8, {}, 8),
        ("auto", 8, {"on_cpu": True}, 4),
        ("auto", 8, {"devices": 4}, 2),
        ("auto", 1, {"devices": 4, "on_cpu": True}, 1),
        ("auto", 64, {}, 16),
    ],
)
def test_a_device_gets_its_share_of_the_cores(monkeypatch, wish, cores, options, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(cores)))
    assert loader_processes(wish, **options) == expected
