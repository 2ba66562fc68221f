"""When a training stops before its end: a limit of steps, a loss that is not finite, a signal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from zoo_core.capabilities import OwnsClassTable
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer


class StopRequested(Exception):  # noqa: N818 - it is no error
    """A signal asked for the end, and the last checkpoint is written."""


class StopAtStepLimit(Callback):
    """Validates what a limit of steps stops: Lightning does so for a limit of time only."""

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Stop at the limit."""
        if 0 <= trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True


class StopOnNonFiniteLoss(Callback):
    """Ends a training whose loss is not finite; a loss that owns its class table has such a step skipped instead."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, _outputs: object, _batch: object, batch_idx: int
    ) -> None:
        """Look at the loss at each logging interval: reading it waits for the device."""
        if batch_idx % max(trainer.log_every_n_steps, 1):  # type: ignore[attr-defined] # Lightning sets it in a connector
            return
        loss = float(trainer.callback_metrics["train/loss"])
        if not math.isfinite(loss) and not isinstance(pl_module.loss, OwnsClassTable):
            msg = f"the loss became {loss} by step {trainer.global_step}"
            hint = "lower optimizer.options.lr or set trainer.gradient_clip_val; the last checkpoint is from before"
            raise RunError(msg, hint=hint)
