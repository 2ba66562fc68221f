"""The steps of a class table that no optimizer sees, and its folder beside the checkpoints."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch.callbacks import Callback
from torch import distributed

from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lightning import LightningModule, Trainer

    from zoo.runs.layout import RunFolder
    from zoo.training.module import EmbeddingTraining
    from zoo_core.capabilities import OwnsClassTable

# Where a checkpoint keeps the name of the folder of its class table.
FOLDER_KEY = "zoo_rows"
# So many consecutive steps without a finite gradient are no accident.
MOST_SKIPPED = 20


class ClassTableSteps(Callback):
    """Steps the class table with the network, skips a non-finite step, saves and loads the class table.

    A checkpoint's class table is stored beside it in a folder ``rows-<step>``, which is complete before the
    checkpoint names it.

    Args:
        folder: of the run.
        say: shows a line where progress is shown.
        warn: shows a line in any case.
    """

    def __init__(self, folder: RunFolder, say: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self.checkpoints = folder.checkpoints
        self.say, self.warn = say, warn
        # Consecutive steps that were skipped.
        self._skipped = 0
        # Embeddings and labels of the batches of this step so far, and the buffers from before it.
        self._batches: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._buffers: list[torch.Tensor] = []
        # The step whose class table is written, and where.
        self._written: tuple[int, Path] | None = None

    def on_train_batch_start(
        self, _trainer: Trainer, pl_module: LightningModule, _batch: object, _batch_index: int
    ) -> None:
        """Keep the buffers, such as running statistics: a forward pass moves them before its numbers are known."""
        if not self._buffers:
            self._buffers = [buffer.clone() for buffer in pl_module.buffers()]

    def on_before_backward(self, _trainer: Trainer, pl_module: LightningModule, _loss: torch.Tensor) -> None:
        """Keep the batch, to name what is not finite in it."""
        embedded = cast("EmbeddingTraining", pl_module).embedded
        if embedded is not None:
            self._batches.append(embedded)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Step the class table, unless a gradient of it or of the network is not finite: then nothing moves."""
        loss = cast("OwnsClassTable", pl_module.loss)
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        finite = not gradients or bool(torch.stack(torch._foreach_norm(gradients)).sum().isfinite())  # noqa: SLF001 - torch's own name for it
        if trainer.world_size > 1:
            finite = trainer.strategy.reduce_boolean_decision(finite, all=True)
        if finite:
            scale = scaler.get_scale() if scaler is not None else 1.0
            finite = loss.apply_gradients(optimizer.param_groups[0]["lr"], scale)
        else:
            loss.drop_gradients()
        self._skipped = 0 if finite else self._skipped + 1
        if not finite:
            self._skip(trainer, pl_module, optimizer, scaled=scaler is not None)
        self._batches.clear()
        self._buffers.clear()

    def _skip(
        self, trainer: Trainer, module: LightningModule, optimizer: torch.optim.Optimizer, *, scaled: bool
    ) -> None:
        """Drop the network's gradients, restore the buffers, and print the reason."""
        # With a scaler these are expected: it looks for the largest scale that fits.
        told = not scaled or self._skipped == MOST_SKIPPED
        reason = self._reason(trainer, module) if told else ""
        # An optimizer that unscales gradients by itself has to find them.
        by_itself = scaled and getattr(optimizer, "_step_supports_amp_scaling", False)
        for parameter in (parameter for group in optimizer.param_groups for parameter in group["params"]):
            if by_itself and parameter.grad is not None:
                parameter.grad.fill_(torch.nan)
            else:
                parameter.grad = None
        with torch.no_grad():
            for buffer, before in zip(module.buffers(), self._buffers, strict=True):
                buffer.copy_(before)
        if not scaled:
            self.warn(f"step {trainer.global_step} is left out: {reason}")
        if self._skipped == MOST_SKIPPED:
            message = f"{MOST_SKIPPED} steps in a row were left out by step {trainer.global_step}: {reason}"
            hint = "lower optimizer.options.lr or set trainer.gradient_clip_val; the last checkpoint is from before"
            raise RunError(message, hint=hint)

    def _reason(self, trainer: Trainer, module: LightningModule) -> str:
        """Describe the first tensor that is not finite, over all ranks."""
        order, words = _first_bad(module, self._batches)
        if trainer.world_size == 1:
            return words
        found: list[tuple[int, str]] = [(0, "")] * trainer.world_size
        distributed.all_gather_object(found, (order, words))
        rank = min(range(len(found)), key=lambda rank: found[rank][0])
        return f"{found[rank][1]}, on rank {rank}"

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Write the class table, once for all checkpoints of a step."""
        if self._written is None or self._written[0] != trainer.global_step:
            # Only the first rank knows where the run folder is.
            folder = trainer.strategy.broadcast(_new_folder(self.checkpoints, trainer.global_step))
            cast("OwnsClassTable", pl_module.loss).save_class_table(folder)
            self._written = trainer.global_step, folder
        checkpoint[FOLDER_KEY] = self._written[1].name

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Read the class table of the checkpoint."""
        if FOLDER_KEY not in checkpoint:
            hint = "model.loss.options.class_table.mode=dense is what it was trained with"
            raise RunError("the checkpoint has no rows of a class table beside it", hint=hint)
        folder = trainer.strategy.broadcast(self.checkpoints) / checkpoint[FOLDER_KEY]
        words = cast("OwnsClassTable", pl_module.loss).load_class_table(folder)
        self.say(f"class table: {words}")


def _new_folder(checkpoints: Path, step: int) -> Path:
    """Name a folder that is not there: another one of that step is from before a resume at an earlier step."""
    endings = itertools.chain([""], (f"-{count}" for count in itertools.count(2)))
    return next(folder for end in endings if not (folder := checkpoints / f"rows-{step:09d}{end}").exists())


def drop_remnants(checkpoints: Path) -> None:
    """Delete what a killed process left half written, and class tables that no checkpoint names any more."""
    for path in checkpoints.glob(".*.ckpt"):
        path.unlink(missing_ok=True)
    folders = [*checkpoints.glob("rows-*"), *checkpoints.glob(".rows-*.part")]
    if not folders:
        return
    try:
        named = {torch.load(path, weights_only=True, mmap=True).get(FOLDER_KEY) for path in checkpoints.glob("*.ckpt")}
    except Exception:  # noqa: BLE001 - zip, pickle and torch each have their own kinds of broken
        # A damaged one may name any of them.
        return
    for folder in folders:
        if folder.name not in named:
            shutil.rmtree(folder, ignore_errors=True)


def _first_bad(module: LightningModule, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[int, str]:
    """Return order and description of the first tensor, from the batch to the weights, that is not finite."""
    for number, (embeddings, labels) in enumerate(batches, 1):
        (rows,) = torch.nonzero(~embeddings.isfinite().all(dim=1), as_tuple=True)
        if len(rows):
            shown = ", ".join(f"{row} (label {labels[row]})" for row in rows[:5].tolist())
            more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""  # noqa: PLR2004 - those shown
            batch = f"batch {number} of {len(batches)}" if len(batches) > 1 else "the batch"
            return 0, f"the embeddings at {shown}{more} of {batch} are no numbers"
    for name, parameter in module.named_parameters():
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            return 1, f"the gradient of {name} is no number"
    return 2, "the gradient of the class table is no number"
