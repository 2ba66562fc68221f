"""The LightningModule: one model, one loss, validation on classes it has never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import lightning
import torch
from torch import nn

from zoo import metrics
from zoo.batches import to_pixels
from zoo.validation import EmbeddedImages
from zoo_core.contracts import FollowsProgress
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from zoo.assembly import EmbeddingModel
    from zoo.training.distillation import SimilarityDistillation


class EmbeddingTraining(lightning.LightningModule):
    """Trains ``model`` under ``loss``; learning rate, scale and margin follow the progress of the run."""

    def __init__(
        self,
        model: EmbeddingModel,
        loss: nn.Module,
        *,
        optimizer: Callable[[nn.Module, nn.Module], torch.optim.Optimizer],
        schedule: Callable[[float], float],
        channels_last: bool,
        distillation: SimilarityDistillation | None = None,
        executor: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.make_optimizer = optimizer
        self.schedule = schedule
        self.distillation = distillation
        # Takes the training's pictures, where the recipe wants that on the device.
        self.executor = executor
        # One of each group of the optimizer, at its highest: what a checkpoint says of them is from another batch size.
        self.rates: list[float] = []
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.progress = 0.0
        # The last batch's embeddings and labels, for what watches the steps.
        self.embedded: tuple[Tensor, Tensor] | None = None
        # Of the run that a checkpoint is from, until the loaders say how many there are now.
        self.batches_per_epoch = 0
        # A digest of the names of the classes, whose order the loss's parameters have.
        self.classes = ""
        # Metrics of the model before its first step, and after the last validation.
        self.untrained: dict[str, float] = {}
        self.validated: dict[str, float] = {}
        self._embedded: list[tuple[Tensor, ...]] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimizer."""
        optimizer = self.make_optimizer(self.model, self.loss)
        self.rates = [group["lr"] for group in optimizer.param_groups]
        return optimizer

    def follow(self, progress: float) -> None:
        """Set learning rate, scale and margin for ``progress`` in 0..1."""
        self.progress = progress
        factor = self.schedule(progress)
        groups = cast("torch.optim.Optimizer", self.optimizers(use_pl_optimizer=False)).param_groups
        for group, rate in zip(groups, self.rates, strict=True):
            group["lr"] = rate * factor
        if isinstance(self.loss, FollowsProgress):
            self.loss.set_progress(progress)

    def embed(self, images: Tensor) -> Tensor:
        """Embed ``uint8 [N, H, W, 3]``."""
        # The weights' dtype: Lightning's true half precisions change it, mixed ones do not.
        pixels = to_pixels(images, next(self.model.parameters()).dtype)
        return cast("Tensor", self.model(pixels.contiguous(memory_format=self.memory_format)))

    def on_after_batch_transfer(self, batch: tuple[Any, ...], dataloader_idx: int) -> tuple[Any, ...]:
        """Take the pictures that the loader's processes prepared; those of validation are taken already."""
        if self.executor is None or not self.trainer.training:
            return cast("tuple[Any, ...]", super().on_after_batch_transfer(batch, dataloader_idx))
        prepared, *others = batch
        return (self.executor(*prepared), *others)

    def training_step(self, batch: tuple[Tensor, ...], _batch_index: int) -> Tensor:
        """Return the loss of one batch: images, labels and, where the recipe distils, features of the teacher."""
        images, labels, *features = batch
        embeddings = self.embed(images)
        self.embedded = embeddings.detach(), labels
        loss = cast("Tensor", self.loss(embeddings, labels))
        if self.distillation is not None:
            distilled = self.distillation(embeddings, *features)
            self.log("train/distillation", distilled, batch_size=len(labels))
            loss = loss + self.distillation.weight * distilled
        self.log("train/loss", loss, batch_size=len(labels))
        return loss

    def validation_step(self, batch: tuple[Tensor, ...], _batch_index: int) -> None:
        """Embed one batch and keep it for the end of the epoch."""
        images, labels, plain, index = batch
        self._embedded.append((self.embed(images), labels, plain, index))

    def on_validation_epoch_end(self) -> None:
        """Compare all pairs of all ranks."""
        columns = [torch.cat(column) for column in zip(*self._embedded, strict=True)]
        self._embedded.clear()
        if self.trainer.world_size > 1:
            columns = [cast("Tensor", self.all_gather(column)).flatten(0, 1) for column in columns]
        embedded = EmbeddedImages.of(*columns)
        values = metrics.summary(embedded.embeddings, embedded.labels, embedded.is_reference)
        if self.trainer.sanity_checking:
            self.untrained = values
            return
        self.validated = values
        self.log_dict({f"valid/{name}": value for name, value in values.items()}, rank_zero_only=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember for a resumed run what the untrained model could do, and what an epoch and its classes were."""
        facts = {"untrained": self.untrained, "batches_per_epoch": self.batches_per_epoch, "classes": self.classes}
        checkpoint["zoo"] = facts

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Recall these.

        Raises:
            RunError: the classes have changed.
        """
        facts = checkpoint.get("zoo", {})
        self.untrained = facts.get("untrained", {})
        self.batches_per_epoch = facts.get("batches_per_epoch", 0)
        if facts.get("classes", self.classes) != self.classes:
            hint = "train anew; with class_table.mode=sparse rows would find their classes by name"
            raise RunError("the training data have other classes than those of the checkpoint", hint=hint)
