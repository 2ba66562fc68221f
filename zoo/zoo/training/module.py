"""The LightningModule: one model, one loss, validation on classes it has never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import lightning
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from zoo.metrics.identification import rank1
from zoo.metrics.summary import figures
from zoo.metrics.verification import verify
from zoo.models.torch_model import to_pixels
from zoo.training.data.device_parts import augment
from zoo.validation.batch import gathered
from zoo.validation.embedded_images import EmbeddedImages
from zoo_core.capabilities import FollowsProgress, HasParts
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from zoo.assembly import EmbeddingModel
    from zoo.training.data.batch import TrainingBatch
    from zoo.training.distillation.loss import SimilarityDistillation
    from zoo.training.optimizers import Schedule
    from zoo.validation.batch import ValidationBatch


class EmbeddingTraining(lightning.LightningModule):
    """Trains ``model`` under ``loss``; learning rate, scale and margin follow the training's progress.

    Args:
        model: what is trained.
        loss: of embeddings and labels.
        optimizer: builds the optimizer of a model and a loss.
        schedule: builds the schedule of an optimizer: a map from progress (0..1) to the factor of the learning rate, or
            a scheduler of torch.
        scheduling: how Lightning steps one of torch: ``interval`` and ``monitor``.
        channels_last: the memory format of the images.
        distillation: a second loss, against a teacher's features.
        executor: augments the training's images, where the recipe wants that on the device.
        classes: a digest of the names of the classes, whose order the loss's parameters have.
        look_alikes: ``int64 [C]``, the group of each validation class, where these data know look-alikes.

    Attributes:
        progress: how far the training is, 0..1.
        embedded: the last batch's embeddings and labels.
        loss_parts: what the last batch's loss is the sum of, by name, where the loss tells.
        untrained: metrics of the model before its first step.
        compared: the images that it was validated on before its first step.
        validated: metrics after the last validation.
    """

    def __init__(
        self,
        model: EmbeddingModel,
        loss: nn.Module,
        *,
        optimizer: Callable[[nn.Module, nn.Module], torch.optim.Optimizer],
        schedule: Callable[[torch.optim.Optimizer], Schedule],
        scheduling: dict[str, Any],
        channels_last: bool,
        distillation: SimilarityDistillation | None = None,
        executor: nn.Module | None = None,
        classes: str = "",
        look_alikes: npt.NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.make_optimizer = optimizer
        self.make_schedule = schedule
        self.scheduling = scheduling
        # Of progress; a scheduler of torch is Lightning's to step.
        self.factor: Callable[[float], float] | None = None
        self.distillation = distillation
        self.executor = executor
        self.classes = classes
        self.look_alikes = look_alikes
        # The highest of each optimizer group: those in a checkpoint may be from another batch size.
        self.rates: list[float] = []
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.progress = 0.0
        self.embedded: tuple[Tensor, Tensor] | None = None
        self.loss_parts: dict[str, Tensor] = {}
        self.untrained: dict[str, float] = {}
        self.compared: EmbeddedImages | None = None
        self.validated: dict[str, float] = {}
        self._embedded: list[tuple[Tensor, ...]] = []

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - as Lightning has it
        """Build the optimizer, and a scheduler of torch where the recipe names one."""
        optimizer = self.make_optimizer(self.model, self.loss)
        self.rates = [group["lr"] for group in optimizer.param_groups]
        schedule = self.make_schedule(optimizer)
        if isinstance(schedule, LRScheduler):
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, **self.scheduling}}
        self.factor = schedule
        return optimizer

    def follow(self, progress: float) -> None:
        """Set learning rate, scale and margin for ``progress`` in 0..1."""
        self.progress = progress
        if self.factor is not None:
            factor = self.factor(progress)
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

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:  # noqa: ANN401 - Lightning's signature
        """Augment the images that the loader's processes prepared; those of validation are augmented already."""
        if self.executor is None or not self.trainer.training:
            return super().on_after_batch_transfer(batch, dataloader_idx)
        prepared = cast("TrainingBatch", batch)
        return {**prepared, "images": augment(self.executor, prepared["images"])}

    def training_step(self, batch: TrainingBatch, _batch_index: int) -> Tensor:
        """Return the loss of one batch."""
        labels = batch["labels"]
        embeddings = self.embed(batch["images"])
        self.embedded = embeddings.detach(), labels
        loss = cast("Tensor", self.loss(embeddings, labels))
        parts = dict(self.loss.parts) if isinstance(self.loss, HasParts) else {}
        if self.distillation is not None:
            parts = parts or {"loss": loss}
            parts["distillation"] = self.distillation.weight * self.distillation(embeddings, batch["teacher_features"])
            loss = loss + parts["distillation"]
        # Read when they are shown: reading waits for the device.
        self.loss_parts = {name: torch.as_tensor(part).detach() for name, part in parts.items()}
        self.log("train/loss", loss, batch_size=len(labels), logger=False)
        return loss

    def validation_step(self, batch: ValidationBatch, _batch_index: int) -> None:
        """Embed one batch and keep it for the end of the epoch."""
        self._embedded.append(gathered(batch, self.embed(batch["images"])))

    def on_validation_epoch_end(self) -> None:
        """Compare all pairs of all ranks."""
        columns = [torch.cat(column) for column in zip(*self._embedded, strict=True)]
        self._embedded.clear()
        if self.trainer.world_size > 1:
            columns = [cast("Tensor", self.all_gather(column)).flatten(0, 1) for column in columns]
        rows = [column.float() if column.is_floating_point() else column for column in columns]
        embedded = EmbeddedImages.of(*(row.cpu().numpy() for row in rows), look_alikes=self.look_alikes)
        verification = verify(embedded.embeddings, embedded.labels, embedded.groups)
        values = figures(verification, rank1(embedded.embeddings, embedded.labels, embedded.is_reference))
        if self.trainer.sanity_checking:
            # That of a resumed training sees a trained model.
            if self.global_step == 0:
                self.untrained, self.compared = values, embedded
            return
        self.validated = values
        # Not for the logger, which would be told a step too few: the curves log it.
        named = {f"valid/{name}": value for name, value in values.items()}
        self.log_dict(named, rank_zero_only=False, logger=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the untrained model's metrics and the digest of the classes for a resumed training."""
        checkpoint.setdefault("zoo", {}).update(untrained=self.untrained, classes=self.classes)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore both.

        Raises:
            RunError: the classes have changed.
        """
        facts = checkpoint.get("zoo", {})
        self.untrained = facts.get("untrained", {})
        if facts.get("classes", self.classes) != self.classes:
            hint = "train anew; with class_table.mode=sparse rows would find their classes by name"
            raise RunError("the training data have other classes than those of the checkpoint", hint=hint)
