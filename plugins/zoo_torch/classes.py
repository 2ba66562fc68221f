"""Classes of torch and Lightning by name, as factories whose options are their own parameters."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import torch


def optimizer(name: str) -> type[torch.optim.Optimizer]:
    """Return the class called ``name`` of torch.optim."""
    found: type[torch.optim.Optimizer] = getattr(torch.optim, name)
    return found


def lr_scheduler(name: str) -> Any:  # noqa: ANN401 - a class, or one with a default of its own
    """Return the class called ``name`` of torch.optim.lr_scheduler; a plateau's metric is the better, the higher."""
    found = getattr(torch.optim.lr_scheduler, name)
    return partial(found, mode="max") if name == "ReduceLROnPlateau" else found


def callback(name: str) -> Any:  # noqa: ANN401 - a class
    """Return the class called ``name`` of lightning.pytorch.callbacks."""
    return getattr(import_module("lightning.pytorch.callbacks"), name)


def logger(name: str) -> Any:  # noqa: ANN401 - a class
    """Return the class called ``name`` of lightning.pytorch.loggers."""
    return getattr(import_module("lightning.pytorch.loggers"), name)
