"""What one image costs: parameters, floating-point operations, multiply-accumulates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Cost:
    """``flops`` and ``macs`` (half of them) are of convolutions and matrix products for one image."""

    params: int
    flops: int
    macs: int


def cost(module: torch.nn.Module, shape: Sequence[int], dtype: torch.dtype) -> Cost:
    """Count for one input of ``shape``, whose batch is taken as 1."""
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        module.eval()(torch.zeros((1, *shape[1:]), dtype=dtype))
    flops = int(counter.get_total_flops())
    return Cost(sum(parameter.numel() for parameter in module.parameters()), flops, flops // 2)
