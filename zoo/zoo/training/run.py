"""One training from a recipe to a run folder."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from zoo import folders
from zoo.assembly import RecipeBuilder
from zoo.recipe import TEACHER
from zoo.training.averaging import AverageWeights
from zoo.training.callbacks import FollowProgress, GracefulStop, StopRequested, TrainingDisplay
from zoo.training.checkpoints import KeepLast, kept_checkpoints
from zoo.training.claims import claimed
from zoo.training.data import MixedDataset, TrainingItems
from zoo.training.distillation import SimilarityDistillation, TeacherFeatures, teacher_features
from zoo.training.loaders import TrainingLoaders
from zoo.training.module import EmbeddingTraining
from zoo.training.optimizers import build_optimizer, check_optimizer, learning_rate_factor
from zoo.training.rows import StepRows
from zoo.training.schedules import schedule
from zoo.training.streaming import ENDLESS
from zoo.training.trainers import check_batch, device_names, make_trainer, quiet
from zoo_core.config import dump
from zoo_core.contracts import OwnsClassTable
from zoo_core.errors import Problem, RecipeError, RunError, UsageError
from zoo_core.events import notify
from zoo_core.provenance import BuildRecord

if TYPE_CHECKING:
    from torch import nn

    from zoo.folders import RunFolder
    from zoo.recipes import LoadedRecipe
    from zoo_core.registry import Registry


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training came to: the last validation's metrics, and those of the untrained model."""

    metrics: dict[str, float]
    untrained: dict[str, float]
    images_per_second: float
    images: int
    interrupted: bool


def is_first_rank() -> bool:
    """Whether this process is the one of a distributed training that writes and speaks; a lone one is."""
    return rank_zero_only.rank == 0  # type: ignore[attr-defined,no-any-return] # set by Lightning at import


