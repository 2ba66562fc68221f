"""A model's weights as the bytes that are published, and their hash: the name of what was measured and exported."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import safetensors.torch

if TYPE_CHECKING:
    from torch import nn


def to_safetensors(model: nn.Module) -> bytes:
    """Return all parameters and buffers of ``model`` as a safetensors file; the same weights give the same bytes."""
    state = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    data: bytes = safetensors.torch.save(state, metadata={"format": "pt"})
    return data


def weights_sha256(model: nn.Module) -> str:
    """Return the hash of ``to_safetensors``."""
    return hashlib.sha256(to_safetensors(model)).hexdigest()
