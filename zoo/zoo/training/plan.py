"""The plan of a training: all that a recipe can get wrong has been found, and nothing is written yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import lightning
import torch
from torch.optim.lr_scheduler import LRScheduler

from zoo.assembly import RecipeBuilder
from zoo.contract_checks.batch import FirstBatch, FirstBatchCheck
from zoo.recipes.schema import TEACHER
from zoo.training.data.items import TrainingItems
from zoo.training.data.mixed_dataset import MixedDataset
from zoo.training.data.residency import Residency, obstacle_to_residency
from zoo.training.data.resident import ResidentExecutor
from zoo.training.data.streaming import ENDLESS
from zoo.training.data.training_data import TrainingData
from zoo.training.init_from.model import initial_model, not_fetched
from zoo.training.optimizers import Optimization, check_optimization, learning_rate_factor
from zoo.training.resume import Resumption, check_data, check_recipe, check_versions
from zoo.training.start_report import StartReport
from zoo.training.trainer import check_batch, make_trainer, quiet
from zoo_core.contracts import StreamingDataset
from zoo_core.errors import Problem, RecipeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from zoo.assembly import EmbeddingModel, Source
    from zoo.recipes.loading import LoadedRecipe
    from zoo.recipes.schema import Recipe
    from zoo.runs.layout import RunFolder
    from zoo.training.init_from.source import Fetch
    from zoo.training.init_from.weights import InitialWeights
    from zoo_core.capabilities import DeviceAugmentation
    from zoo_core.registry import Component, Registry


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """What will be trained.

    Attributes:
        loaded: the recipe.
        registry: the plugins, which are told when the training has finished.
        components: all that the recipe names.
        model: backbone and head, on the CPU.
        initial: what the model has of the one that ``init_from`` names.
        loss: of embeddings and labels.
        teacher: where the recipe distils.
        data: what it is trained and validated on.
        executor: augments a batch on the device, where the recipe wants that.
        devices: how many train, over all nodes.
        images_per_step: of all devices, accumulated batches included.
        first_batch: what one batch through all of it has shown.
        resumption: what has changed since the run was started that is resumed; ``None``: a new one is.
        report: what is left out, leaked, dropped or replaced.
    """

    loaded: LoadedRecipe
    registry: Registry
    components: tuple[Component, ...]
    model: EmbeddingModel
    initial: InitialWeights | None
    loss: nn.Module
    teacher: nn.Module | None
    data: TrainingData
    executor: nn.Module | None
    devices: int
    images_per_step: int
    first_batch: FirstBatch
    resumption: Resumption | None
    report: StartReport

    @property
    def recipe(self) -> Recipe:
        """The recipe's sections."""
        return self.loaded.recipe

    @property
    def learning_rate_factor(self) -> float:
        """What the recipe's learning rate is multiplied by for ``images_per_step``."""
        return learning_rate_factor(self.recipe.optimizer, self.images_per_step)


