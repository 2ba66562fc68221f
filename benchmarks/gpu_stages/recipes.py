"""The recipe that the stages train, planned and run by zoo itself, and watched."""

from __future__ import annotations

import csv
import os
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

from zoo.recipes.loading import load_recipe
from zoo.runs.layout import RunFolder
from zoo.training.callbacks.display import TrainingDisplay
from zoo.training.data.loaders import TrainingLoaders
from zoo.training.plan import plan_training
from zoo.training.run import train
from zoo_core.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gpu_stages.session import Session
    from zoo.training.plan import TrainingPlan
    from zoo.training.run import TrainingOutcome

RECIPE = "lcnet050_cosface_96"
# The recipe's two thousand classes in a table that no optimizer sees.
SPARSE = "model.loss.options.class_table.mode=sparse"
# Bytes of an image in the loader: augmented there, or laid out for the device to augment.
LOADED_BYTES = {"loader": 96 * 96 * 3, "device": 192 * 192 * 3}
UNVALIDATED = ("trainer.limit_val_batches=0", "trainer.num_sanity_val_steps=0")


def overrides_for(session: Session, *, batch: int, augment_on: str = "loader", templates: int = 200) -> list[str]:
    """Return what a stage changes in the recipe: device, batch, and as many templates as are drawn in seconds."""
    templates, batch = session.size((templates, batch), (8, 16))
    return [
        "model.backbone.options.pretrained=false",
        f"trainer.accelerator={'gpu' if session.on_gpu else 'cpu'}",
        "trainer.devices=1",
        f"data.loader.batch_size={batch}",
        f"data.loader.num_workers={loader_processes(session, batch * LOADED_BYTES[augment_on])}",
        f"data.augment_on={augment_on}",
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


@dataclass
class Watched:
    """A training, and what its own counters said after each batch.

    Attributes:
        outcome: of the run.
        folder: of the run.
        counted: ``(images, seconds)`` so far, after each batch.
        peak_mb: the most memory of the device that tensors took.
    """

    outcome: TrainingOutcome
    folder: RunFolder
    counted: list[tuple[int, float]]
    peak_mb: float | None

    @property
    def images_per_second(self) -> float:
        """The rate of the second half of the time: by then the loader has its templates, and the device is warm."""
        half = self.counted[-1][1] / 2
        start = next((each for each in self.counted[:-1] if each[1] >= half), self.counted[0])
        images, seconds = (end - begin for begin, end in zip(start, self.counted[-1], strict=True))
        return images / max(seconds, 1e-9)

    def curves(self) -> list[dict[str, str]]:
        """Return the rows of ``metrics.csv``."""
        with self.folder.metrics_csv.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def describe(self) -> dict[str, Any]:
        """Return what is reported of it."""
        batches = len(self.counted)
        times = [after[1] - before[1] for before, after in zip(self.counted, self.counted[1:], strict=False)]
        return {
            "images_per_second": round(self.images_per_second, 1),
            "images": self.outcome.images,
            "steps": batches,
            "median_step_ms": round(1e3 * statistics.median(times), 3) if times else None,
            "peak_mb": self.peak_mb,
        }


def trained(
    session: Session,
    plan: TrainingPlan,
    name: str,
    *,
    after_batch: Callable[[int], None] | None = None,
) -> Watched:
    """Run a plan, and keep what its display counted."""
    counted: list[tuple[int, float]] = []
    count = TrainingDisplay.on_train_batch_end

    def counting(display: TrainingDisplay, *arguments: Any) -> None:  # noqa: ANN401 - Lightning's
        count(display, *arguments)
        counted.append((display.images, display.seconds))
        if after_batch:
            after_batch(len(counted))

    session.free()
    folder = RunFolder(session.work / name)
    with mock.patch.object(TrainingDisplay, "on_train_batch_end", counting):
        outcome = train(plan, folder)
    session.synchronise()
    return Watched(outcome, folder, counted, session.peak_mb())


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
