"""Optimizer and learning rate schedule of a recipe: checked before a training begins, and built for its model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from zoo_core.building import build
from zoo_core.errors import Problem, RecipeError, ZooError

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.recipes.loading import LoadedRecipe
    from zoo.recipes.schema import OptimizerSection
    from zoo_core.registry import Registry

    # A map from progress (0..1) to the factor of the learning rate, or a scheduler of torch.
    Schedule = Callable[[float], float] | torch.optim.lr_scheduler.LRScheduler

# Their step is the gradient; in all others it is the gradient over a measure of its size.
_PLAIN_GRADIENT = ("sgd", "momentum", "nesterov")


class Optimization:
    """Builds what a recipe's ``optimizer`` and ``lr_scheduler`` name, for ``batch`` images a step."""

    def __init__(self, loaded: LoadedRecipe, registry: Registry, batch: int) -> None:
        self.loaded = loaded
        self.registry = registry
        self.batch = batch

    def optimizer(self, model: nn.Module, loss: nn.Module) -> torch.optim.Optimizer:
        """Build the optimizer; norms, biases and the loss' parameters, such as a class table, are not decayed."""
        section = self.loaded.recipe.optimizer
        decayed = [one for one in model.parameters() if one.ndim > 1 or section.decay_norms_and_biases]
        others = [one for one in model.parameters() if one.ndim <= 1 and not section.decay_norms_and_biases]
        own = list(loss.parameters())
        groups: list[dict[str, Any]] = [
            {"params": decayed},
            {"params": [*others, *([] if section.loss_lr else own)], "weight_decay": 0.0},
        ]
        if section.loss_lr:
            groups.append({"params": own, "weight_decay": 0.0, "lr": section.loss_lr})
        optimizer = self.build_optimizer(groups, section.options)
        factor = learning_rate_factor(section, self.batch)
        for group in optimizer.param_groups:
            group["lr"] *= factor
        return optimizer

    def build_optimizer(self, groups: list[dict[str, Any]], options: dict[str, Any]) -> torch.optim.Optimizer:
        """Build the optimizer of ``groups`` of parameters with ``options``.

        Raises:
            RecipeError: it refuses the options.
            ComponentError: it is not available.
        """
        name, wired = self.loaded.recipe.optimizer.name, {"params": groups}
        built = build(self.registry, "optimizer", name, options, wired, self._below("optimizer"))
        return cast("torch.optim.Optimizer", built)

    def schedule(self, optimizer: torch.optim.Optimizer) -> Schedule:
        """Build the learning rate schedule of ``optimizer``.

        Raises:
            RecipeError: it refuses the options.
            ComponentError: it is not available.
        """
        section, wired = self.loaded.recipe.lr_scheduler, {"optimizer": optimizer}
        built = build(self.registry, "lr_scheduler", section.name, section.options, wired, self._below("lr_scheduler"))
        return cast("Schedule", built)

    def _below(self, section: str) -> Callable[[tuple[str | int, ...]], Any]:
        return lambda below: self.loaded.document.locate((section, *below))


def learning_rate_factor(section: OptimizerSection, batch: int) -> float:
    """Return what to multiply the recipe's learning rates with when ``batch`` images make one step.

    Linear for SGD (Goyal et al. 2017, arXiv:1706.02677), the square root for Adam and its like (Malladi et al. 2022,
    arXiv:2205.10287); 1 without a reference batch.
    """
    if section.reference_batch is None:
        return 1.0
    ratio = batch / section.reference_batch
    name = section.name.rpartition("/")[2].lower()
    return ratio if any(plain in name for plain in _PLAIN_GRADIENT) else math.sqrt(ratio)


def check_optimization(optimization: Optimization, loss: nn.Module, device: torch.device) -> Schedule:
    """Take a step with two small parameters, so that what would be refused in training is refused now.

    Returns:
        The schedule of these parameters.

    Raises:
        RecipeError: optimizer or schedule refuse their options, or the optimizer cannot train with zoo at all.
        ComponentError: one of them is not available.
    """
    section, locate = optimization.loaded.recipe.optimizer, optimization.loaded.document.locate
    if section.loss_lr and not any(True for _ in loss.parameters()):
        message = f"{optimization.loaded.recipe.model.loss.name} leaves no parameters to the optimizer"
        raise RecipeError([Problem(message, locate(("optimizer", "loss_lr")), "leave it out")])
    component = optimization.registry.find("optimizer", section.name)
    # What is not available here is no wrong option.
    optimization.registry.load(component)
    optimizer, error = _attempt(optimization, section.options, device)
    if optimizer is not None and error is None:
        return optimization.schedule(optimizer)
    path: tuple[str, ...] = ("optimizer", "options")
    if _attempt(optimization, {}, device)[1]:
        path = ("optimizer", "name")
    elif blamed := [key for key, value in section.options.items() if _attempt(optimization, {key: value}, device)[1]]:
        path = (*path, blamed[0])
    message = error.problems[0].message if isinstance(error, ZooError) else " ".join(str(error).split())
    name = component.qualified_name
    message = message if name in message else f"{name}: {message or type(error).__name__}"
    raise RecipeError([Problem(message, locate(path))]) from error


def _attempt(
    optimization: Optimization, options: dict[str, Any], device: torch.device
) -> tuple[torch.optim.Optimizer | None, Exception | None]:
    """Return an optimizer that has taken a step, or the error that it made."""
    groups: list[dict[str, Any]] = [{"params": [nn.Parameter(torch.zeros(2, 2, device=device))]}]
    groups += [{"params": [nn.Parameter(torch.zeros(2, device=device))], "weight_decay": 0.0}]
    try:
        optimizer = optimization.build_optimizer(groups, options)
        for group in optimizer.param_groups:
            # The schedule multiplies it, so it has to be a number.
            group["lr"] = group["lr"] * 1.0
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if not all(bool(parameter.isfinite().all()) for parameter in parameters):
            return None, ValueError("a step with these options is no number")
    except Exception as error:  # noqa: BLE001 - each optimizer refuses in its own way
        return None, error
    return optimizer, None
