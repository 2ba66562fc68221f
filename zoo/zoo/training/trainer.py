"""Lightning's trainer, made of what a recipe says, and refused with the recipe's locations."""

from __future__ import annotations

import copy
import logging
import warnings
from typing import TYPE_CHECKING, Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from lightning.pytorch.utilities import rank_zero_only

from zoo.training.checkpoints import AtomicCheckpointIO
from zoo.training.lightning_parts import named_parts
from zoo.training.ranks import watch_launched
from zoo_core.errors import Problem, RecipeError

if TYPE_CHECKING:
    from torch import nn

    from zoo.recipes.loading import LoadedRecipe
    from zoo_core.registry import Registry

LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.profilers")
SILENCED = (
    ".*does not have many workers.*",  # the recipe's num_workers was chosen
    ".*your dataloader is not resumable.*",  # EpochSampler resumes where the last step stopped
    ".*Checkpoint directory .* exists and is not empty.*",  # on --resume it must
    ".*GPU available but not used.*",
    ".*could not find the monitored key.*",  # of a training without validations, whose end is kept
    ".*smaller than the logging interval.*",  # short trainings are fine
    ".*LeafSpec.*is deprecated.*",
    ".*all_gather is deprecated.*",  # Lightning calls it
    ".*sync_dist=True.*",  # all ranks compare all pairs, and find the same
    ".*overridden `on_after_batch_transfer` in `LightningModule`.*",  # there it is meant to be
)


def make_trainer(loaded: LoadedRecipe, registry: Registry, **own: Any) -> lightning.Trainer:  # noqa: ANN401 - Lightning's arguments
    """Make the trainer that a recipe asks for, with zoo's ``own`` arguments where it says nothing.

    Callbacks and loggers that it names are added to zoo's; ``trainer.logger: false`` is none at all.

    Raises:
        RecipeError: Lightning refuses the section, or it asks for what zoo cannot do.
        ComponentError: a callback or logger is not available.
    """
    given = dict(loaded.recipe.trainer)
    if given.get("overfit_batches"):
        location = loaded.document.locate(("trainer", "overfit_batches"))
        raise RecipeError([Problem("zoo orders the batches itself", location, "train on less data instead")])
    # Ours hides its bar, but always counts images and writes the curves.
    given.pop("enable_progress_bar", None)
    own["callbacks"] = [*own.get("callbacks", []), *named_parts(loaded, registry, "callbacks")]
    if given.pop("logger", None) is False:
        own["logger"] = False
    elif more := named_parts(loaded, registry, "logger"):
        own["logger"] = [*([own["logger"]] if own.get("logger") else []), *more]
    given.pop("callbacks", None)
    plugins = given.pop("plugins", None) or []
    plugins = [AtomicCheckpointIO(), *(plugins if isinstance(plugins, list) else [plugins])]
    arguments: dict[str, Any] = {
        "num_sanity_val_steps": -1,
        "enable_model_summary": False,
        "plugins": plugins,
        **own,
        **given,
    }
    try:
        trainer = lightning.Trainer(**arguments)
    except (MisconfigurationException, TypeError, ValueError) as error:
        message = f"lightning.Trainer: {' '.join(str(error).split())}"
        location = loaded.document.locate(("trainer", *_refused(arguments, given)))
        raise RecipeError([Problem(message, location)]) from error
    if given.get("profiler"):
        # It reports by a message, as all that is silenced.
        logging.getLogger(LOGGERS[2]).setLevel(logging.INFO)
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        message = f"{given.get('strategy')} trains in processes that keep their results to themselves"
        location = loaded.document.locate(("trainer", "strategy"))
        raise RecipeError([Problem(message, location, "ddp starts as many, and works everywhere")])
    watch_launched(trainer)
    # Lightning takes these, then divides by zero, or ends without a step and without a checkpoint.
    for name in ("max_epochs", "max_steps", "limit_train_batches", "accumulate_grad_batches"):
        value = getattr(trainer, name)
        if value == 0 or (name == "accumulate_grad_batches" and value < 0):
            location = loaded.document.locate(("trainer", name))
            raise RecipeError([Problem(f"{value} is no training: it has to be above 0", location)])
    return trainer


def _refused(arguments: dict[str, Any], given: dict[str, Any]) -> tuple[str, ...]:
    """Return the one of the ``given`` arguments without which Lightning accepts the others, if there is one."""
    for name in given:
        try:
            lightning.Trainer(**{key: value for key, value in arguments.items() if key != name})
        except (MisconfigurationException, TypeError, ValueError):
            continue
        return (name,)
    return ()


def check_batch(model: nn.Module, images: int, image_size: tuple[int, int], loaded: LoadedRecipe) -> None:
    """Show a copy of ``model`` a single image where a step has no more: BatchNorm may have nothing to average over.

    Raises:
        RecipeError: it has not.
    """
    if images > 1:
        return
    try:
        copy.deepcopy(model).train()(torch.zeros(1, 3, *image_size))
    except ValueError as error:
        message = f"one image a step: {' '.join(str(error).split())}"
        location = loaded.document.locate(("data", "loader", "batch_size"))
        raise RecipeError([Problem(message, location, "BatchNorm needs a batch of at least 2")]) from error


def device_names(trainer: lightning.Trainer) -> list[str]:
    """Return the name of each device that trains; the CPU has none."""
    device = trainer.strategy.root_device
    if device.type == "cpu":
        return []
    module = torch.get_device_module(device)
    name = module.get_device_name(device) if hasattr(module, "get_device_name") else device.type
    return [name] * trainer.num_devices * trainer.num_nodes


def is_first_rank() -> bool:
    """Return whether this process writes files and messages: the first rank, or the only process."""
    return rank_zero_only.rank == 0  # type: ignore[attr-defined,no-any-return] # set by Lightning at import


def quiet() -> None:
    """Silence Lightning's messages about itself; zoo prints what a user can act on."""
    for name in LOGGERS[:2]:
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in SILENCED:
        warnings.filterwarnings("ignore", message=message)
