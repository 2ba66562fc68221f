"""What happens around the steps: progress is followed, shown, written down, and stopped with grace."""

from __future__ import annotations

import csv
import math
import signal
import time
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.callbacks import Callback, ProgressBar, Timer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from zoo_core.contracts import OwnsClassTable
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import FrameType

    from lightning import LightningModule, Trainer
    from rich.progress import Task

    from zoo.training.module import EmbeddingTraining

CURVES = ("step", "epoch", "seconds", "progress", "images_per_second", "loss", "lr", "scale", "margin")


class StopRequested(Exception):  # noqa: N818 - it is no error
    """The user pressed Ctrl-C, and the last checkpoint is written."""


def progress_of(trainer: Trainer) -> float:
    """How far the run is, in 0..1: the largest of steps done, epochs done and time used."""
    steps = trainer.estimated_stepping_batches
    done = trainer.global_step / steps if 0 < steps < math.inf else 0.0
    if trainer.max_epochs and 0 < trainer.num_training_batches < math.inf:
        # A resumed run may have other batches than those its steps were made of.
        completed = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        of_epoch = completed // trainer.accumulate_grad_batches
        in_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        done = max(done, (trainer.current_epoch + of_epoch / in_epoch) / trainer.max_epochs)
    for timer in (callback for callback in trainer.callbacks if isinstance(callback, Timer)):  # type: ignore[attr-defined] # Lightning sets it in a connector
        remaining = timer.time_remaining()
        if remaining is not None:
            done = max(done, timer.time_elapsed() / max(timer.time_elapsed() + remaining, 1e-9))
    if trainer.world_size > 1:
        # Clocks differ; ranks that stepped with different learning rates would drift apart.
        done = trainer.strategy.broadcast(done)
    return min(done, 1.0)


class FollowProgress(Callback):
    """Tells the module before each step how far the run is, and stops it at its end or when the loss is no number."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, _batch: object, _batch_index: int
    ) -> None:
        """Set learning rate, scale and margin."""
        cast("EmbeddingTraining", pl_module).follow(progress_of(trainer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, _outputs: object, _batch: object, batch_idx: int
    ) -> None:
        """Look at the loss now and then: reading it waits for the device."""
        # Lightning validates what a time limit stops, but not what a limit of steps does.
        if 0 <= trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True
        if batch_idx % max(trainer.log_every_n_steps, 1):  # type: ignore[attr-defined] # Lightning sets it in a connector
            return
        loss = float(trainer.callback_metrics["train/loss"])
        # A loss that keeps rows has such a step left out.
        if not math.isfinite(loss) and not isinstance(pl_module.loss, OwnsClassTable):
            msg = f"the loss became {loss} by step {trainer.global_step}"
            hint = "lower optimizer.options.lr or set trainer.gradient_clip_val; the last checkpoint is from before"
            raise RunError(msg, hint=hint)


class GracefulStop(Callback):
    """Ctrl-C once: finish the step, write the last checkpoint, stop. Twice: stop at once."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.requested = False
        self._previous: Any = signal.SIG_DFL

    def setup(self, _trainer: Trainer, _module: LightningModule, stage: str) -> None:
        """Start to listen."""
        if stage == "fit":
            self._previous = signal.signal(signal.SIGINT, self._handle)

    def teardown(self, _trainer: Trainer, _module: LightningModule, stage: str) -> None:
        """Stop listening."""
        if stage == "fit":
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            signal.default_int_handler(number, frame)
        self.requested = True

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Stop here, on all ranks, when any of them was asked to."""
        requested = self.requested
        if trainer.world_size > 1:
            requested = trainer.strategy.reduce_boolean_decision(requested, all=False)
        if requested:
            trainer.save_checkpoint(self.checkpoint)
            raise StopRequested


class _Remaining(ProgressColumn):
    """Time left, from the share of the run that is done."""

    def render(self, task: Task) -> Text:
        done, elapsed = task.percentage / 100, task.elapsed or 0.0
        if done < 0.005:  # noqa: PLR2004 - too early to tell
            return Text("left -:--", style="cyan")
        seconds = round(elapsed * (1 - done) / done)
        return Text(f"left {seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}", style="cyan")


class TrainingDisplay(ProgressBar):
    """A bar over the whole run on a terminal, a line a validation everywhere, and the curves as CSV."""

    def __init__(self, curves: Path, *, bar: bool = True) -> None:
        super().__init__()
        self.wants_bar = bar
        self.curves = curves
        self.console = Console(stderr=True, highlight=False)
        # Of the whole run, what came before a resume included.
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
        """Lightning disables it on all ranks but the first."""
        self._enabled = False

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run counts on from."""
        return {"images": self.images, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Count on from there."""
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
        batch: Sequence[Any],
        batch_idx: int,
    ) -> None:
        """Count images and move the bar."""
        now = time.monotonic()
        self.seconds += now - self._step_started
        self._step_started = now
        self.images += len(batch[0]) * trainer.world_size
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
            "scale": getattr(module.loss, "scale", ""),
            "margin": getattr(module.loss, "margin", ""),
        }

    def _write(self, row: dict[str, Any]) -> None:
        # Appended to, not replaced: a resumed run goes on with its own curves.
        new = not self.curves.exists()
        with self.curves.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*CURVES, *(name for name in row if name not in CURVES)])
            if new:
                writer.writeheader()
            writer.writerow(row)