def plan_training(
    loaded: LoadedRecipe,
    registry: Registry,
    *,
    resume: RunFolder | None = None,
    strict: bool = False,
    fetch: Fetch = not_fetched,
) -> TrainingPlan:
    """Build all that a training needs; seeds torch, numpy and ``random`` of this process.

    Args:
        loaded: the recipe; of a run that is resumed, its own.
        registry: the plugins.
        resume: the run to resume from its last checkpoint.
        strict: make all that the report says an error.
        fetch: finds the model that ``init_from`` names where it is neither a path nor a run.

    Raises:
        UsageError: the run has no checkpoint, or its recipe has changed.
        RunError: the run's data have changed so that it cannot be resumed; too much of a data set is left out; with
            ``strict``, there is anything to report.
        RecipeError: the recipe's sections do not fit each other, or Lightning or torch refuses a section.
        ComponentError: a component is not available.
    """
    if resume is not None and not resume.last.is_file():
        raise UsageError(f"{resume.path} has no checkpoint to go on from", hint="start anew: zoo train RECIPE")
    changes = check_recipe(loaded, resume) if resume and resume.record.is_file() else ()
    quiet()
    recipe = loaded.recipe
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    builder = RecipeBuilder(loaded, registry)
    sources = builder.training_sources()
    dataset = MixedDataset([source.dataset for source in sources], recipe.seed)
    on_device = builder.device_augmentation() if recipe.data.augment_on == "device" else None
    residency = _residency(loaded, dataset, on_device)
    augmentation = on_device or builder.augmentation()
    prepared = on_device.prepare if on_device else augmentation
    items = TrainingItems(dataset, prepared, recipe.seed, recipe.data.captures)
    validation = builder.validation_items()
    samples_per_epoch = _samples_per_epoch(loaded, len(items))
    _require_numbered(builder, sources)
    check = FirstBatchCheck(builder)
    samples = check.data([source.dataset for source in sources], validation.dataset)
    model, initial = (builder.model(initial_weights=False), None) if resume else initial_model(builder, fetch)
    if initial:
        # By a path that holds in any folder, and is known to be private.
        loaded = replace(loaded, recipe=recipe.model_copy(update={"init_from": initial.source.name}))
    if recipe.model.memory_format == "channels_last":
        model.to(memory_format=torch.channels_last)
    report = StartReport.of(loaded, [source.dataset for source in sources], validation.dataset, model.backbone, initial)
    loss = builder.loss(embedding_dim=model.embedding_dim, classes=dataset.classes)
    teacher = builder.component("teacher", TEACHER) if recipe.model.distillation else None
    trainer = make_trainer(loaded, registry, logger=False)
    optimization = Optimization(loaded, registry, recipe.data.loader.batch_size)
    schedule = check_optimization(optimization, loss, trainer.strategy.root_device)
    if isinstance(schedule, LRScheduler):
        _require_same_rate(recipe.lr_scheduler.name, changes)
    data = TrainingData(
        items=items,
        shares=tuple(source.share for source in sources),
        samples_per_epoch=samples_per_epoch,
        batch_size=recipe.data.loader.batch_size,
        seed=recipe.seed,
        validation=validation,
        unreadable_share=recipe.data.unreadable_share,
        on_device=on_device,
        residency=residency,
    )
    components = tuple(builder.components())
    images = min(data.batch_size, data.samples_per_epoch * recipe.data.captures)
    check_batch(model, images, recipe.data.image_size, loaded)
    first_batch = check.run(samples, sources[0].dataset.classes, augmentation, model, teacher)
    if strict:
        report.require_nothing(first_batch.warnings)
    return TrainingPlan(
        loaded=loaded,
        registry=registry,
        components=components,
        model=model,
        initial=initial,
        loss=loss,
        teacher=teacher,
        data=data,
        executor=residency.executor if residency else on_device.executor() if on_device else None,
        devices=trainer.world_size,
        images_per_step=data.batch_size * trainer.world_size * trainer.accumulate_grad_batches,
        first_batch=first_batch,
        resumption=_resumption(resume, changes, data, loss, components) if resume else None,
        report=report,
    )


def _require_same_rate(scheduler: str, changes: Sequence[str]) -> None:
    """Refuse another learning rate where the scheduler's state would undo it."""
    if any(line.startswith("optimizer.options.lr:") for line in changes):
        message = f"{scheduler} resumes with the learning rate that it has come to"
        raise UsageError(message, hint="leave optimizer.options.lr as it was")


def _resumption(
    run: RunFolder, changes: Sequence[str], data: TrainingData, loss: nn.Module, components: Sequence[Component]
) -> Resumption:
    """Compare what is trained now with what ``run`` began with, as far as its record is there."""
    if not run.record.is_file():
        return Resumption(data=(f"{run.record} is missing: nothing is compared",))
    return Resumption(tuple(changes), check_data(data, loss, run), check_versions(components, run))


def _residency(
    loaded: LoadedRecipe, dataset: MixedDataset, augmentation: DeviceAugmentation | None
) -> Residency | None:
    """Return what decides whether samples stay on the device, where the recipe does not rule it out.

    Raises:
        RecipeError: the recipe asks for it and does not allow it.
    """
    wanted = loaded.recipe.data.resident
    if augmentation is not None and wanted is not False:
        obstacle = obstacle_to_residency(augmentation, dataset)
        hint = "data.resident: auto keeps on the device what can stay there"
    else:
        obstacle = "only what is augmented on the device can stay there"
        hint = "set data.augment_on: device"
    if wanted is True and obstacle:
        raise RecipeError([Problem(obstacle, loaded.document.locate(("data", "resident")), hint)])
    if augmentation is None or wanted is False:
        return None
    return Residency(augmentation, ResidentExecutor(augmentation.executor()), required=wanted is True)


def _require_numbered(builder: RecipeBuilder, sources: Sequence[Source]) -> None:
    """Refuse a stream where a teacher's features are kept by the samples' numbers."""
    if builder.recipe.model.distillation and any(isinstance(one.dataset, StreamingDataset) for one in sources):
        hint = "distil from data sets with samples by number, or leave the distillation out"
        message = "a stream's samples come once: no teacher's features can be kept"
        raise RecipeError([Problem(message, builder.loaded.document.locate(TEACHER[:2]), hint)])


def _samples_per_epoch(loaded: LoadedRecipe, length: int) -> int:
    """Return how many samples an epoch shows: the recipe's number, else each once."""
    if loaded.recipe.data.samples_per_epoch:
        return loaded.recipe.data.samples_per_epoch
    if length >= ENDLESS:
        message = "how long an epoch is has to be said: the stream does not know its length"
        where = loaded.document.locate(("data", "train"))
        raise RecipeError([Problem(message, where, "set data.samples_per_epoch, or the data set's length")])
    return length
