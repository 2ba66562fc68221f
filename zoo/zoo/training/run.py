"""A planned training, carried out into a run folder."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers import TensorBoardLogger

from zoo.runs.lock import locked
from zoo.training.callbacks.class_table import ClassTableSteps
from zoo.training.callbacks.curves import TrainingCurves
from zoo.training.callbacks.display import TrainingDisplay
from zoo.training.callbacks.ema import ExponentialMovingAverage
from zoo.training.callbacks.progress import FollowProgress
from zoo.training.callbacks.random_state import RandomState
from zoo.training.callbacks.saving import SaveBetweenValidations
from zoo.training.callbacks.stopping import StopAtStepLimit, StopOnNonFiniteLoss, StopRequested
from zoo.training.checkpoints import KeepLast, kept_checkpoints
from zoo.training.data.epoch_length import EpochLength
from zoo.training.data.loaders import TrainingLoaders
from zoo.training.data.resident import ResidentExecutor
from zoo.training.distillation.loss import SimilarityDistillation
from zoo.training.distillation.teacher_features import teacher_features
from zoo.training.fingerprint import names_digest
from zoo.training.module import EmbeddingTraining
from zoo.training.optimizers import Optimization
from zoo.training.ranks import RankWatch
from zoo.training.record import write_record
from zoo.training.signals import StopSignals
from zoo.training.trainer import is_first_rank, make_trainer
from zoo.validation.look_alikes import look_alikes_of
from zoo.workers import loader_processes
from zoo_core.capabilities import OwnsClassTable
from zoo_core.config import dotted, leaves
from zoo_core.errors import RunError
from zoo_core.events import notify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import lightning
    from lightning.pytorch.callbacks import Callback

    from zoo.runs.layout import RunFolder
    from zoo.training.distillation.teacher_features import TeacherFeatures
    from zoo.training.plan import TrainingPlan


@dataclass(frozen=True)
class TrainingOutcome:
    """The result of a training.

    Attributes:
        metrics: of the last validation.
        untrained: of the model before its first step.
        images_per_second: throughput of the steps.
        images: shown so far.
        signal: the number of the signal that stopped it; 0: none did.
    """

    metrics: dict[str, float]
    untrained: dict[str, float]
    images_per_second: float
    images: int
    signal: int

    @property
    def interrupted(self) -> bool:
        """Whether a signal stopped it."""
        return self.signal != 0


def train(plan: TrainingPlan, folder: RunFolder, *, show: bool = True) -> TrainingOutcome:
    """Train what is planned into ``folder``; ``show`` progress on stderr.

    Raises:
        UsageError: the folder is not free.
        RunError: training failed; the folder keeps the last checkpoint.
    """
    # Of several ranks the first one writes, and locks the folder for all.
    with locked(folder, new=plan.resumption is None) if is_first_rank() else nullcontext():
        return _train(plan, folder, show=show)


def _train(plan: TrainingPlan, folder: RunFolder, *, show: bool) -> TrainingOutcome:
    module = _module(plan)
    display = TrainingDisplay(plan.report.side, bar=plan.recipe.trainer.get("enable_progress_bar", True))
    if not show:
        display.disable()
    signals, watch, epoch_length = StopSignals(), RankWatch(folder), EpochLength()
    trainer = make_trainer(
        plan.loaded,
        plan.registry,
        logger=TensorBoardLogger(
            folder.tensorboard.parent, name=folder.tensorboard.name, version="", default_hp_metric=False
        ),
        callbacks=[watch, *_callbacks(plan, folder, display, signals, epoch_length, display.say if show else _warn)],
        # A model that has been trained is not the untrained one.
        **({"num_sanity_val_steps": 0} if plan.resumption else {}),
    )
    on_cpu = trainer.strategy.root_device.type == "cpu"
    workers = loader_processes(plan.recipe.data.loader.num_workers, devices=trainer.num_devices, on_cpu=on_cpu)
    features = _teacher_features(plan, trainer, workers, show=show)
    loaders = TrainingLoaders(
        plan.data, folder.unreadable, workers=workers, epoch_length=epoch_length, features=features
    )
    with signals:
        _fit(trainer, module, loaders, ckpt_path=folder.last if plan.resumption else None, watch=watch)
    # Sent in the last validation, a signal came too late to stop the training, but not its evaluation.
    if trainer.is_global_zero and not signals.number:
        notify(plan.registry, "zoo_run_finished", run=folder.path, metrics=module.validated)
    return TrainingOutcome(
        module.validated, module.untrained, display.images_per_second, display.images, signals.number
    )


def _module(plan: TrainingPlan) -> EmbeddingTraining:
    recipe = plan.recipe
    distillation = recipe.model.distillation
    classes = "" if isinstance(plan.loss, OwnsClassTable) else names_digest(plan.data.classes)
    optimization = Optimization(plan.loaded, plan.registry, plan.images_per_step)
    return EmbeddingTraining(
        plan.model,
        plan.loss,
        optimizer=optimization.optimizer,
        schedule=optimization.schedule,
        scheduling={"interval": recipe.lr_scheduler.interval, "monitor": f"valid/{recipe.checkpoint.monitor}"},
        channels_last=recipe.model.memory_format == "channels_last",
        distillation=SimilarityDistillation(temperature=distillation.temperature, weight=distillation.weight)
        if distillation
        else None,
        executor=plan.executor,
        classes=classes,
        look_alikes=look_alikes_of(plan.data.validation.dataset),
    )


def _callbacks(
    plan: TrainingPlan,
    folder: RunFolder,
    display: TrainingDisplay,
    signals: StopSignals,
    epoch_length: EpochLength,
    warn: Callable[[str], None],
) -> list[Callback]:
    """Return the callbacks in the order in which Lightning calls them."""

    def on_train_start(trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        # Not before: all that could be refused has been accepted.
        if trainer.is_global_zero:
            write_record(plan, folder, trainer, cast("EmbeddingTraining", module))

    ema = plan.recipe.ema
    values = {dotted(path): value for path, value in leaves(plan.recipe.model_dump(mode="json"))}
    curves = TrainingCurves(folder.metrics_csv, display, values)
    return [
        RandomState(),
        # The average follows a step, and the display counts it, before a stop saves it.
        *([ExponentialMovingAverage(ema.decay)] if ema else []),
        *([ClassTableSteps(folder, display.say, warn)] if isinstance(plan.loss, OwnsClassTable) else []),
        LambdaCallback(on_train_start=on_train_start),
        epoch_length,
        *(FollowProgress(), StopAtStepLimit(), StopOnNonFiniteLoss(), display, curves),
        KeepLast(folder),
        *kept_checkpoints(folder, plan.recipe.checkpoint.monitor),
        # After the best of a validation is kept.
        SaveBetweenValidations(folder.last, plan.recipe.checkpoint, signals),
    ]


def _warn(text: str) -> None:
    if is_first_rank():
        warnings.warn(text, stacklevel=3)


def _teacher_features(
    plan: TrainingPlan, trainer: lightning.Trainer, workers: int, *, show: bool
) -> TeacherFeatures | None:
    if plan.teacher is None:
        return None
    data = plan.recipe.data.model_dump(mode="json", include={"train", "train_also"})
    return teacher_features(
        plan.teacher,
        plan.data.items.dataset,
        identity={**data, "seed": plan.recipe.seed},
        device=trainer.strategy.root_device,
        num_workers=workers,
        show=show and is_first_rank(),
    )


def _fit(
    trainer: lightning.Trainer,
    module: EmbeddingTraining,
    loaders: TrainingLoaders,
    *,
    ckpt_path: Path | None,
    watch: RankWatch,
) -> None:
    """Train to the end, or until a signal."""
    try:
        trainer.fit(
            module,
            train_dataloaders=None,
            datamodule=loaders,
            ckpt_path=ckpt_path,
            weights_only=True,
        )
    except StopRequested:
        return
    except MisconfigurationException as error:
        raise RunError(f"lightning: {' '.join(str(error).split())}", hint="look at the recipe's trainer") from error
    except torch.OutOfMemoryError as error:
        msg = f"the device ran out of memory: {str(error).splitlines()[0]}"
        hint = "lower data.loader.batch_size, or set trainer.precision=16-mixed"
        if isinstance(module.executor, ResidentExecutor) and module.executor.images is not None:
            hint = f"set data.resident=false: the samples take {module.executor.images.bytes / 1e9:.3g} GB; or {hint}"
        raise RunError(msg, hint=hint) from error
    except Exception as error:
        if watch.lost:
            raise watch.lost from error
        raise
