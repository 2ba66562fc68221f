"""Random numbers keyed by (seed, counter): the sampled classes of a step, the initial values of rows.

They are the same in every process, so that nothing has to be stored or sent.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Standard deviation of initial values. The length of a row only sets how far a step turns it.
INITIAL_STD = 0.01
# Rows that share a generator: making one for each row would take longer than sampling its values.
_BLOCK_ROWS = 1024
# Keeps the keys of blocks apart from those of steps.
_FIRST_BLOCK_KEY = 2**62


def sampled_classes(classes: int, count: int, *, seed: int, step: int) -> Tensor:
    """Return ``count <= classes`` distinct classes of ``0..classes - 1``: ``int64 [count]`` on the CPU, in any order.

    The result depends on the arguments alone, and all classes are equally likely. Takes time and memory of order
    ``count``, or of order ``classes`` where that is at most 20 times ``count``.
    """
    generator = np.random.Generator(np.random.Philox(key=[seed, step]))
    return torch.from_numpy(generator.choice(classes, count, replace=False, shuffle=False))


def initial_rows(start: int, stop: int, width: int, *, seed: int, std: float) -> Tensor:
    """Return rows ``start..stop - 1`` of a normally distributed table: ``float32 [stop - start, width]`` on the CPU.

    The values of a row depend on its index and the seed, not on ``start`` and ``stop``.
    """
    rows = torch.empty(stop - start, width)
    for block in range(start // _BLOCK_ROWS, -(-stop // _BLOCK_ROWS)):
        first = block * _BLOCK_ROWS
        generator = np.random.Generator(np.random.Philox(key=[seed, _FIRST_BLOCK_KEY + block]))
        normal = generator.standard_normal((_BLOCK_ROWS, width), np.float32)
        below, above = max(start, first), min(stop, first + _BLOCK_ROWS)
        rows[below - start : above - start] = torch.from_numpy(normal[below - first : above - first])
    return rows.mul_(std)
