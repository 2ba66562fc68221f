from __future__ import annotations

import pytest
import torch


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder, on one thread: tests share the machine's cores with each other."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)
