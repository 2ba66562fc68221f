"""The recipe that the stages train, planned and run by zoo itself, and watched."""

from __future__ import annotations

import csv
import os
import statistics
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

from zoo.assembly import RecipeBuilder
from zoo.atomic import read_json
from zoo.recipes.loading import load_recipe
from zoo.runs.layout import RunFolder
from zoo.training.callbacks.display import TrainingDisplay
from zoo.training.data.loaders import TrainingLoaders
from zoo.training.plan import plan_training
from zoo.training.run import train
from zoo_core.discovery import discover
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import lightning

    from gpu_stages.session import Session
    from zoo.training.module import EmbeddingTraining
    from zoo.training.plan import TrainingPlan
    from zoo.training.run import TrainingOutcome

RECIPE = "lcnet050_cosface_96"
UNVALIDATED = ("trainer.limit_val_batches=0", "trainer.num_sanity_val_steps=0")
# Where samples are augmented, and whether they stay on the device.
DATA = {"loader": ("loader", "false"), "device": ("device", "false"), "resident": ("device", "true")}
# Bytes per image of a batch that a loader process sends: an augmented image, a canvas with parameters, or about these.
SENT_BYTES = {"loader": 96 * 96 * 3, "device": 192 * 192 * 3 + 284, "resident": 296}
# What such a process sends at once when it reads samples ahead: 64 documents of 160 pixels at most.
READ_AHEAD_BYTES = 64 * 160 * 160 * 3
# Of a class table that no optimizer sees, and of a step's sample of it; the pictures show the first classes.
CLASSES, NEGATIVES = (100_000, 200), (8192, 16)


def overrides_for(
    session: Session, *, batch: int, data: str = "loader", templates: int = 200, validates: bool = False
) -> list[str]:
    """Return what a stage changes in the recipe: device, batch, and as many templates as are drawn in seconds."""
    templates, batch = session.size((templates, batch), (8, 16))
    augment_on, resident = DATA[data]
    sent = batch * max(SENT_BYTES[data], SENT_BYTES["loader"] if validates else 0)
    if data == "resident":
        sent = max(sent, READ_AHEAD_BYTES)
    return [
        "model.backbone.options.pretrained=false",
        f"trainer.accelerator={session.accelerator}",
        "trainer.devices=1",
        f"data.loader.batch_size={batch}",
        f"data.loader.num_workers={loader_processes(session, sent)}",
        f"data.augment_on={augment_on}",
        f"data.resident={resident}",
        f"data.train.options.templates={templates}",
        f"data.valid.options.templates={session.size(250, 6)}",
    ]


