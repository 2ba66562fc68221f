"""The last checkpoint between validations: at intervals of time or steps, and when a signal asks for the end."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import torch
from lightning.pytorch.callbacks import Checkpoint

from zoo.training.callbacks.stopping import StopRequested

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lightning import LightningModule, Trainer

    from zoo.recipes.schema import CheckpointSection
    from zoo.training.signals import StopSignals

# Writing checkpoints by time takes at most one part of so many of the training.
LEAST_RATIO = 100


class SaveBetweenValidations(Checkpoint):
    """Writes the last checkpoint before the first step, at intervals, and before it stops at a signal.

    Not just before a validation, which a resumed training would skip, and not within the end of an epoch: what is due
    there waits until both are over. As a ``Checkpoint``, and the last of them, it comes after those that keep the best.
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
        self._saved = 0
        # Of the last batch: the step it is in, and whether that step's save waits.
        self._step = 0
        self._waits = False

    def on_sanity_check_start(self, *_: object) -> None:
        """Listen to signals again, whose handlers Lightning has just replaced."""
        self.signals.listen()

    def on_train_start(self, trainer: Trainer, _module: LightningModule) -> None:
        """Write a new training's first checkpoint, so that from here on it can be resumed."""
        self.signals.listen()
        self._step = self._saved = trainer.global_step
        self._due = self._clock() + self._seconds
        if trainer.ckpt_path is None:
            self._save(trainer)
        self.signals.has_state = True

    def on_train_batch_end(
        self, trainer: Trainer, _module: LightningModule, _outputs: object, _batch: object, batch_idx: int
    ) -> None:
        """Save where it is time, and stop where it was asked for, unless a validation or an epoch's end is next."""
        # Gradients that are still being accumulated are in no checkpoint.
        stepped, self._step = trainer.global_step != self._step, trainer.global_step
        self._waits = stepped and _is_followed(trainer, batch_idx)
        if stepped and not self._waits:
            self._act(trainer)

    def on_validation_end(self, trainer: Trainer, _module: LightningModule) -> None:
        """Count the interval from here, as validations write checkpoints themselves; stop where it was asked for."""
        if trainer.sanity_checking:
            return
        self._due, self._saved = self._clock() + self._interval, trainer.global_step
        if self._waits and not _ends_epoch(trainer):
            self._waits = False
            self._act(trainer)

    def on_train_epoch_end(self, trainer: Trainer, _module: LightningModule) -> None:
        """Do what waited; at the training's end, which saves itself, there is nothing to stop."""
        if self._waits and not _ends_training(trainer):
            self._act(trainer)
        self._waits = False

    def _act(self, trainer: Trainer) -> None:
        """Save where it is time, on all ranks at the same step; stop there when any of them was asked to."""
        by_steps = self._steps and trainer.global_step // self._steps > self._saved // self._steps
        request = 2 * self.signals.number + bool(by_steps or self._clock() >= self._due)
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
        self._due, self._saved = now + self._interval, trainer.global_step


def _is_followed(trainer: Trainer, batch_idx: int) -> bool:
    """Return whether a validation or the end of the epoch comes before the next step."""
    if _ends_epoch(trainer):
        return True
    epochs, every = trainer.check_val_every_n_epoch, trainer.val_check_batch
    if every is None or not math.isfinite(every) or (epochs and (trainer.current_epoch + 1) % epochs):
        return False
    done = trainer.fit_loop.epoch_loop.total_batch_idx if epochs is None else batch_idx
    return (done + 1) % every == 0


def _ends_epoch(trainer: Trainer) -> bool:
    return trainer.should_stop or trainer.fit_loop.epoch_loop.batch_progress.is_last_batch


def _ends_training(trainer: Trainer) -> bool:
    epochs = trainer.max_epochs
    return trainer.should_stop or (epochs is not None and 0 <= epochs <= trainer.current_epoch + 1)
