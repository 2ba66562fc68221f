"""Which classes take part in a step: chance keyed by (seed, step), so that there is nothing to store or to send."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def sampled_classes(classes: int, count: int, *, seed: int, step: int) -> Tensor:
    """Return ``count`` different classes of ``0..classes - 1``: ``int64 [count]`` on the CPU, in no order.

    The same for the same arguments in every process, whatever the number of them; each class is as likely as any
    other. Takes time and memory of order ``count``, or of order ``classes`` where that is at most 20 times as much.
    """
    if count >= classes:
        return torch.arange(classes)
    generator = np.random.Generator(np.random.Philox(key=[seed, step]))
    return torch.from_numpy(generator.choice(classes, count, replace=False, shuffle=False))


def initial_rows(start: int, stop: int, width: int, *, seed: int, std: float) -> Tensor:
    """Return rows ``start..stop - 1`` of a table of normal chance: ``float32 [stop - start, width]`` on the CPU.

    A row's values depend on its number and the seed, not on which rows are asked for beside it.
    """
    rows = torch.empty(stop - start, width)
    for block in range(start // _BLOCK, -(-stop // _BLOCK)):
        first = block * _BLOCK
        generator = np.random.Generator(np.random.Philox(key=[seed, _INITIAL + block]))
        normal = generator.standard_normal((_BLOCK, width), np.float32)
        below, above = max(start, first), min(stop, first + _BLOCK)
        rows[below - start : above - start] = torch.from_numpy(normal[below - first : above - first])
    return rows.mul_(std)


# Rows that share a generator: making one for each would take longer than their numbers.
_BLOCK = 1024
# Keeps the keys of blocks apart from those of steps.
_INITIAL = 2**62
