"""The random state of each rank, so that a resumed training draws what it would have drawn: dropout and its like."""

from __future__ import annotations

import random
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import distributed

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer

_KEY = "random_states"


class RandomState(Callback):
    """Saves the states of torch's (CPU and device), numpy's and Python's global generators, and restores them.

    Batches do not need it: each sample's generator is seeded by its place in the training.
    """

    def __init__(self) -> None:
        self._saved: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the state of every rank."""
        mine = _states(trainer.strategy.root_device)
        found: list[Any] = [mine] * trainer.world_size
        if trainer.world_size > 1:
            distributed.all_gather_object(found, mine)
        checkpoint.setdefault("zoo", {})[_KEY] = found

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Read the state of this rank, if as many ranks wrote the checkpoint."""
        saved = checkpoint.get("zoo", {}).get(_KEY)
        if saved is None:
            reason = "the checkpoint of an older zoo holds no random state"
        elif len(saved) != trainer.world_size:
            reason = f"the checkpoint holds the random states of {len(saved)} ranks, and now there are other ranks"
        else:
            self._saved = saved[trainer.global_rank]
            return
        if trainer.is_global_zero:
            # Not by the display, which may be off.
            message = f"{reason}: dropout and its like draw other numbers than without the interruption"
            warnings.warn(message, stacklevel=2)

    def on_train_batch_start(self, trainer: Trainer, *_: object) -> None:
        """Restore the state before the first step: what is set up until then may draw numbers."""
        if self._saved is not None:
            _restore(self._saved, trainer.strategy.root_device)
            self._saved = None


def _states(device: torch.device) -> dict[str, Any]:
    """Return the states, as what a checkpoint of tensors and plain values can hold."""
    _, key, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002 - the generator that others share
    states = {
        "torch": torch.get_rng_state(),
        "numpy": (torch.from_numpy(np.asarray(key, np.int64)), position, has_gauss, gauss),
        "python": random.getstate(),
    }
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device).get_rng_state()
    return states


def _restore(states: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(states["torch"])
    key, *rest = states["numpy"]
    np.random.set_state(("MT19937", key.numpy().astype(np.uint32), *rest))  # noqa: NPY002 - as above
    random.setstate(states["python"])
    # Of a checkpoint from another kind of device there is none.
    if device.type in states and device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[device.type])