def loader_processes(session: Session, batch_bytes: int) -> int:
    """Return how many loader processes there may be: of each, a few batches have to fit into shared memory."""
    if session.tiny:
        return 0
    shared = (session.report.document["shared_memory_mb"] or 0) * 2**20
    return max(0, min(16, len(os.sched_getaffinity(0)), shared // (2 * 3 * batch_bytes)))


def planned(overrides: Sequence[str]) -> TrainingPlan:
    """Plan a training of the recipe."""
    registry = discover()
    return plan_training(load_recipe(RECIPE, overrides, registry=registry), registry)


def planned_sparse(session: Session, overrides: Sequence[str]) -> TrainingPlan:
    """Plan a training with a class table of which a step takes a sample: there are more classes than pictures show."""
    table = "model.loss.options.class_table"
    plan = planned([*overrides, f"{table}.mode=sparse", f"{table}.negatives={session.size(*NEGATIVES)}"])
    seen = plan.data.classes
    classes = [*seen, *(f"unseen-{number:06d}" for number in range(session.size(*CLASSES) - len(seen)))]
    builder = RecipeBuilder(plan.loaded, plan.registry)
    return replace(plan, loss=builder.loss(embedding_dim=plan.model.embedding_dim, classes=classes))


@dataclass
class Watched:
    """A training, and what it said of itself on its way.

    Attributes:
        folder: of the run.
        started: when it was called, on the monotonic clock.
        outcome: of the run.
        counted: ``(images, seconds)`` of its own counters, after each batch.
        first_step_s: seconds from the call to the first step: samples read ahead, the untrained model validated.
        validated_s: seconds from the call to the end of each validation.
        precision: the trainer's.
        peak_mb: the most memory of the device that tensors took.
    """

    folder: RunFolder
    started: float = field(default_factory=time.monotonic)
    outcome: TrainingOutcome | None = None
    counted: list[tuple[int, float]] = field(default_factory=list)
    first_step_s: float = 0.0
    validated_s: list[float] = field(default_factory=list)
    precision: str = ""
    peak_mb: float | None = None

    @property
    def images_per_second(self) -> float:
        """The rate of the second half of the time: by then the loader has its templates, and the device is warm."""
        half = self.counted[-1][1] / 2
        start = next((each for each in self.counted[:-1] if each[1] >= half), self.counted[0])
        images, seconds = (end - begin for begin, end in zip(start, self.counted[-1], strict=True))
        return images / max(seconds, 1e-9)

    @property
    def resident(self) -> bool:
        """Whether the samples stayed on the device, as the run's record says."""
        return bool(read_json(self.folder.record)["resident"])

    def curves(self) -> list[dict[str, str]]:
        """Return the rows of ``metrics.csv``."""
        with self.folder.metrics_csv.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def describe(self) -> dict[str, Any]:
        """Return what is reported of it."""
        times = [after[1] - before[1] for before, after in zip(self.counted, self.counted[1:], strict=False)]
        return {
            "images_per_second": round(self.images_per_second, 1),
            "images": self.counted[-1][0],
            "steps": len(self.counted),
            "median_step_ms": round(1e3 * statistics.median(times), 3) if times else None,
            "before_first_step_s": round(self.first_step_s, 1),
            "peak_mb": self.peak_mb,
            "precision": self.precision,
            "resident": self.resident,
        }


def trained(
    session: Session,
    plan: TrainingPlan,
    name: str,
    *,
    before: Callable[[lightning.Trainer, EmbeddingTraining], None] | None = None,
    after_batch: Callable[[Any], None] | None = None,
) -> Watched:
    """Run a plan, and keep what its display counted.

    Args:
        session: the stage.
        plan: what is trained.
        name: of the run folder.
        before: is called before the first step, when a checkpoint has been restored.
        after_batch: is given each batch after its step: augmented, on the device.

    Raises:
        RunError: the samples stayed on the device though the recipe says no, or did not though it says yes.
    """
    session.free()
    watched = Watched(RunFolder(session.work / name))
    display, clock = TrainingDisplay, time.monotonic
    starts, counts, validates = display.on_train_start, display.on_train_batch_end, display.on_validation_end

    def on_train_start(display: TrainingDisplay, trainer: lightning.Trainer, module: EmbeddingTraining) -> None:
        starts(display, trainer, module)
        watched.first_step_s, watched.precision = clock() - watched.started, str(trainer.precision)
        if before:
            before(trainer, module)

    def on_train_batch_end(display: TrainingDisplay, *arguments: Any) -> None:  # noqa: ANN401 - Lightning's
        counts(display, *arguments)
        watched.counted.append((display.images, display.seconds))
        if after_batch:
            after_batch(arguments[3])

    def on_validation_end(display: TrainingDisplay, trainer: lightning.Trainer, module: EmbeddingTraining) -> None:
        validates(display, trainer, module)
        if not trainer.sanity_checking:
            watched.validated_s.append(clock() - watched.started)

    watching = {each.__name__: each for each in (on_train_start, on_train_batch_end, on_validation_end)}
    with mock.patch.multiple(TrainingDisplay, **watching):
        watched.outcome = train(plan, watched.folder)
    session.synchronise()
    watched.peak_mb = session.peak_mb()
    if watched.resident != (wanted := plan.recipe.data.resident is True):
        raise RunError(f"data.resident is {wanted} in the recipe, and {watched.resident} in the record of the run")
    return watched


class FromMemory:
    """A loader of random batches that are on the device already: trainer, model and loss remain."""

    def __init__(self, plan: TrainingPlan, device: torch.device, *, kinds: int = 4) -> None:
        size = plan.data.batch_size
        height, width = plan.recipe.data.image_size
        # Two captures of a class side by side, as the recipe's loss contrasts them.
        labels = torch.randint(len(plan.data.classes), (size // 2,), device=device).repeat_interleave(2)
        shape = (size, height, width, 3)
        self.batches = [
            {"images": torch.randint(256, shape, dtype=torch.uint8, device=device), "labels": labels}
            for _ in range(kinds)
        ]

    def __len__(self) -> int:
        return 2**31

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        while True:
            yield from self.batches

    def fed(self) -> Any:  # noqa: ANN401 - a patch
        """Let every training in this context read these batches."""
        return mock.patch.object(TrainingLoaders, "train_dataloader", return_value=self)
