"""The curves of a training: ``metrics.csv`` with a row per validation, and all that TensorBoard shows."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[import-untyped] # it has no stubs

from zoo.atomic import write_text
from zoo_core.capabilities import HasMargin, HasScale

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lightning import LightningModule, Trainer

    from zoo.training.callbacks.display import TrainingDisplay
    from zoo.training.data.batch import TrainingBatch
    from zoo.training.module import EmbeddingTraining
    from zoo_core.contracts import UInt8Image

CURVES = ("step", "epoch", "seconds", "progress", "images_per_second", "loss", "lr", "scale", "margin")
# Of them those that are numbers at every step.
LOGGED = ("progress", "images_per_second", "loss", "lr", "scale", "margin")
# Images of the first batch that are shown.
ROWS, COLUMNS = 4, 8


class TrainingCurves(Callback):
    """Logs the first step, each ``log_every_n_steps``-th and each validation; before them recipe, baseline and images.

    Args:
        path: of ``metrics.csv``.
        display: counts images and their time.
        recipe: values of the recipe by dotted key: TensorBoard's hyperparameters.
    """

    def __init__(self, path: Path, display: TrainingDisplay, recipe: Mapping[str, Any]) -> None:
        self.path = path
        self.display = display
        self.recipe = recipe
        self._logged = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the recipe, and as step 0 how good the untrained model is."""
        self._logged = trainer.global_step
        if trainer.global_step:
            # Resumed: they are there, and what a killed training logged after its last checkpoint comes once more.
            self._forget_after(trainer)
            return
        untrained = cast("EmbeddingTraining", pl_module).untrained
        baseline = {f"valid/{name}": value for name, value in untrained.items()}
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                # TensorBoard shows hyperparameters beside a metric, or not at all.
                logger.log_hyperparams(dict(self.recipe), baseline or {"train/progress": 0.0}, step=0)
            else:
                logger.log_hyperparams(dict(self.recipe))
                logger.log_metrics(baseline, step=0)

    def _forget_after(self, trainer: Trainer) -> None:
        """Drop what is logged of later steps than the one that the training resumes from."""
        if not trainer.is_global_zero:
            return
        step = trainer.global_step
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                # As its `purge_step`, which has to be known before the checkpoint is read.
                start = SessionLog(status=SessionLog.START)
                logger.experiment.file_writer.add_event(Event(step=step + 1, session_log=start))
        if self.path.is_file():
            self._drop_rows_after(step)

    def _drop_rows_after(self, step: int) -> None:
        with self.path.open(newline="", encoding="utf-8") as file:
            header, *rows = file.readlines() or [""]

        def stays(row: str) -> bool:
            first = row.partition(",")[0]
            # The last row of a killed process may be half of one.
            whole = row.endswith("\n") and row.count(",") == header.count(",")
            return whole and first.isdecimal() and int(first) <= step

        kept = [row for row in rows if stays(row)]
        if kept != rows:
            write_text(self.path, "".join([header, *kept]))

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: TrainingBatch, batch_idx: int
    ) -> None:
        """Show what the network is shown: images of the first batch, augmented."""
        if trainer.global_step or batch_idx or trainer.current_epoch:
            return
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
                images = batch["images"][: ROWS * COLUMNS].cpu().numpy()
                logger.experiment.add_image("train/images", _sheet(images), 0, dataformats="HWC")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Log a step; accumulated batches are one."""
        step = trainer.global_step
        interval = max(trainer.log_every_n_steps, 1)  # type: ignore[attr-defined] # Lightning sets it in a connector
        if step != self._logged and (step == 1 or step % interval == 0):
            self._log(trainer, cast("EmbeddingTraining", pl_module))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the step, and write a row."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        module = cast("EmbeddingTraining", pl_module)
        if trainer.global_step != self._logged:
            self._log(trainer, module)
        validated = {f"valid/{name}": value for name, value in module.validated.items()}
        for logger in trainer.loggers:
            logger.log_metrics({**validated, "epoch": trainer.current_epoch}, step=trainer.global_step)
        self._write(self._values(trainer, module) | validated)

    def _log(self, trainer: Trainer, module: EmbeddingTraining) -> None:
        self._logged = trainer.global_step
        values = self._values(trainer, module)
        logged = {f"train/{name}": values[name] for name in LOGGED if values[name] != ""}
        logged |= {f"train/loss/{name}": float(value) for name, value in module.loss_parts.items()}
        for logger in trainer.loggers:
            logger.log_metrics({**logged, "epoch": trainer.current_epoch}, step=trainer.global_step)

    def _values(self, trainer: Trainer, module: EmbeddingTraining) -> dict[str, Any]:
        return {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "seconds": round(self.display.seconds, 1),
            "progress": round(module.progress, 4),
            "images_per_second": round(self.display.images_per_second, 1),
            "loss": float(trainer.callback_metrics.get("train/loss", math.nan)),
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "scale": module.loss.scale if isinstance(module.loss, HasScale) else "",
            "margin": module.loss.margin if isinstance(module.loss, HasMargin) else "",
        }

    def _write(self, row: dict[str, Any]) -> None:
        # Appended to, not replaced: a resumed training continues its curves.
        new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*CURVES, *(name for name in row if name not in CURVES)])
            if new:
                writer.writeheader()
            writer.writerow(row)


def _sheet(images: UInt8Image) -> UInt8Image:
    """Lay ``uint8 [N, H, W, 3]`` out in rows, on white where there are too few."""
    count, height, width, _ = images.shape
    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    cells = np.full((rows * columns, height, width, 3), 255, np.uint8)
    cells[:count] = images
    grid = cells.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * height, columns * width, 3)
