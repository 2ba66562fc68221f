"""The last checkpoint between validations: at intervals of time or steps, and when a signal asks for the end."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import torch
from lightning.pytorch.callbacks import Callback

from zoo.training.callbacks.stopping import StopRequested

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lightning import LightningModule, Trainer

    from zoo.recipes.schema import CheckpointSection
    from zoo.training.signals import StopSignals

# Writing checkpoints by time takes at most one part of so many of the training.
LEAST_RATIO = 100


class SaveBetweenValidations(Callback):
    """Writes the last checkpoint before the first step, at intervals, and before it stops at a signal.

    Not just before a validation, which writes it anyway and which a resumed training would skip: the next step does.
    """

    def __init__(
        self,
        checkpoint: Path,
        section: CheckpointSection,
        signals: StopSignals,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.checkpoint = checkpoint
        self.signals = signals
        self._seconds = 60 * section.every_minutes if section.every_minutes else math.inf
        self._steps = section.every_steps
        self._clock = clock
        # Of the last save.
        self._cost = 0.0
        self._due = math.inf
        self._step = 0

    def on_sanity_check_start(self, *_: object) -> None:
        """Listen to signals again, whose handlers Lightning has just replaced."""
        self.signals.listen()

    def on_train_start(self, trainer: Trainer, _module: LightningModule) -> None:
        """Write a new training's first checkpoint, so that from here on it can be resumed."""
        self.signals.listen()
        self._step = trainer.global_step
        self._due = self._clock() + self._seconds
        if trainer.ckpt_path is None:
            self._save(trainer)
        self.signals.has_state = True

    def on_validation_end(self, trainer: Trainer, _module: LightningModule) -> None:
        """Count the interval from here: validations write checkpoints themselves."""
        if not trainer.sanity_checking:
            self._due = self._clock() + self._interval

    def on_train_batch_end(
        self, trainer: Trainer, _module: LightningModule, _outputs: object, _batch: object, batch_idx: int
    ) -> None:
        """Save where it is time, on all ranks at the same step; stop there when any of them was asked to."""
        if trainer.global_step == self._step or _validates_next(trainer, batch_idx):
            # Gradients that are still being accumulated are in no checkpoint.
            return
        self._step = trainer.global_step
        is_due = self._clock() >= self._due or (self._steps and self._step % self._steps == 0)
        request = 2 * self.signals.number + bool(is_due)
        if trainer.world_size > 1:
            # The first rank's clock decides for all, with the signals of all.
            request = request if trainer.is_global_zero else request & ~1
            mine = torch.tensor(request, device=trainer.strategy.root_device)
            request = int(trainer.strategy.reduce(mine, reduce_op="max"))
        if request:
            self._save(trainer)
        if request > 1:
            self.signals.number = request // 2
            raise StopRequested

    @property
    def _interval(self) -> float:
        return max(self._seconds, LEAST_RATIO * self._cost)

    def _save(self, trainer: Trainer) -> None:
        started = self._clock()
        trainer.save_checkpoint(self.checkpoint)
        now = self._clock()
        self._cost = now - started
        self._due = now + self._interval


def _validates_next(trainer: Trainer, batch_idx: int) -> bool:
    """Return whether a validation or the end of the epoch comes before the next step."""
    loop = trainer.fit_loop.epoch_loop
    if loop.batch_progress.is_last_batch or trainer.should_stop:
        return True
    every = trainer.val_check_batch
    done = loop.total_batch_idx if trainer.check_val_every_n_epoch is None else batch_idx
    return every is not None and math.isfinite(every) and (done + 1) % every == 0
