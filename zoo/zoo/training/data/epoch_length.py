"""How many batches an epoch has: a training may be resumed with another batch size, or on other devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer


class EpochLength(Callback):
    """Saves the number of batches of an epoch, and converts the progress within a resumed one to another number."""

    def __init__(self) -> None:
        # Those of the training that wrote the checkpoint, until the loader is built.
        self.batches = 0

    def set_batches(self, trainer: Trainer, batches: int) -> None:
        """Set the number of batches; rescale the progress within a resumed epoch that had another."""
        before, self.batches = self.batches, batches
        if before in {0, batches}:
            return
        current = trainer.fit_loop.epoch_loop.batch_progress.current
        for name in ("ready", "started", "processed", "completed"):
            setattr(current, name, min(batches, getattr(current, name) * batches // before))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the number."""
        checkpoint.setdefault("zoo", {})["batches_per_epoch"] = self.batches

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Read the number of the training that wrote the checkpoint."""
        self.batches = checkpoint.get("zoo", {}).get("batches_per_epoch", 0)
