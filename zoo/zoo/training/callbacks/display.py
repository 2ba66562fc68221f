"""What a training shows: a progress bar, a line per validation, and the curves as CSV."""

from __future__ import annotations

import csv
import math
import time
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from zoo_core.contracts import HasMargin, HasScale

if TYPE_CHECKING:
    from pathlib import Path

    from lightning import LightningModule, Trainer
    from rich.progress import Task

    from zoo.training.data.batch import TrainingBatch
    from zoo.training.module import EmbeddingTraining

CURVES = ("step", "epoch", "seconds", "progress", "images_per_second", "loss", "lr", "scale", "margin")


class _Remaining(ProgressColumn):
    """Time left, from the share of the training that is done."""

    def render(self, task: Task) -> Text:
        done, elapsed = task.percentage / 100, task.elapsed or 0.0
        if done < 0.005:  # noqa: PLR2004 - too early to tell
            return Text("left -:--", style="cyan")
        seconds = round(elapsed * (1 - done) / done)
        return Text(f"left {seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}", style="cyan")


class TrainingDisplay(ProgressBar):
    """A bar over the whole training on a terminal, a line per validation everywhere, and the curves as CSV."""

    def __init__(self, curves: Path, *, bar: bool = True) -> None:
        super().__init__()
        self.wants_bar = bar
        self.curves = curves
        self.console = Console(stderr=True, highlight=False)
        # Of the whole training, what came before a resume included.
        self.images = 0
        self.seconds = 0.0
        self._enabled = True
        self._bar: Progress | None = None
        self._step_started = 0.0

    @property
    def images_per_second(self) -> float:
        """Throughput of training steps with their data, without validation."""
        return self.images / self.seconds if self.seconds else 0.0

    def disable(self) -> None:
        """Disable the display; Lightning does so on all ranks but the first."""
        self._enabled = False

    def state_dict(self) -> dict[str, Any]:
        """Return the counts that a resumed training continues."""
        return {"images": self.images, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue these counts."""
        self.images, self.seconds = state_dict["images"], state_dict["seconds"]

    def on_sanity_check_start(self, *_: object) -> None:
        """Say what the first wait is for."""
        self.say("validating the untrained model")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        if self._enabled and self.wants_bar and self.console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[status]}"),
                TimeElapsedColumn(),
                _Remaining(),
                console=self.console,
                expand=True,
            )
            task = self._bar.add_task("training", total=1.0, status="")
            self._bar.update(task, completed=cast("EmbeddingTraining", pl_module).progress)
            self._bar.start()
        self._step_started = time.monotonic()

    def on_train_epoch_start(self, *_: object) -> None:
        """Count time from here: what lay between epochs was validation."""
        self._step_started = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: TrainingBatch,
        batch_idx: int,
    ) -> None:
        """Count images and move the bar."""
        now = time.monotonic()
        self.seconds += now - self._step_started
        self._step_started = now
        self.images += len(batch["labels"]) * trainer.world_size
        if self._bar is not None:
            values = self._values(trainer, cast("EmbeddingTraining", pl_module))
            status = f"{values['images_per_second']:.0f} images/s  loss {values['loss']:.3f}"
            self._bar.update(self._bar.task_ids[0], completed=values["progress"], status=status)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a line on the terminal and a row into the curves."""
        self._step_started = time.monotonic()
        if trainer.sanity_checking or not self._enabled:
            return
        module = cast("EmbeddingTraining", pl_module)
        values = self._values(trainer, module)
        shown = {name: module.validated[name] for name in ("tpr_at_fpr_1e-3", "tpr_at_fpr_1e-2", "auc", "rank1")}
        text = "  ".join(f"{name} {value:.4f}" for name, value in shown.items())
        self.say(
            f"epoch {values['epoch']}  step {values['step']}  {values['progress']:.0%}  "
            f"{values['images_per_second']:.0f} images/s  loss {values['loss']:.3f}  unseen: {text}"
        )
        self._write(values | {f"valid/{name}": value for name, value in module.validated.items()})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away."""
        self._hide()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take the bar away, so that the message stands alone."""
        self._hide()

    def _hide(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """Write a line beside the bar."""
        if self._enabled:
            (self._bar.console if self._bar else self.console).print(text, soft_wrap=True)

    def _values(self, trainer: Trainer, module: EmbeddingTraining) -> dict[str, Any]:
        return {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "seconds": round(self.seconds, 1),
            "progress": round(module.progress, 4),
            "images_per_second": round(self.images_per_second, 1),
            "loss": float(trainer.callback_metrics.get("train/loss", math.nan)),
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "scale": module.loss.scale if isinstance(module.loss, HasScale) else "",
            "margin": module.loss.margin if isinstance(module.loss, HasMargin) else "",
        }

    def _write(self, row: dict[str, Any]) -> None:
        # Appended to, not replaced: a resumed training continues its curves.
        new = not self.curves.exists()
        with self.curves.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*CURVES, *(name for name in row if name not in CURVES)])
            if new:
                writer.writeheader()
            writer.writerow(row)
