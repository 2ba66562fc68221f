"""Optimizers of torch, by name: checked before a training begins, their learning rate scaled with the batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from zoo_core.errors import Problem, RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zoo.recipes.schema import OptimizerSection
    from zoo_core.errors import Location

# Their step is the gradient; in all others of torch it is the gradient over a measure of its size.
PLAIN_GRADIENT = frozenset({"SGD", "ASGD"})


def learning_rate_factor(section: OptimizerSection, batch: int) -> float:
    """Return what to multiply the recipe's learning rate with when ``batch`` images make one step.

    Linear for SGD (Goyal et al. 2017, arXiv:1706.02677), the square root for Adam and its like (Malladi et al. 2022,
    arXiv:2205.10287); 1 without a reference batch.
    """
    if section.reference_batch is None:
        return 1.0
    ratio = batch / section.reference_batch
    return ratio if section.name in PLAIN_GRADIENT else math.sqrt(ratio)


def build_optimizer(section: OptimizerSection, model: nn.Module, loss: nn.Module, batch: int) -> torch.optim.Optimizer:
    """Build the optimizer for ``batch`` images per step; norms, biases and class table are not decayed."""
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    others += list(loss.parameters())
    optimizer = _make(section.name, [{"params": decayed}, {"params": others, "weight_decay": 0.0}], section.options)
    factor = learning_rate_factor(section, batch)
    for group in optimizer.param_groups:
        group["lr"] *= factor
    return optimizer


def check_optimizer(
    section: OptimizerSection, device: torch.device, locate: Callable[[tuple[str, ...]], Location | None]
) -> None:
    """Take a step with two small parameters, so that torch refuses now what it would refuse in training.

    Raises:
        RecipeError: the optimizer refuses its options, or cannot train with zoo at all.
    """
    error = _failure(section.name, section.options, device)
    if error is None:
        return
    path: tuple[str, ...] = ("optimizer", "options")
    if _failure(section.name, {}, device):
        path = ("optimizer", "name")
    elif blamed := [key for key, value in section.options.items() if _failure(section.name, {key: value}, device)]:
        path = (*path, blamed[0])
    reason = " ".join(str(error).split()) or type(error).__name__
    raise RecipeError([Problem(f"torch.optim.{section.name}: {reason}", locate(path))]) from error


def _failure(name: str, options: dict[str, Any], device: torch.device) -> Exception | None:
    groups = [{"params": [nn.Parameter(torch.zeros(2, 2, device=device))]}]
    groups += [{"params": [nn.Parameter(torch.zeros(2, device=device))], "weight_decay": 0.0}]  # type: ignore[dict-item] # as torch wants them
    try:
        optimizer = _make(name, groups, options)
        for group in optimizer.param_groups:
            # The schedule multiplies it, so it has to be a number.
            group["lr"] = group["lr"] * 1.0
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        if not all(
            bool(parameter.isfinite().all()) for group in optimizer.param_groups for parameter in group["params"]
        ):
            return ValueError("a step with these options is no number")
    except Exception as error:  # noqa: BLE001 - each optimizer refuses in its own way
        return error
    return None


def _make(name: str, groups: Iterable[dict[str, Any]], options: dict[str, Any]) -> torch.optim.Optimizer:
    return cast("torch.optim.Optimizer", getattr(torch.optim, name)(groups, **options))
