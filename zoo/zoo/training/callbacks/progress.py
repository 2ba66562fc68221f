"""How far a training is, and what follows it: learning rate, scale and margin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from lightning.pytorch.callbacks import Callback, Timer

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer

    from zoo.training.module import EmbeddingTraining


def progress_of(trainer: Trainer) -> float:
    """Return how far the training is, in 0..1, the same on all ranks; to be called on all of them."""
    done = local_progress(trainer)
    if trainer.world_size > 1:
        # Clocks differ; ranks that stepped with different learning rates would drift apart.
        done = trainer.strategy.broadcast(done)
    return done


def local_progress(trainer: Trainer) -> float:
    """Return how far the training is, in 0..1: the largest of steps done, epochs done and time used."""
    steps = trainer.estimated_stepping_batches
    done = trainer.global_step / steps if 0 < steps < math.inf else 0.0
    if trainer.max_epochs and 0 < trainer.num_training_batches < math.inf:
        # A resumed training may have other batches than those of its earlier steps.
        completed = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        of_epoch = completed // trainer.accumulate_grad_batches
        in_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        done = max(done, (trainer.current_epoch + of_epoch / in_epoch) / trainer.max_epochs)
    for timer in (callback for callback in trainer.callbacks if isinstance(callback, Timer)):  # type: ignore[attr-defined] # Lightning sets it in a connector
        remaining = timer.time_remaining()
        if remaining is not None:
            done = max(done, timer.time_elapsed() / max(timer.time_elapsed() + remaining, 1e-9))
    return min(done, 1.0)


class FollowProgress(Callback):
    """Tells the module before each step how far the training is."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, _batch: object, _batch_index: int
    ) -> None:
        """Set learning rate, scale and margin."""
        cast("EmbeddingTraining", pl_module).follow(progress_of(trainer))
