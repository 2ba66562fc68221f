from __future__ import annotations

import io
import pickle
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.runs.unreadable import UnreadableSamples
from zoo.training.data.epoch_length import EpochLength
from zoo.training.data.items import TrainingItems
from zoo.training.data.loaders import TrainingLoaders
from zoo.training.data.mixed_dataset import MixedDataset
from zoo.training.data.sampler import EpochSampler
from zoo.training.data.streaming import ENDLESS, StreamReader
from zoo_core.api import RecipeError, RunError, Sample, UnreadableSample


class Counting:
    """Streams the numbers below `length`, readers taking turns; those in `broken` are unreadable."""

    classes = ("even", "odd")

    def __init__(self, length, broken=(), *, known=True):
        self.count = length
        self.broken = broken
        self.length = length if known else None

    def stream(self, *, rank, world_size, worker, workers, epoch, seed):
        numbers = np.random.default_rng((seed, epoch)).permutation(self.count)
        for number in numbers[rank * workers + worker :: world_size * workers].tolist():
            if number in self.broken:
                yield number, UnreadableSample(f"row {number}", "broken")
            else:
                yield number, Sample(np.full((1, 1, 3), number, np.uint16), number % 2)


def ignore(*_):
    pass


def numbers(stream, epoch, count):
    return [stream.next(epoch, ignore)[0] for _ in range(count)]


def test_an_epoch_is_a_pass_and_the_next_another():
    stream = StreamReader(Counting(40), seed=0)
    first, second = numbers(stream, 0, 40), numbers(stream, 1, 40)
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second


def test_a_new_process_starts_an_epoch_as_the_old_one_would_have():
    stream = StreamReader(Counting(40), seed=0)
    numbers(stream, 0, 25)
    assert numbers(stream, 1, 40) == numbers(StreamReader(Counting(40), seed=0), 1, 40)


def test_a_pass_that_ends_before_the_epoch_is_followed_by_another():
    shown = numbers(StreamReader(Counting(10), seed=0), 0, 30)
    assert [sorted(shown[start : start + 10]) for start in (0, 10, 20)] == [list(range(10))] * 3
    assert shown[:10] != shown[10:20]


def test_the_ranks_share_the_stream():
    streams = [StreamReader(Counting(40), seed=0) for _ in range(2)]
    for rank, stream in enumerate(streams):
        stream.divide(rank=rank, world_size=2, batches=0)
    assert sorted(number for stream in streams for number in numbers(stream, 3, 20)) == list(range(40))


def test_a_process_without_samples_says_so():
    stream = StreamReader(Counting(1), seed=0)
    stream.divide(rank=1, world_size=2, batches=0)
    with pytest.raises(RunError, match="2 loader processes"):
        stream.next(0, ignore)


@pytest.mark.parametrize("known", [True, False])
def test_unreadable_samples_are_left_out_and_counted(known):
    stream = MixedDataset([Counting(500, {3, 5, 7}, known=known)])
    items = TrainingItems(stream, lambda sample, _: sample.image, 0)
    shown = {int(items[0, 0][0][0][0, 0, 0]) for _ in range(240)}
    assert not shown & {3, 5, 7}
    rows = list(items.unreadable._rows.values())
    assert all(row["part"] == "train" for row in rows)
    broken, skipped = MixedDataset([Counting(500, set(range(100)), known=known)]), UnreadableSamples()
    with pytest.raises(RunError, match=r"data\.train: (6 of 500|11 of 1,000) samples"):
        [broken.read(0, 0, skipped) for _ in range(500)]


def test_streams_mix_with_other_data_sets_by_their_shares():
    class Fixed:
        classes = ("one",)

        def __len__(self):
            return 10

        def __getitem__(self, index):
            return Sample(np.zeros((1, 1, 3), np.uint8), 0)

    mixed = MixedDataset([Fixed(), Counting(1000, known=False)])
    assert list(mixed.classes) == ["one", "even", "odd"]
    sampler = EpochSampler([10, ENDLESS], shares=[0.25, 0.75], streamed=[False, True], samples_per_epoch=512, seed=0)
    items = TrainingItems(mixed, lambda sample, _: sample.image, 0)
    labels = [item.label for key in sampler for item in items[key]]
    assert labels.count(0) == 128
    assert set(labels) == {0, 1, 2}


@pytest.fixture
def shards(tmp_path, write_tar):
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "png")
    write_tar(tmp_path / "one.tar", {"0.png": picture.getvalue(), "0.cls": b"a"})
    (tmp_path / "classes.txt").write_text("a\nb\n")
    options = f"{{shards: {tmp_path}/one.tar, classes: {tmp_path}/classes.txt}}"
    return ["data.train.name=images/webdataset", f"data.train.options={options}"]


