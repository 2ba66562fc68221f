"""A checkpoint that is not, bit for bit, what was written is refused by all that read one."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from zoo.models.torch_model import load_weights
from zoo.training.checkpoints import AtomicCheckpointIO
from zoo_core.errors import RunError


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "last.ckpt"
    model = nn.Sequential(nn.Linear(40, 30), nn.BatchNorm1d(30))
    content = {
        "state_dict": {f"model.{name}": value for name, value in model.state_dict().items()},
        "optimizer_states": [],
        "loops": {},
        "pytorch-lightning_version": "2.6.0",
    }
    AtomicCheckpointIO().save_checkpoint(content, path)
    return path


def flipped(data, position):
    return data[: position // 8] + bytes([data[position // 8] ^ 1 << position % 8]) + data[position // 8 + 1 :]


READERS = {
    "resume": lambda path: AtomicCheckpointIO().load_checkpoint(path),
    "evaluation and export": lambda path: load_weights(nn.Sequential(nn.Linear(40, 30), nn.BatchNorm1d(30)), path),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_hundred_flipped_bits_are_refused_a_hundred_times(checkpoint, read):
    data = checkpoint.read_bytes()
    read(checkpoint)
    refused = []
    for position in np.random.default_rng(1).choice(8 * len(data), 100, replace=False).tolist():
        checkpoint.write_bytes(flipped(data, position))
        with pytest.raises(RunError, match=r"last\.ckpt: it is damaged.*; (copy|restore) ") as caught:
            read(checkpoint)
        refused.append(str(caught.value))
    assert len(refused) == 100
    assert all(len(line.splitlines()) == 1 for line in refused)


def test_every_bit_of_the_checksum_itself_counts(checkpoint):
    data = checkpoint.read_bytes()
    for position in range(8 * (len(data) - 77), 8 * len(data)):
        checkpoint.write_bytes(flipped(data, position))
        with pytest.raises(RunError, match="damaged"):
            AtomicCheckpointIO().load_checkpoint(checkpoint)


@pytest.mark.parametrize("length", [0, 1, 21, 76, 77, -1, -76, -78])
def test_a_file_that_was_cut_is_refused(checkpoint, length):
    checkpoint.write_bytes(checkpoint.read_bytes()[:length])
    with pytest.raises(RunError, match="damaged"):
        AtomicCheckpointIO().load_checkpoint(checkpoint)


def test_the_checksum_is_that_of_the_bytes_before_it(checkpoint):
    data = checkpoint.read_bytes()
    archive, line = data[:-77], data[-77:]
    assert line.split() == [b"zoo-sha256", hashlib.sha256(archive).hexdigest().encode()]


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_checkpoint_of_an_older_zoo_is_read_and_reported(checkpoint, read):
    torch.save(torch.load(checkpoint, weights_only=True), checkpoint)
    with pytest.warns(UserWarning, match=r"last\.ckpt: has no checksum yet"):
        read(checkpoint)
