"""The LightningModule: one model, one loss, validation on classes it has never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import lightning
import torch
from torch import nn

from zoo import metrics
from zoo.assembly import EmbeddedImages, EmbeddingModel, to_pixels
from zoo_core.contracts import FollowsProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from zoo.recipe import NamedSection


class EmbeddingTraining(lightning.LightningModule):
    """Trains ``model`` under ``loss``; learning rate, scale and margin follow the progress of the run."""

    def __init__(
        self,
        model: EmbeddingModel,
        loss: nn.Module,
        *,
        optimizer: NamedSection,
        schedule: Callable[[float], float],
        channels_last: bool,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.optimizer_section = optimizer
        self.schedule = schedule
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.progress = 0.0
        # Metrics of the model before its first step, and after the last validation.
        self.untrained: dict[str, float] = {}
        self.validated: dict[str, float] = {}
        self._embedded: list[tuple[Tensor, ...]] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimizer; norms, biases and the class table are not decayed."""
        decayed = [parameter for parameter in self.model.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in self.model.parameters() if parameter.ndim <= 1]
        others += list(self.loss.parameters())
        groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
        factory = getattr(torch.optim, self.optimizer_section.name)
        optimizer = cast("torch.optim.Optimizer", factory(groups, **self.optimizer_section.options))
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        return optimizer

    def follow(self, progress: float) -> None:
        """Set learning rate, scale and margin for ``progress`` in 0..1."""
        self.progress = progress
        factor = self.schedule(progress)
        for group in cast("torch.optim.Optimizer", self.optimizers(use_pl_optimizer=False)).param_groups:
            group["lr"] = group["initial_lr"] * factor
        if isinstance(self.loss, FollowsProgress):
            self.loss.set_progress(progress)

    def embed(self, images: Tensor) -> Tensor:
        """Embed ``uint8 [N, H, W, 3]``."""
        # The weights' dtype: Lightning's true half precisions change it, mixed ones do not.
        pixels = to_pixels(images, next(self.model.parameters()).dtype)
        return cast("Tensor", self.model(pixels.contiguous(memory_format=self.memory_format)))

    def training_step(self, batch: tuple[Tensor, Tensor], _batch_index: int) -> Tensor:
        """Return the loss of one batch."""
        images, labels = batch
        loss = cast("Tensor", self.loss(self.embed(images), labels))
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
        """Remember what the untrained model could do, for a run that is resumed."""
        checkpoint["zoo"] = {"untrained": self.untrained}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Recall what the untrained model could do."""
        self.untrained = checkpoint.get("zoo", {}).get("untrained", {})
