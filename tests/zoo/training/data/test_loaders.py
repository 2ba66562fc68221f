"""What the loaders of a rank give: which samples, in which batches, by which processes."""

from __future__ import annotations

import signal
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch.utils.data import get_worker_info

from zoo.runs.unreadable import read_list
from zoo.training.data.batch import TrainingItem
from zoo.training.data.device_parts import PlannedBatch
from zoo.training.data.epoch_length import EpochLength
from zoo.training.data.items import TrainingItems
from zoo.training.data.loaders import TrainingLoaders
from zoo.training.data.mixed_dataset import MixedDataset
from zoo.training.data.residency import Residency
from zoo.training.data.resident import ResidentExecutor, ResidentItems
from zoo.training.data.sampler import EpochSampler
from zoo.training.data.streaming import ENDLESS
from zoo.training.data.training_data import TrainingData
from zoo.training.distillation.teacher_features import TeacherFeatures
from zoo.validation.dataset import ValidationItems
from zoo_core.api import RunError, Sample, UnreadableSample

from .resident_samples import Numbers, Plain, Planned, Told

SEED = 3


class Shades:
    """So many images of two pixels, shade and label = number; those in `broken` cannot be read."""

    def __init__(self, length, blocks=None, broken=()):
        self.classes = tuple(map(str, range(length)))
        self.blocks, self.broken = blocks, broken

    def __len__(self):
        return len(self.classes)

    def __getitem__(self, index):
        if index in self.broken:
            raise UnreadableSample(f"{index}.png", "broken")
        return Sample(np.full((1, 2, 3), index, np.uint8), index)


class Unblocked(Shades):
    def __init__(self, length):
        super().__init__(length)
        del self.blocks


class Shares:
    """Streams of each of so many slices its number, without end."""

    classes = ("any",)
    length = None

    def stream(self, *, rank, world_size, worker, workers, epoch, seed):
        raise NotImplementedError

    def stream_slices(self, first, last, slices, *, epoch, seed):
        assert seed == SEED
        for number in range(first, last):
            yield from [(number, Sample(np.array([[[number, slices, epoch]]]), 0))] * 2


class Process:
    """A sample whose image says in which process it was read."""

    classes = ("any",)
    blocks = None

    def __len__(self):
        return 4

    def __getitem__(self, index):
        info = get_worker_info()
        ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        told = (info.id, info.num_workers, ignored) if info else (9, 9, 9)
        return Sample(np.array([[told]], np.uint8), 0)


class Rank(SingleDeviceStrategy):
    """One of several ranks, which is told where the first one's folder is."""

    def __init__(self, rank=0, world_size=1, *, device="cpu", first=None, agreed=True):
        super().__init__(device=device)
        self.global_rank, self.world_size = rank, world_size
        self.first, self.agreed = first, agreed

    @property
    def is_global_zero(self):
        return self.global_rank == 0

    def broadcast(self, obj, src=0):  # noqa: ARG002 - Lightning's
        return self.first or obj

    def reduce_boolean_decision(self, decision, all=True):  # noqa: A002, ARG002, FBT002 - Lightning's
        return decision and self.agreed


def data_of(*datasets, shares=(1.0,), samples=12, batch=4, captures=1, validation=None, augmentation=None, **options):
    mixed = MixedDataset(datasets, SEED)
    return TrainingData(
        items=TrainingItems(mixed, augmentation or (lambda sample, _: sample.image), SEED, captures),
        shares=shares,
        samples_per_epoch=samples,
        batch_size=batch,
        seed=SEED,
        validation=ValidationItems(validation or Shades(10), None, 0, (1, 2), SEED),
        unreadable_share=0.25,
        **options,
    )


