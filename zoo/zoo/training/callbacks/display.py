"""What a training shows: a bar on a terminal, else a line every half minute, and a line per validation."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from zoo.training.callbacks.progress import local_progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lightning import LightningModule, Trainer
    from rich.console import RenderableType
    from rich.progress import Task

    from zoo.training.data.batch import TrainingBatch
    from zoo.training.module import EmbeddingTraining

# Drawing reads the loss, which waits for the device: not at every step.
DRAW_SECONDS = 0.25
LINE_SECONDS = 30.0
# What the line of a validation shows of its metrics.
SHOWN = {"tpr_at_fpr_1e-3": "TPR@1e-3", "rank1": "rank-1", "auc": "AUC"}


class _Remaining(ProgressColumn):
    """Time left, which the bar of the training knows."""

    def render(self, task: Task) -> Text:
        return Text(task.fields.get("left", ""), style="cyan")


class _Bar(Progress):
    """A bar for the training, one for the validation that runs, and a line of figures under them.

    It draws when it is told to and has no thread: one that drew while a loader's process is forked could leave it the
    console's lock, for ever.
    """

    def __init__(self, console: Console) -> None:
        self.figures = Text("")
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            _Remaining(),
            console=console,
            auto_refresh=False,
        )
        self.training = self.add_task("training", total=1.0)
        self.validation = self.add_task("validating", visible=False)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return what is drawn, from top to bottom."""
        yield self.make_tasks_table(self.tasks)
        yield self.figures