def test_an_epoch_without_end_and_a_validation_by_stream_are_refused(prepare, shards):
    with pytest.raises(RecipeError, match=r"set data\.samples_per_epoch"):
        prepare(*shards)
    with pytest.raises(RecipeError, match="a stream can only be trained on"):
        prepare(*(word.replace("data.train", "data.valid") for word in shards))
    known = prepare(*(word.replace("classes: ", "length: 96, classes: ") for word in shards))
    assert known.data.samples_per_epoch == 96


def test_shards_without_a_sample_are_refused_before_training(prepare, shards, tmp_path, write_tar):
    write_tar(tmp_path / "one.tar", {})
    with pytest.raises(
        RunError, match=r"dataset images/webdataset .*: none of the samples that were tried can be read"
    ):
        prepare(*shards, "data.samples_per_epoch=96")


@pytest.fixture
def uneven(tmp_path, write_tar):
    """Shards of 10 and 70 samples, shade = number."""
    numbers = iter(range(80))
    for shard, count in enumerate((10, 70)):
        members = {}
        for number in islice(numbers, count):
            picture = io.BytesIO()
            Image.new("RGB", (8, 8), (number, 0, 0)).save(picture, "png")
            members |= {f"{number:03}.png": picture.getvalue(), f"{number:03}.cls": b"a"}
        write_tar(tmp_path / f"uneven-{shard}.tar", members)
    (tmp_path / "classes.txt").write_text("a\nb\n")
    options = f"{{shards: '{tmp_path}/uneven-*.tar', classes: {tmp_path}/classes.txt, length: 80}}"
    return ["data.train.name=images/webdataset", f"data.train.options={options}", "data.captures=1"]


