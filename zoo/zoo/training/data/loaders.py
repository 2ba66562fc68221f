"""What training and validation are fed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import lightning
import torch
from torch.utils.data import DataLoader

from zoo.runs import unreadable
from zoo.training.data.batch import Collate
from zoo.training.data.device_parts import BatchPlanner
from zoo.training.data.resident import ResidentItems
from zoo.training.data.sampler import EpochSampler
from zoo.training.data.streaming import StreamReader
from zoo.validation.batch import collate
from zoo.workers import start_worker
from zoo_core.capabilities import BlockedDataset, PlannedAugmentation

if TYPE_CHECKING:
    from pathlib import Path

    from torch.utils.data import Dataset

    from zoo.training.data.batch import TrainingItem
    from zoo.training.data.epoch_length import EpochLength
    from zoo.training.data.training_data import TrainingData
    from zoo.training.distillation.teacher_features import TeacherFeatures


class TrainingLoaders(lightning.LightningDataModule):
    """Loaders made when the trainer knows its rank, and where a resumed epoch continues.

    Args:
        data: what the training is fed with.
        unreadable_list: file in which unreadable samples are listed.
        workers: loader processes of this rank.
        epoch_length: is told how many batches an epoch has.
        features: of the teacher, where the recipe distils.
    """

    def __init__(
        self,
        data: TrainingData,
        unreadable_list: Path,
        *,
        workers: int,
        epoch_length: EpochLength,
        features: TeacherFeatures | None = None,
    ) -> None:
        super().__init__()
        self.data = data
        self.unreadable_list = unreadable_list
        self.workers = workers
        self._epoch_length = epoch_length
        self._features = features
        self._items = data.items
        self._shown: Dataset[list[TrainingItem]] = data.items
        self._validation = data.validation

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's signature
        """Let all ranks list what they cannot read in the first one's folder."""
        trainer = self.trainer
        assert trainer is not None  # noqa: S101 - as below
        if trainer.is_global_zero:
            unreadable.clear(self.unreadable_list)
        path = trainer.strategy.broadcast(self.unreadable_list.absolute())
        samples = unreadable.UnreadableSamples(path, self.data.unreadable_share)
        self._items = self.data.items.recording(samples)
        self._shown = self._resident() or self._items
        self._validation = self.data.validation.recording(samples)

    def _resident(self) -> ResidentItems | None:
        """Read the samples onto the device, where they stay there: all ranks at once, which can wait for each other."""
        trainer, residency = self.trainer, self.data.residency
        if residency is None:
            return None
        assert trainer is not None  # noqa: S101 - as below
        return residency.load(
            self._items,
            device=trainer.strategy.root_device,
            sharers=trainer.num_devices,
            workers=self.workers,
            agree=trainer.strategy.reduce_boolean_decision,
            show=trainer.is_global_zero,
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Build the loader of this rank's share of the epoch, from where a resumed one continues."""
        trainer = self.trainer
        assert trainer is not None  # noqa: S101 - Lightning sets it before it asks
        datasets = self._items.dataset.datasets
        sampler = EpochSampler(
            [len(dataset) for dataset in datasets],
            shares=self.data.shares,
            streamed=[isinstance(dataset, StreamReader) for dataset in datasets],
            blocks=[dataset.blocks if isinstance(dataset, BlockedDataset) else None for dataset in datasets],
            samples_per_epoch=self.data.samples_per_epoch,
            seed=self.data.seed,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        # `captures` views of each sample make a batch of `batch_size` images.
        size = min(self.data.batch_size // self._items.captures, len(sampler))
        batches = len(sampler) // size
        for dataset in datasets:
            if isinstance(dataset, StreamReader):
                dataset.divide(rank=trainer.global_rank, world_size=trainer.world_size, batches=batches)
        # An epoch may end before its data do, and the next one begins where it would without that.
        shown = _limited(batches, trainer.limit_train_batches)
        self._epoch_length.set_batches(trainer, shown)
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        # BatchNorm cannot train on a rest of one image, so a rest is left to the next epoch.
        sampler.shorten(batches * size, skip=done % shown * size)
        # Lightning tells the epoch only after the loader's processes have begun to read.
        started = trainer.fit_loop.epoch_progress.current.ready
        sampler.set_epoch(started - 1 if done % shown else started)
        return DataLoader(
            self._shown,
            batch_size=size,
            sampler=sampler,
            num_workers=self.workers,
            collate_fn=Collate(self._features, self._planner(trainer.strategy.root_device)),
            pin_memory=trainer.strategy.root_device.type == "cuda",
            persistent_workers=self.workers > 0,
            worker_init_fn=start_worker,
            # Its own: each epoch draws a seed for the processes, a resumed one once more, and dropout would follow.
            generator=torch.Generator().manual_seed(self.data.seed),
        )

    def _planner(self, device: torch.device) -> BatchPlanner | None:
        if not isinstance(self.data.on_device, PlannedAugmentation):
            return None
        sides = self._shown.descriptions.sides if isinstance(self._shown, ResidentItems) else None
        return BatchPlanner(self.data.on_device, device, sides)

    def val_dataloader(self) -> DataLoader[Any]:
        """Build the loader of the validation set."""
        return DataLoader(
            cast("Dataset[Any]", self._validation),
            batch_size=self.data.batch_size,
            num_workers=self.workers,
            collate_fn=collate,
            worker_init_fn=start_worker,
        )


def _limited(batches: int, limit: float | None) -> int:
    """Return how many of an epoch's batches Lightning shows, by a number or a share of them."""
    if limit is None:
        return batches
    # Lightning refuses a limit of none; it is the one to say so.
    return max(1, min(batches, limit) if isinstance(limit, int) else int(batches * limit))
