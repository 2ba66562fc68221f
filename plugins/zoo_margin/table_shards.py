"""The shards of a saved class table: safetensors files, each with rows and optimizer state of a range of classes.

The metadata of a shard holds its range and a checksum of its tensors.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors

from zoo_core.api import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


class Shard(NamedTuple):
    """The file with the rows of the classes ``start..stop - 1``."""

    path: Path
    start: int
    stop: int

    def positions_of(self, sources: Tensor) -> Tensor:
        """Return the positions ``int64 [n]`` of those ``sources int64 [R]``, classes as saved, that it holds."""
        return torch.nonzero((sources >= self.start) & (sources < self.stop))[:, 0]


def shard_name(start: int) -> str:
    """Return the file name of the shard whose first class is ``start``."""
    return f"rows-{start:012d}.safetensors"


def serialize_shard(tensors: dict[str, Tensor], start: int, stop: int) -> bytes:
    """Return the content of a shard with ``tensors`` of the classes ``start..stop - 1``."""
    # Not by save_file, which makes files that only their owner can read.
    return safetensors.save(tensors, _metadata(tensors, start, stop))


def read_shard(shard: Shard, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read a shard whose tensors have the names, types and row shapes of ``expected``, those of the table.

    Raises:
        RunError: it cannot be read, or does not hold what was written.
    """
    try:
        with safe_open(shard.path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in expected}
    except (OSError, SafetensorError) as error:
        raise RunError(f"{shard.path}: cannot be read: {error}", hint="use another checkpoint") from error
    fits = all(
        tensors[name].shape == (shard.stop - shard.start, *tensor.shape[1:]) and tensors[name].dtype == tensor.dtype
        for name, tensor in expected.items()
    )
    if not fits or metadata != _metadata(tensors, shard.start, shard.stop):
        raise RunError(f"{shard.path}: is damaged, or the file of another shard", hint="use another checkpoint")
    return tensors


def _metadata(tensors: dict[str, Tensor], start: int, stop: int) -> dict[str, str]:
    checksum = 0
    for name in sorted(tensors):
        checksum = zlib.crc32(tensors[name].contiguous().view(torch.uint8).numpy().data, checksum)
    return {"classes": f"{start}..{stop - 1}", "crc32": f"{checksum:08x}"}