@pytest.mark.parametrize(
    ("world_size", "workers", "batch"), [(1, 0, 16), (1, 2, 16), (1, 3, 8), (2, 1, 8), (2, 2, 8), (2, 3, 4)]
)
def test_a_pass_shows_each_sample_once_however_long_shards_are(prepare, uneven, world_size, workers, batch):
    """Batches come in turn from processes, here an odd number of them, and each rank has as many."""
    training = prepare(*uneven, f"data.loader.batch_size={batch}", f"data.loader.num_workers={workers}")
    training.data.items.augmentation = lambda sample, _: sample.image[:1, :1]
    for epoch in range(2):
        shown, batches = [], []
        for rank in range(world_size):
            loader = loader_of(training, rank, world_size, workers, epoch)
            own = [batch["images"][:, 0, 0, 0].tolist() for batch in loader]
            assert {len(images) for images in own} == {batch}
            batches.append(len(own))
            shown += [number for images in own for number in images]
        assert sorted(shown) == list(range(80))
        assert set(batches) == {80 // batch // world_size}


def loader_of(plan, rank, world_size, workers, epoch):
    """The loader that a rank of a training would have in an epoch."""

    def progress(ready):
        return SimpleNamespace(current=SimpleNamespace(ready=ready))

    data = TrainingLoaders(plan.data, Path("unused"), workers=workers, epoch_length=EpochLength())
    data.trainer = SimpleNamespace(
        global_rank=rank,
        world_size=world_size,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        limit_train_batches=1.0,
        fit_loop=SimpleNamespace(
            epoch_loop=SimpleNamespace(batch_progress=progress(0)), epoch_progress=progress(epoch)
        ),
    )
    return data.train_dataloader()


def test_half_of_a_stream_lost_is_refused(train, uneven, tmp_path):
    (tmp_path / "uneven-1.tar").write_bytes(b"x" * 2000)
    known = [word.replace(", length: 80", "") for word in uneven]
    with pytest.raises(RunError, match=r"data\.train: up to 50% cannot be read: .*uneven-1\.tar"):
        train("run", *known, "data.samples_per_epoch=32", "data.loader.num_workers=2")


class Told:
    """Streams five samples of no class, and keeps what it was asked for."""

    classes = ("any",)
    length = None

    def __init__(self):
        self.asked = []

    def stream(self, **asked):
        self.asked.append(asked)
        yield from ((number, Sample(np.zeros((1, 1, 3), np.uint8), 0)) for number in range(5))


class Slices(Told):
    """The same, of which a reader can ask for a part."""

    length = 5

    def stream_slices(self, *part, **asked):
        self.asked.append((part, asked))
        yield from ((number, Sample(np.zeros((1, 1, 3), np.uint8), 0)) for number in range(5))


def test_a_stream_is_asked_for_the_share_of_its_reader_and_in_rounds_for_another_epoch():
    told = Told()
    reader = StreamReader(told, seed=4)
    assert reader.classes == ("any",)
    assert len(reader) == ENDLESS == 2**40
    numbers(reader, 7, 11)
    alone = {"rank": 0, "world_size": 1, "worker": 0, "workers": 1, "seed": 4}
    assert told.asked == [{**alone, "epoch": 7 + round_ * 2**20} for round_ in range(3)]

    told.asked.clear()
    reader.divide(rank=1, world_size=3, batches=2)
    numbers(reader, 8, 5)
    numbers(reader, 8, 1)
    assert told.asked == [{**alone, "rank": 1, "world_size": 3, "epoch": 8 + round_ * 2**20} for round_ in range(2)]


def test_a_reader_asks_for_the_slices_of_its_batches():
    told = Slices()
    reader = StreamReader(told, seed=4)
    assert len(reader) == 5
    numbers(reader, 7, 1)
    # Not divided by batches yet.
    assert told.asked == [{"rank": 0, "world_size": 1, "worker": 0, "workers": 1, "epoch": 7, "seed": 4}]
    told.asked.clear()
    reader.divide(rank=2, world_size=3, batches=4)
    numbers(reader, 8, 6)
    assert told.asked == [((8, 12, 12), {"epoch": 8 + round_ * 2**20, "seed": 4}) for round_ in range(2)]


def test_a_copy_of_a_reader_starts_its_epoch_anew():
    reader = StreamReader(Slices(), seed=4)
    reader.divide(rank=1, world_size=2, batches=3)
    assert numbers(reader, 0, 3) == [0, 1, 2]
    # As a loader sends it to its processes, an open stream and all.
    copied = pickle.loads(pickle.dumps(reader))  # noqa: S301 - ours
    assert numbers(copied, 0, 3) == [0, 1, 2]
    assert copied.dataset.asked[-1] == ((3, 6, 6), {"epoch": 0, "seed": 4})
    assert numbers(reader, 0, 2) == [3, 4]


@pytest.mark.parametrize(("known", "of"), [(True, 500), (False, 1000)])
def test_what_cannot_be_read_is_told_with_how_many_there_are(known, of):
    stream = Counting(500, {3, 5}, known=known)
    reader, told = StreamReader(stream, seed=0), []
    for _ in range(498):
        reader.next(0, lambda error, count: told.append((error.source, count)))
    assert sorted(source for source, _ in told) == ["row 3", "row 5"]
    assert [count for _, count in told] == [of, of]


def test_a_stream_of_unknown_length_is_as_long_as_all_its_readers_have_read():
    order, told = np.random.default_rng((0, 0)).permutation(4000), []
    # The last one of the second rank's is broken.
    reader = StreamReader(Counting(4000, {int(order[-1])}, known=False), seed=0)
    reader.divide(rank=1, world_size=2, batches=0)
    for _ in range(2000):
        reader.next(0, lambda _, count: told.append(count))
    assert told == [4000]


def test_a_reader_to_which_nothing_falls_says_what_to_do():
    stream = StreamReader(Counting(1), seed=0)
    stream.divide(rank=1, world_size=2, batches=0)
    with pytest.raises(RunError) as caught:
        stream.next(0, ignore)
    assert str(caught.value) == (
        "no sample of the stream falls to one of the 2 loader processes; "
        "lower data.loader.num_workers, or train on more samples"
    )


class Reading(torch.utils.data.Dataset):
    """Of each process of a loader: what its stream was asked for, and how long one of unknown length is to it."""

    def __init__(self, reader, unknown):
        self.reader, self.unknown = reader, unknown

    def __len__(self):
        return 3

    def __getitem__(self, _):
        self.reader.next(6, ignore)
        told = []
        for _ in range(490):
            self.unknown.next(6, lambda _, count: told.append(count))
        return self.reader.dataset.asked[-1], told


def test_each_process_of_a_loader_asks_for_its_own_share():
    """Eleven batches of the second rank for three processes, and a broken sample among 490."""
    asked = []
    for stream in (Slices(), Told()):
        reader = StreamReader(stream, seed=4)
        reader.divide(rank=1, world_size=2, batches=11)
        reading = Reading(reader, StreamReader(Counting(3000, range(0, 3000, 490), known=False), 0))
        found = list(torch.utils.data.DataLoader(reading, batch_size=None, num_workers=3, collate_fn=list))
        asked.append([one for one, _ in found])
        # What three processes have read, not one.
        assert max(count for _, told in found for count in told) > 1000
        assert reading[0][0] != asked[-1][0]
    assert asked[0] == [(part, {"epoch": 6, "seed": 4}) for part in ((11, 15, 22), (15, 19, 22), (19, 22, 22))]
    assert [(one["rank"], one["worker"], one["workers"]) for one in asked[1]] == [(1, number, 3) for number in range(3)]


def test_a_copy_asks_for_its_first_epoch_whichever_that_is():
    reader = StreamReader(Told(), seed=4)
    numbers(reader, 0, 1)
    copied = pickle.loads(pickle.dumps(reader))  # noqa: S301 - ours
    numbers(copied, 1, 1)
    assert copied.dataset.asked[-1]["epoch"] == 1