class Training:
    """A training, assembled: everything a recipe can get wrong has been noticed, and nothing is written yet."""

    def __init__(self, loaded: LoadedRecipe, registry: Registry, *, resume: bool = False) -> None:
        quiet()
        lightning.seed_everything(loaded.recipe.seed, workers=True, verbose=False)
        self.loaded = loaded
        self.recipe = loaded.recipe
        self.registry = registry
        self.builder = builder = RecipeBuilder(loaded, registry)
        self.sources = builder.training_sources()
        mixed = MixedDataset([source.dataset for source in self.sources], self.recipe.seed)
        on_device = builder.device_augmentation() if self.recipe.data.augment_on == "device" else None
        self.executor = on_device.executor() if on_device else None
        picture = on_device.prepare if on_device else builder.augmentation()
        self.items = TrainingItems(mixed, picture, self.recipe.seed, self.recipe.data.captures)
        self.validation = builder.validation_items()
        self.model = builder.model(initial_weights=not resume)
        self.classes = self.items.dataset.classes
        self.loss = builder.loss(embedding_dim=self.model.embedding_dim, classes=self.classes)
        self.resume = resume
        self.teacher = self._teacher()
        trainer = make_trainer(loaded, logger=False)
        self.batch = self.recipe.data.loader.batch_size * trainer.world_size * trainer.accumulate_grad_batches
        check_optimizer(self.recipe.optimizer, trainer.strategy.root_device, loaded.document.locate)
        images = min(self.recipe.data.loader.batch_size, self.samples_per_epoch * self.recipe.data.captures)
        check_batch(self.model, images, self.recipe.data.image_size, loaded)

    @property
    def learning_rate_factor(self) -> float:
        """What the recipe's learning rate is multiplied with for ``batch`` images a step, of all devices."""
        return learning_rate_factor(self.recipe.optimizer, self.batch)

    @property
    def samples_per_epoch(self) -> int:
        """How many samples an epoch shows."""
        if self.recipe.data.samples_per_epoch:
            return self.recipe.data.samples_per_epoch
        if len(self.items) >= ENDLESS:
            message = "how long an epoch is has to be said: the stream does not know its length"
            where = self.loaded.document.locate(("data", "train"))
            raise RecipeError([Problem(message, where, "set data.samples_per_epoch, or the data set's length")])
        return len(self.items)

    def run(self, folder: RunFolder) -> TrainingOutcome:
        """Train into ``folder``.

        Raises:
            UsageError: there is nothing to resume.
            RecipeError: Lightning refuses the ``trainer`` section.
            RunError: training failed; the folder keeps the last checkpoint.
        """
        if self.resume and not folder.last.is_file():
            raise UsageError(
                f"{folder.path} has no checkpoint to go on from", hint="start anew: zoo train --cfg RECIPE"
            )
        # Of several ranks the first one writes, and claims the folder for all.
        with claimed(folder, new=not self.resume) if is_first_rank() else nullcontext():
            return self._train(folder)

    def _train(self, folder: RunFolder) -> TrainingOutcome:
        distillation = self.recipe.model.distillation
        module = EmbeddingTraining(
            self.model,
            self.loss,
            optimizer=partial(build_optimizer, self.recipe.optimizer, batch=self.batch),
            schedule=schedule(self.recipe.lr_scheduler.name, self.recipe.lr_scheduler.options),
            channels_last=self.recipe.model.memory_format == "channels_last",
            distillation=SimilarityDistillation(temperature=distillation.temperature, weight=distillation.weight)
            if distillation
            else None,
            executor=self.executor,
        )
        if not isinstance(self.loss, OwnsClassTable):
            module.classes = hashlib.sha256("\0".join(self.classes).encode("utf-8", "surrogatepass")).hexdigest()
        if self.recipe.model.memory_format == "channels_last":
            self.model.to(memory_format=torch.channels_last)
        display = TrainingDisplay(folder.metrics_csv, bar=self.recipe.trainer.get("enable_progress_bar", True))
        stop = GracefulStop(folder.last)
        facts = LambdaCallback(on_train_start=lambda trainer, _: self._write_facts(folder, trainer))
        ema = self.recipe.ema
        trainer = make_trainer(
            self.loaded,
            logger=TensorBoardLogger(folder.tensorboard.parent, name=folder.tensorboard.name, version=""),
            callbacks=[
                # The average follows a step, and the display counts it, before a stop saves it.
                *([AverageWeights(ema.decay)] if ema else []),
                *([StepRows(folder, display.say)] if isinstance(self.loss, OwnsClassTable) else []),
                *(facts, FollowProgress(), display, stop, KeepLast(folder)),
                *kept_checkpoints(folder, self.recipe.checkpoint.monitor),
            ],
        )
        data = TrainingLoaders(self, trainer, folder)
        if self.teacher is not None:
            data.features = self._features(self.teacher, trainer, data.workers)
        # Asked for in the last validation, it came too late to stop the training, but not its evaluation.
        interrupted = self._fit(trainer, module, data, folder) or stop.requested
        if trainer.is_global_zero:
            if module.untrained:
                folders.write_json(folder.evaluation / "untrained.json", module.untrained)
            if not interrupted:
                notify(self.registry, "zoo_run_finished", run=folder.path, metrics=module.validated)
        return TrainingOutcome(
            module.validated,
            module.untrained,
            display.images_per_second,
            display.images,
            interrupted,
        )

    def _fit(
        self, trainer: lightning.Trainer, module: EmbeddingTraining, data: TrainingLoaders, folder: RunFolder
    ) -> bool:
        """Train, and return whether the user stopped it."""
        try:
            trainer.fit(
                module,
                train_dataloaders=None,
                datamodule=data,
                ckpt_path=folder.last if self.resume else None,
                weights_only=True,
            )
        except StopRequested:
            return True
        except SystemExit as error:  # Lightning's answer to the second Ctrl-C
            raise KeyboardInterrupt from error
        except MisconfigurationException as error:
            raise RunError(f"lightning: {' '.join(str(error).split())}", hint="look at the recipe's trainer") from error
        except torch.OutOfMemoryError as error:
            msg = f"the device ran out of memory: {str(error).splitlines()[0]}"
            raise RunError(msg, hint="lower data.loader.batch_size, or set trainer.precision=16-mixed") from error
        return False

    def _teacher(self) -> nn.Module | None:
        if self.recipe.model.distillation is None:
            return None
        if any(hasattr(source.dataset, "stream") for source in self.sources):
            hint = "distil from data sets with samples by number, or leave the distillation out"
            message = "a stream's samples come once: no teacher's features can be kept"
            raise RecipeError([Problem(message, self.loaded.document.locate(TEACHER[:2]), hint)])
        return cast("nn.Module", self.builder.component("teacher", TEACHER))

    def _features(self, teacher: nn.Module, trainer: lightning.Trainer, workers: int) -> TeacherFeatures:
        data = self.recipe.data.model_dump(mode="json", include={"train", "train_also"})
        return teacher_features(
            teacher,
            self.items.dataset,
            identity={**data, "seed": self.recipe.seed},
            device=trainer.strategy.root_device,
            num_workers=workers,
            show=is_first_rank(),
        )

    def _write_facts(self, folder: RunFolder, trainer: lightning.Trainer) -> None:
        """Write recipe and record once training really starts: all that could be refused has been accepted."""
        if not trainer.is_global_zero:
            return
        folders.write_text(folder.recipe, dump(self.recipe.model_dump(mode="json")))
        record = BuildRecord.capture(
            recipe=self.recipe.model_dump(mode="json"),
            seed=self.recipe.seed,
            components=self.builder.components(),
            devices=device_names(trainer),
            weights=self._initial_weights(folder),
        )
        more: dict[str, Any] = {"images_per_step": self.batch, "learning_rate_factor": self.learning_rate_factor}
        if self.teacher is not None:
            more["teacher"] = getattr(self.teacher, "provenance", {})
        folders.write_json(folder.record, {"name": self.loaded.name, **record.to_json(), **more})

    def _initial_weights(self, folder: RunFolder) -> dict[str, str]:
        """Where the backbone's weights came from, which a resumed run only knows from its own record."""
        if self.resume and folder.record.is_file():
            return dict(folders.read_json(folder.record)["weights"])
        return dict(getattr(self.model.backbone, "provenance", {}))