def trainer_of(strategy=None, *, done=0, started=0, limit=None):
    """A trainer that has begun so many epochs, and read so many batches of the last one."""
    trainer = lightning.Trainer(
        accelerator="cpu",
        strategy=strategy or Rank(),
        limit_train_batches=limit,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit_loop.epoch_loop.batch_progress.current.ready = done
    trainer.fit_loop.epoch_progress.current.ready = started
    return trainer


def loaders_of(data, trainer=None, path=Path("unused"), *, workers=0, length=None, features=None):
    loaders = TrainingLoaders(data, path, workers=workers, epoch_length=length or EpochLength(), features=features)
    loaders.trainer = trainer or trainer_of()
    return loaders


def labels(loader):
    return [batch["labels"].tolist() for batch in loader]


def keys(length, epoch=0, *, samples=12, skip=0, **options):
    """The samples of an epoch, by an order of its own."""
    sampler = EpochSampler([length], samples_per_epoch=samples, seed=SEED, **options)
    sampler.set_epoch(epoch)
    sampler.skip = skip
    return [index for _, index in sampler]


def batches(numbers, size):
    return [numbers[first : first + size] for first in range(0, len(numbers), size)]


# -- The epoch --


def test_an_epoch_is_cut_into_batches_in_the_order_of_the_seed():
    loader = loaders_of(data_of(Shades(12))).train_dataloader()
    expected = batches(keys(12), 4)
    shown = list(loader)
    assert [batch["labels"].tolist() for batch in shown] == expected
    assert [batch["images"][:, 0, 1, 2].tolist() for batch in shown] == expected
    assert shown[0]["images"].shape == (4, 1, 2, 3)
    loader.sampler.set_epoch(1)
    assert labels(loader) == batches(keys(12, 1), 4)


def test_views_of_a_sample_count_as_images_of_the_batch():
    shown = labels(loaders_of(data_of(Shades(12), batch=6, captures=2)).train_dataloader())
    assert shown == [[label for label in three for _ in range(2)] for three in batches(keys(12), 3)]


def test_an_epoch_of_less_than_a_batch_is_a_batch():
    length = EpochLength()
    loader = loaders_of(data_of(Shades(3), samples=3), length=length).train_dataloader()
    assert labels(loader) == [keys(3, samples=3)]
    assert length.batches == 1


def test_the_rest_of_an_epoch_is_left_to_the_next_one():
    length = EpochLength()
    loader = loaders_of(data_of(Shades(40), samples=11), length=length).train_dataloader()
    assert length.batches == 2
    assert labels(loader) == batches(keys(40, samples=8), 4)
    loader.sampler.set_epoch(1)
    assert labels(loader) == batches(keys(40, 1, samples=8), 4)


def test_ranks_take_turns():
    for rank in range(2):
        data = data_of(Shades(40), samples=16)
        loader = loaders_of(data, trainer_of(Rank(rank, 2))).train_dataloader()
        assert labels(loader) == batches(keys(40, samples=16, rank=rank, world_size=2), 4)
        assert len(loader) == 2


def test_data_sets_have_their_shares_and_their_orders():
    """One in any order, one of blocks, one that does not speak of them, and a stream."""
    shares = (0.4, 0.3, 0.2, 0.1)
    data = data_of(Shades(7), Shades(40, (4, 2)), Unblocked(9), Shares(), shares=shares, samples=512, batch=64)
    loader = loaders_of(data, trainer_of(Rank(1, 2))).train_dataloader()
    sampler = EpochSampler(
        [7, 40, 9, ENDLESS],
        shares=shares,
        streamed=[False, False, False, True],
        blocks=[None, (4, 2), None, None],
        samples_per_epoch=512,
        seed=SEED,
        rank=1,
        world_size=2,
    )
    assert list(loader.sampler) == list(sampler)
    loader.dataset.augmentation = lambda _sample, _: np.zeros((1, 1, 3), np.uint8)
    shown = [label for batch in labels(loader) for label in batch]
    # A stream's samples have one class here.
    assert shown == [min(index, 56) for _, index in sampler]
    assert {*range(7), *range(47, 57)} < {*shown}


@pytest.mark.parametrize("rank", [0, 1])
def test_a_stream_is_divided_by_ranks_and_their_batches(rank):
    data = data_of(Shares(), samples=16, batch=2)
    loader = loaders_of(data, trainer_of(Rank(rank, 2), started=5)).train_dataloader()
    shown = [batch["images"][:, 0, 0].tolist() for batch in loader]
    # Four batches each, of which the second rank's are the last four of eight, in the fifth epoch.
    assert shown == [[[number, 8, 5]] * 2 for number in range(4 * rank, 4 * rank + 4)]


# -- Where an epoch ends, and where a resumed one goes on --


@pytest.mark.parametrize(
    ("limit", "shown"), [(None, 5), (1.0, 5), (0.5, 2), (0.1, 1), (3, 3), (1, 1), (5, 5), (9, 5)], ids=str
)
def test_an_epoch_may_end_before_its_data_do(limit, shown):
    length, trainer = EpochLength(), trainer_of(limit=limit)
    loader = loaders_of(data_of(Shades(20), samples=20), trainer, length=length).train_dataloader()
    assert length.batches == shown
    # Lightning ends it, and the next one begins where it would without that.
    assert len(loader) == 5


def test_a_trainer_without_a_limit_shows_all():
    length, trainer = EpochLength(), trainer_of()
    trainer.limit_train_batches = None
    loaders_of(data_of(Shades(20), samples=20), trainer, length=length).train_dataloader()
    assert length.batches == 5


@pytest.mark.parametrize(
    ("done", "started", "epoch", "skipped"),
    [
        (0, 0, 0, 0),
        (0, 2, 2, 0),
        # Within the third epoch: Lightning has counted it.
        (1, 3, 2, 1),
        (4, 3, 2, 4),
        # At its end.
        (5, 3, 3, 0),
    ],
)
def test_a_resumed_training_goes_on_after_the_batches_that_were_read(done, started, epoch, skipped):
    loader = loaders_of(data_of(Shades(20), samples=20), trainer_of(done=done, started=started)).train_dataloader()
    assert labels(loader) == batches(keys(20, epoch, samples=20), 4)[skipped:]
    loader.sampler.set_epoch(epoch + 1)
    assert labels(loader) == batches(keys(20, epoch + 1, samples=20), 4)


def test_a_resumed_epoch_that_ends_before_its_data_begins_anew_at_its_limit():
    loader = loaders_of(data_of(Shades(20), samples=20), trainer_of(done=2, started=1, limit=2)).train_dataloader()
    assert labels(loader) == batches(keys(20, 1, samples=20), 4)


def test_a_training_resumed_with_half_the_batch_goes_on_at_the_same_sample():
    length, trainer = EpochLength(), trainer_of(done=2, started=1)
    length.batches = 5
    loader = loaders_of(data_of(Shades(20), samples=20, batch=2), trainer, length=length).train_dataloader()
    assert trainer.fit_loop.epoch_loop.batch_progress.current.ready == 4
    assert labels(loader) == batches(keys(20, samples=20), 2)[4:]


# -- The processes --


def test_samples_are_read_by_the_loader_s_processes_which_stay():
    loader = loaders_of(data_of(Process(), samples=4, batch=1), workers=2).train_dataloader()
    assert [batch["images"].flatten().tolist() for batch in loader] == [[0, 2, 1], [1, 2, 1]] * 2
    assert loader.persistent_workers
    alone = loaders_of(data_of(Process(), samples=4, batch=1)).train_dataloader()
    assert [batch["images"].flatten().tolist() for batch in alone] == [[9, 9, 9]] * 4
    assert not alone.persistent_workers


def test_one_process_stays_too():
    assert loaders_of(data_of(Shades(4)), workers=1).train_dataloader().persistent_workers


def test_validation_is_read_by_as_many_processes():
    loader = loaders_of(data_of(Shades(4), validation=Process(), batch=2), workers=2).val_dataloader()
    # Those of images [1, 2], into which a pixel is drawn out.
    assert [batch["images"][:, 0, 0].tolist() for batch in loader] == [[[0, 2, 1]] * 2, [[1, 2, 1]] * 2]


def test_the_seeds_of_processes_come_from_the_recipe_s_and_leave_all_else_alone():
    class Seeds(Process):
        def __getitem__(self, index):
            return Sample(np.zeros((1, 1, 3), np.uint8), torch.initial_seed())

    before = torch.get_rng_state()
    loader = loaders_of(data_of(Seeds(), samples=4, batch=2), workers=1).train_dataloader()
    drawn = torch.empty((), dtype=torch.int64).random_(generator=torch.Generator().manual_seed(SEED)).item()
    assert labels(loader) == [[drawn, drawn]] * 2
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda", True), ("meta", False)])
def test_batches_are_pinned_for_a_gpu(device, pinned):
    loader = loaders_of(data_of(Shades(4)), trainer_of(Rank(device=device))).train_dataloader()
    assert loader.pin_memory is pinned


def test_validation_comes_in_its_order_to_the_end():
    shown = list(loaders_of(data_of(Shades(4))).val_dataloader())
    assert [batch["positions"].tolist() for batch in shown] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [batch["labels"].tolist() for batch in shown] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert shown[0]["images"].shape == (4, 1, 2, 3)


# -- What a batch holds --


def test_a_distilling_training_gets_the_teacher_s_features(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(12, dtype=np.float16)[:, None])
    loaders = loaders_of(data_of(Shades(12)), features=TeacherFeatures(tmp_path / "rows.npy"))
    for batch in loaders.train_dataloader():
        assert batch["teacher_features"].flatten().tolist() == batch["labels"].tolist()


def test_a_device_gets_its_batches_planned():
    augmentation = Planned()
    data = data_of(Numbers(broken=0), samples=60, batch=6, augmentation=augmentation.prepare, on_device=augmentation)
    images = next(iter(loaders_of(data).train_dataloader()))["images"]
    assert isinstance(images, PlannedBatch)
    assert [(part.images, part.side) for part in images.parts] == [(4, None), (2, None)]


def test_a_device_augmentation_that_plans_nothing_gets_arrays():
    data = data_of(Numbers(broken=0), batch=6, augmentation=Plain().prepare, on_device=Plain())
    images = next(iter(loaders_of(data).train_dataloader()))["images"]
    assert type(images) is tuple
    assert [len(array) for array in images] == [6, 6]


def resident(required=True, **options):  # noqa: FBT002 - as the recipe says
    augmentation = Planned()
    residency = Residency(augmentation, ResidentExecutor(Told()), required=required)
    options = {"augmentation": augmentation.prepare, "on_device": augmentation, "residency": residency, **options}
    return data_of(Numbers(broken=0), samples=60, batch=6, **options), residency.executor


def test_samples_that_stay_on_the_device_come_as_their_numbers(tmp_path, capsys):
    data, executor = resident()
    loaders = loaders_of(data, path=tmp_path / "skipped.csv")
    loaders.setup("fit")
    assert len(executor.images) == 60
    assert "data.resident: 60 samples stay on cpu" in capsys.readouterr().err
    loader = loaders.train_dataloader()
    assert isinstance(loader.dataset, ResidentItems)
    shown = keys(60, samples=60)[:6]
    images = next(iter(loader))["images"]
    assert images.arrays[0].tolist() == shown
    sides = [max(1 + number % 5, 1 + number % 7) for number in shown]
    assert [(part.images, part.side) for part in images.parts] == [(4, max(sides[:4])), (2, max(sides[4:]))]


def test_only_the_first_rank_speaks(tmp_path, capsys):
    data, executor = resident()
    loaders_of(data, trainer_of(Rank(1, 2)), tmp_path / "skipped.csv").setup("fit")
    assert len(executor.images) == 60
    assert "data.resident" not in capsys.readouterr().err


def test_samples_stay_where_all_ranks_have_room(tmp_path):
    data, executor = resident()
    with pytest.raises(RunError) as caught:
        loaders_of(data, trainer_of(Rank(agreed=False)), tmp_path / "skipped.csv").setup("fit")
    assert str(caught.value) == (
        "data.resident: another rank has too little memory; set data.resident=false, lower the data sets' max_side, "
        "or train on fewer samples"
    )
    assert executor.images is None


def test_samples_come_from_the_loader_where_residency_decides_so(tmp_path, capsys):
    data, executor = resident(required=False)
    loaders = loaders_of(data, path=tmp_path / "skipped.csv")
    loaders.setup("fit")
    assert executor.images is None
    assert isinstance(loaders.train_dataloader().dataset, TrainingItems)
    said = "data.resident: auto: samples come from the loader: the training runs on the CPU\n"
    assert said in capsys.readouterr().err


# -- What cannot be read --


def test_all_ranks_list_what_they_cannot_read_with_the_first_one(tmp_path):
    own, first = tmp_path / "own" / "skipped.csv", tmp_path / "first" / "skipped.csv"
    for path in (own, first):
        path.parent.mkdir()
        path.write_text("part,path,reason,samples\ntrain,old.png,broken,1\n")
    data = data_of(Shades(12, broken=[2]), validation=Shades(10, broken=[0, 1]))
    loaders = loaders_of(data, trainer_of(Rank(1, 2, first=first)), own)
    loaders.setup("fit")
    # Only the first rank begins a list.
    assert [row["path"] for row in read_list(own)] == [row["path"] for row in read_list(first)] == ["old.png"]
    for key in range(12):
        loaders.train_dataloader().dataset[0, key]
    list(loaders.val_dataloader())
    assert [row["path"] for row in read_list(own)] == ["old.png"]
    assert [(row["part"], row["path"]) for row in read_list(first)[1:]] == [
        ("train", "2.png"),
        ("valid", "0.png"),
        ("valid", "1.png"),
    ]


def test_the_first_rank_begins_the_list_anew_and_names_it_wherever_the_others_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("skipped.csv")
    path.write_text("part,path,reason,samples\ntrain,old.png,broken,1\n")
    loaders = loaders_of(data_of(Shades(12, broken=[2])), path=path)
    loaders.setup("fit")
    assert not path.exists()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(labels(loaders.train_dataloader())) == 3
    assert [row["path"] for row in read_list(tmp_path / path)] == ["2.png"]


@pytest.mark.parametrize("part", ["train", "valid"])
def test_more_than_the_recipe_s_share_is_refused(tmp_path, part):
    some, all_of_it = Shades(12), Shades(12, broken=range(4))
    data = data_of(all_of_it if part == "train" else some, validation=all_of_it if part == "valid" else some)
    loaders = loaders_of(data, path=tmp_path / "skipped.csv")
    loaders.setup("fit")
    with pytest.raises(RunError) as caught:
        list(loaders.train_dataloader() if part == "train" else loaders.val_dataloader())
    said = str(caught.value)
    assert said.startswith(f"data.{part}: 4 of 12 samples cannot be read: ")
    assert said.endswith(f"; more than data.unreadable_share 0.25; {tmp_path}/skipped.csv lists all so far")


def test_without_a_run_s_list_the_samples_are_read_all_the_same():
    data = data_of(Shades(12), validation=Shades(3))
    loaders = loaders_of(data)
    assert loaders.train_dataloader().dataset is data.items
    assert loaders.val_dataloader().dataset is data.validation
    assert isinstance(data.items[0, 0][0], TrainingItem)