class TrainingDisplay(ProgressBar):
    """Shows how far the training is, through validation and to its end; counts images and the time they took.

    Args:
        side: what the validation data are called: ``StartReport.side``.
        bar: show a bar on a terminal.
    """

    def __init__(self, side: str, *, bar: bool = True) -> None:
        super().__init__()
        self.side = side
        self.wants_bar = bar
        self.console = Console(stderr=True, highlight=False)
        # Of the whole training, what came before a resume included.
        self.images = 0
        self.seconds = 0.0
        self._enabled = True
        self._bar: _Bar | None = None
        self._step_started = 0.0
        self._shown_at = 0.0
        # When this process began to train, and how far the training was then: for the time that is left.
        self._started = (0.0, 0.0)

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

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what the first wait is for."""
        self.say("validating the untrained model")
        self._shown_at = time.monotonic()
        self._start_bar()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar; a resumed training's does not begin at nothing."""
        self._start_bar()
        self._step_started = self._shown_at = time.monotonic()
        self._started = self._step_started, local_progress(trainer)
        if self._bar is not None:
            self._bar.reset(self._bar.training)
            self._bar.update(self._bar.training, completed=self._started[1])

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
        """Count images, and show how far the training is."""
        now = time.monotonic()
        self.seconds += now - self._step_started
        self._step_started = now
        self.images += len(batch["labels"]) * trainer.world_size
        self._show(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show a bar for the validation under that of the training."""
        if self._bar is not None:
            total = _validation_batches(trainer)
            self._bar.reset(self._bar.validation, total=total, visible=True, description="validating")
            self._show(trainer, pl_module, at_once=True)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Show how far the validation is."""
        total = _validation_batches(trainer)
        doing = f"validating {batch_idx + 1:,}{f'/{total:,}' if total else ''}"
        if self._bar is not None:
            self._bar.update(self._bar.validation, completed=batch_idx + 1, description=doing)
        self._show(trainer, pl_module, doing=doing)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a line about the validation, and remove its bar."""
        self._step_started = time.monotonic()
        if self._bar is not None:
            # Also one that is over sooner than it is drawn.
            self._show(trainer, pl_module, at_once=True)
            self._bar.update(self._bar.validation, visible=False)
        module = cast("EmbeddingTraining", pl_module)
        metrics = module.untrained if trainer.sanity_checking else module.validated
        figures = "  ".join(f"{label} {metrics[name]:.4f}" for name, label in SHOWN.items())
        if trainer.sanity_checking:
            self.say(f"untrained: {figures}")
        else:
            step = f"step {trainer.global_step:,}"
            self.say(f"{_epoch(trainer)}  {step}  loss {_loss(trainer):.3f}  {self.side}: {figures}")
        self._shown_at = time.monotonic()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the bar end at 100 %, whatever ended the training."""
        if self._bar is not None:
            self._draw(self._bar, trainer, cast("EmbeddingTraining", pl_module), 1.0)
        self._hide()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the bar as it is, above the message."""
        self._hide()

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        if self._enabled:
            (self._bar.console if self._bar else self.console).print(text, soft_wrap=True)

    def _start_bar(self) -> None:
        is_animated = self.console.is_terminal and not self.console.is_dumb_terminal
        if self._bar is None and self._enabled and self.wants_bar and is_animated:
            self._bar = _Bar(self.console)
            self._bar.start()

    def _hide(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show(self, trainer: Trainer, module: LightningModule, *, doing: str = "", at_once: bool = False) -> None:
        """Draw the bar, or write a line, if that is due."""
        due = DRAW_SECONDS if self._bar is not None else LINE_SECONDS
        if not self._enabled or (time.monotonic() - self._shown_at < due and not at_once):
            return
        progress = local_progress(trainer)
        ours = cast("EmbeddingTraining", module)
        if self._bar is not None:
            self._draw(self._bar, trainer, ours, progress)
        elif trainer.sanity_checking:
            self.say(doing)
        else:
            figures = [_epoch(trainer), f"{progress:.0%}", doing, *self._figures(trainer, ours), self._left(progress)]
            self.say("  ".join(figure for figure in figures if figure))
        self._shown_at = time.monotonic()

    def _draw(self, bar: _Bar, trainer: Trainer, module: EmbeddingTraining, progress: float) -> None:
        if not trainer.sanity_checking:
            bar.update(bar.training, completed=progress, description=_epoch(trainer), left=self._left(progress))
            bar.figures = Text("  ".join(self._figures(trainer, module)))
        bar.refresh()

    def _figures(self, trainer: Trainer, module: EmbeddingTraining) -> list[str]:
        """Return step, learning rate, throughput, loss and its parts; reads the loss from the device."""
        steps = trainer.estimated_stepping_batches
        total = f"/{steps:,.0f}" if 0 < steps < math.inf else ""
        parts = {name: float(value) for name, value in module.loss_parts.items()}
        detail = f" ({', '.join(f'{name} {value:.3g}' for name, value in parts.items())})" if len(parts) > 1 else ""
        return [
            f"step {trainer.global_step:,}{total}",
            f"lr {trainer.optimizers[0].param_groups[0]['lr']:.2e}",
            f"{self.images_per_second:,.0f} images/s",
            f"loss {_loss(trainer):.3f}{detail}",
        ]

    def _left(self, progress: float) -> str:
        """Return the time that is left, if the rest goes as fast as what this process has done."""
        started, before = self._started
        if progress - before < 0.005:  # noqa: PLR2004 - too early to tell
            return "left -:--:--"
        seconds = round((time.monotonic() - started) * (1 - progress) / (progress - before))
        return f"left {seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _epoch(trainer: Trainer) -> str:
    """Return the number of the epoch, from 1, and how many there are at most."""
    limit = trainer.max_epochs
    # Behind the last batch of the last epoch Lightning counts on.
    number = trainer.current_epoch + 1 if not limit or limit < 0 else min(trainer.current_epoch + 1, limit)
    return f"epoch {number}/{limit}" if limit and limit > 0 else f"epoch {number}"


def _loss(trainer: Trainer) -> float:
    return float(trainer.callback_metrics.get("train/loss", math.nan))


def _validation_batches(trainer: Trainer) -> int | None:
    counts = trainer.num_sanity_val_batches if trainer.sanity_checking else trainer.num_val_batches
    total = sum(counts)
    return int(total) if math.isfinite(total) else None
