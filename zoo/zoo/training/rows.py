"""The steps of a loss that keeps rows no optimizer sees, and their place beside the checkpoints."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch.callbacks import Callback

from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lightning import LightningModule, Trainer

    from zoo.folders import RunFolder
    from zoo.training.module import EmbeddingTraining
    from zoo_core.contracts import KeepsRows

# Where a checkpoint keeps the name of the folder of its rows.
ROWS = "zoo_rows"
# So many steps in a row without one finite gradient are no accident.
MOST_LEFT_OUT = 20


class StepRows(Callback):
    """Moves the rows with each step of the network, leaves out a step that is no number, saves and loads the rows.

    A checkpoint's rows stand beside it in a folder ``rows-<step>``, which is whole before the checkpoint names it.
    """

    def __init__(self, folder: RunFolder, say: Callable[[str], None]) -> None:
        self.checkpoints = folder.checkpoints
        self.say = say

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Move the rows, unless a gradient of the network or of the rows is no number: then nothing moves."""
        module = cast("EmbeddingTraining", pl_module)
        loss = cast("KeepsRows", module.loss)
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        finite = not gradients or bool(torch.stack(torch._foreach_norm(gradients)).sum().isfinite())  # noqa: SLF001 - torch's own name for it
        if finite:
            scale = scaler.get_scale() if scaler is not None else 1.0
            finite = loss.apply_gradients(optimizer.param_groups[0]["lr"], scale)
        else:
            loss.drop_gradients()
        if finite:
            module.left_out = 0
            return
        module.left_out += 1
        reason = _first_bad(module)
        for parameter in parameters:
            parameter.grad = None
        # With a scaler these are expected: it looks for the largest scale that fits.
        if scaler is None:
            self.say(f"step {trainer.global_step} is left out: {reason}")
        if module.left_out == MOST_LEFT_OUT:
            message = f"{MOST_LEFT_OUT} steps in a row were left out by step {trainer.global_step}: {reason}"
            hint = "lower optimizer.options.lr or set trainer.gradient_clip_val; the last checkpoint is from before"
            raise RunError(message, hint=hint)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Write the rows, once for all checkpoints of a step."""
        # Of several ranks the first one knows where the run is.
        folder = trainer.strategy.broadcast(self.checkpoints / f"rows-{trainer.global_step:09d}")
        if not trainer.strategy.broadcast(folder.is_dir()):
            cast("KeepsRows", cast("EmbeddingTraining", pl_module).loss).save_rows(folder)
        checkpoint[ROWS] = folder.name

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Read the rows of the checkpoint."""
        if ROWS not in checkpoint:
            hint = "model.loss.options.class_table.mode=dense is what it was trained with"
            raise RunError("the checkpoint has no rows of a class table beside it", hint=hint)
        folder = trainer.strategy.broadcast(self.checkpoints) / checkpoint[ROWS]
        words = cast("KeepsRows", cast("EmbeddingTraining", pl_module).loss).load_rows(folder)
        self.say(f"class table: {words}")


def drop_unnamed_rows(checkpoints: Path) -> None:
    """Delete the folders of rows that no checkpoint in the folder names any more."""
    folders = [*checkpoints.glob("rows-*"), *checkpoints.glob(".rows-*.part")]
    if not folders:
        return
    named = {torch.load(path, weights_only=True, mmap=True).get(ROWS) for path in checkpoints.glob("*.ckpt")}
    for folder in folders:
        if folder.name not in named:
            shutil.rmtree(folder, ignore_errors=True)


def _first_bad(module: EmbeddingTraining) -> str:
    """Say which tensor is the first on the way from the batch to the weights that is no number."""
    embeddings, labels = module.embedded if module.embedded is not None else (torch.empty(0, 1), torch.empty(0))
    (rows,) = torch.nonzero(~embeddings.isfinite().all(dim=1), as_tuple=True)
    if len(rows):
        shown = ", ".join(f"{row} (label {labels[row]})" for row in rows[:5].tolist())
        more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""  # noqa: PLR2004 - those shown
        return f"the embeddings at {shown}{more} of the batch are no numbers"
    for name, parameter in module.named_parameters():
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            return f"the gradient of {name} is no number"
    return "the gradient of the class table is no number"
