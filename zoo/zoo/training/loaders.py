"""What training and validation are fed from."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import lightning
from torch.utils.data import DataLoader

from zoo import skipping
from zoo.batches import collate, loader_processes
from zoo.training.data import StreamSampler, start_worker
from zoo.training.distillation import TeacherFeatures, WithTeacher
from zoo.training.streaming import Streamed
from zoo_core.contracts import BlockedDataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.utils.data import Dataset

    from zoo.folders import RunFolder
    from zoo.training.module import EmbeddingTraining
    from zoo.training.run import Training


class Flattened:
    """Collates the captures of all samples of a batch, each sample's side by side."""

    def __init__(self, collate: Callable[[list[tuple[Any, ...]]], tuple[Tensor, ...]]) -> None:
        self._collate = collate

    def __call__(self, samples: list[list[tuple[Any, ...]]]) -> tuple[Tensor, ...]:
        """Stack ``samples``."""
        return self._collate(list(chain.from_iterable(samples)))


class TrainingLoaders(lightning.LightningDataModule):
    """Loaders made when the trainer knows its rank, and where a resumed epoch goes on."""

    def __init__(self, training: Training, trainer: lightning.Trainer, folder: RunFolder) -> None:
        super().__init__()
        self.training = training
        self.folder = folder
        self.loader = training.recipe.data.loader
        self.features: TeacherFeatures | None = None
        self.workers = loader_processes(
            self.loader.num_workers, devices=trainer.num_devices, on_cpu=trainer.strategy.root_device.type == "cpu"
        )

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's signature
        """Let all ranks list what they cannot read where the first one's folder is."""
        trainer = self.trainer
        assert trainer is not None  # noqa: S101 - as below
        if trainer.is_global_zero:
            skipping.forget(self.folder.skipped)
        path = trainer.strategy.broadcast(self.folder.skipped.absolute())
        skipped = skipping.Skipped(path, self.training.recipe.data.unreadable_share)
        self.training.items.skipped = self.training.validation.skipped = skipped

    def train_dataloader(self) -> DataLoader[Any]:
        """Build the loader of this rank's part of the epoch, from where a resumed one goes on."""
        trainer = self.trainer
        assert trainer is not None  # noqa: S101 - Lightning sets it before it asks
        datasets = self.training.items.dataset.datasets
        sampler = StreamSampler(
            [len(dataset) for dataset in datasets],
            shares=[source.share for source in self.training.sources],
            streamed=[isinstance(dataset, Streamed) for dataset in datasets],
            blocks=[dataset.blocks if isinstance(dataset, BlockedDataset) else None for dataset in datasets],
            samples_per_epoch=self.training.samples_per_epoch,
            seed=self.training.recipe.seed,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        # A batch of samples, each in as many captures, is one of `batch_size` images.
        size = min(self.loader.batch_size // self.training.items.captures, len(sampler))
        batches = len(sampler) // size
        for dataset in datasets:
            if isinstance(dataset, Streamed):
                dataset.rank, dataset.world_size, dataset.batches = trainer.global_rank, trainer.world_size, batches
        # BatchNorm cannot train on a rest of one image, so a rest is left to the next epoch.
        sampler.num_samples = batches * size
        _rescale_progress(trainer, batches)
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        sampler.skip = done % batches * size
        # Lightning tells the epoch only after the loader's processes have begun to read.
        started = trainer.fit_loop.epoch_progress.current.ready
        sampler.set_epoch(started - 1 if done % batches else started)
        items: Dataset[Any] = self.training.items
        if self.features is not None:
            items = WithTeacher(items)
        return DataLoader(
            items,
            batch_size=size,
            sampler=sampler,
            num_workers=self.workers,
            collate_fn=Flattened(self.features.collate if self.features else collate),
            pin_memory=trainer.strategy.root_device.type == "cuda",
            persistent_workers=self.workers > 0,
            worker_init_fn=start_worker,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """Build the loader of the validation set."""
        return DataLoader(
            self.training.validation,
            batch_size=self.loader.batch_size,
            num_workers=self.workers,
            collate_fn=collate,
            worker_init_fn=start_worker,
        )


def _rescale_progress(trainer: lightning.Trainer, batches: int) -> None:
    """Count the batches of a resumed epoch anew where it has more or fewer now: other devices, other batch size."""
    module = cast("EmbeddingTraining", trainer.lightning_module)
    before, module.batches_per_epoch = module.batches_per_epoch, batches
    if before in {0, batches}:
        return
    current = trainer.fit_loop.epoch_loop.batch_progress.current
    for name in ("ready", "started", "processed", "completed"):
        setattr(current, name, min(batches, getattr(current, name) * batches // before))
