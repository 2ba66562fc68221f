from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.runs.unreadable import UnreadableSamples, read_list
from zoo.training.data.items import TrainingItems
from zoo.training.data.mixed_dataset import MixedDataset
from zoo_core.api import RunError, Sample, UnreadableSample


@pytest.fixture
def cards(tmp_path):
    """A hundred cards in each of two folders, the last two of `train` and the last of `valid` broken."""
    generator = np.random.default_rng(0)
    for part in ("train", "valid"):
        (tmp_path / part).mkdir()
        for number in range(100 if part == "train" else 50):
            motif = Image.fromarray(generator.integers(0, 256, (4, 6, 3), dtype=np.uint8))
            motif.resize((48, 32), Image.Resampling.NEAREST).save(tmp_path / part / f"{number:02}.png")
    (tmp_path / "train" / "98.png").write_bytes(b"")
    (tmp_path / "train" / "99.png").write_bytes(b"no image")
    (tmp_path / "valid" / "49.png").write_bytes(b"")
    return [
        *("data.train.name=images/instances", f"data.train.options={{root: {tmp_path / 'train'}}}"),
        *("data.valid.name=images/instances", f"data.valid.options={{root: {tmp_path / 'valid'}}}"),
        *("data.samples_per_epoch=256", "trainer.max_epochs=1"),
    ]


class Numbers:
    """Sixty samples, of which each third is broken."""

    classes = tuple(map(str, range(60)))

    def __len__(self):
        return 60

    def __getitem__(self, index):
        if index % 3 == 0:
            raise UnreadableSample(str(index), "broken")
        return Sample(np.full((1, 1, 3), index, np.uint8), index)


def items(seed=0):
    made = TrainingItems(MixedDataset([Numbers(), Numbers()], seed), lambda sample, _: sample.image, seed)
    made.unreadable.share = 1.0
    return made


def test_another_sample_of_the_same_data_set_comes_instead():
    made = items()
    shown = {index: made[0, index][0] for index in range(120)}
    for index, (image, label, _) in shown.items():
        assert label // 60 == index // 60
        assert label % 60 == image[0, 0, 0]
        assert label % 3 != 0
        assert index % 3 == 0 or label == index
    assert len({shown[index][1] for index in range(0, 60, 3)}) > 8


def test_the_replacement_depends_on_seed_pass_and_index_alone():
    def replaced(seed, passed):
        made = items(seed)
        return [made[passed, index][0][1] for index in range(0, 120, 3)]

    assert replaced(0, 0) == replaced(0, 0) == replaced(0, 0)[:]
    assert replaced(0, 0) != replaced(0, 1)
    assert replaced(0, 0) != replaced(1, 0)


@pytest.fixture
def shards(tmp_path, write_tar):
    """Four shards of 24 cards, of which one is broken, as half of what is shown."""
    for shard in range(4):
        members = {}
        for number in range(24):
            content = (tmp_path / "train" / f"{number:02}.png").read_bytes()
            members[f"{number:02}.png"] = content if (shard, number) != (1, 7) else b""
            members[f"{number:02}.cls"] = str(number % 5).encode()
        write_tar(tmp_path / f"cards-{shard}.tar", members)
    (tmp_path / "classes.txt").write_text("a\nb\nc\nd\ne\n")
    options = f"{{shards: '{tmp_path}/cards-*.tar', classes: {tmp_path}/classes.txt}}"
    return [f"data.train_also=[{{name: images/webdataset, options: {options}, share: 0.5}}]"]


@pytest.mark.slow
def test_two_ranks_with_two_processes_each_skip_count_and_list_together(zoo, tiny_recipe, cards, shards, tmp_path):
    result = zoo(
        *("train", "--cfg", tiny_recipe, "--output", tmp_path / "run", "--json", *cards, *shards),
        *("trainer.devices=2", "trainer.strategy=ddp", "data.loader.num_workers=2", "data.unreadable_share=0.02"),
        check=0,
    )

    assert "105 classes, streamed, 256 an epoch" in result.stderr
    rows = read_list(tmp_path / "run" / "skipped.csv")
    assert [(row["part"], row["path"].rpartition("/")[2], row["reason"]) for row in rows] == [
        ("train", "98.png", "empty file"),
        ("train", "99.png", "not an image of a known format"),
        ("train_also[0]", "07", "empty file"),
        ("valid", "49.png", "empty file"),
    ]
    lines = [line for line in result.stderr.splitlines() if "unreadable and skipped" in line]
    assert len(lines) == 1
    assert "2 of data.train, 1 of data.train_also[0], 1 of data.valid" in lines[0]
    counts = json.loads(result.stdout)["evaluation"]["counts"]
    assert counts["images"] == 49 * 2
    assert counts["classes"] == 49
    steps = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert steps == 256 // 2 // 16


def test_too_many_are_an_error_and_repaired_ones_are_forgotten(train, cards, tmp_path):
    with pytest.raises(RunError) as caught:
        train("run", *cards, "data.loader.num_workers=1")

    text = str(caught.value)
    assert "data.valid: 1 of 50 samples cannot be read" in text
    assert "49.png (empty file)" in text
    assert "data.unreadable_share 0.01" in text
    assert "run/skipped.csv" in text
    assert "\n" not in text

    Image.new("RGB", (48, 32)).save(tmp_path / "valid" / "49.png")
    with pytest.raises(RunError, match=r"data\.train: 2 of 100 samples cannot be read"):
        train("two", *cards)

    for number in (98, 99):
        Image.new("RGB", (48, 32)).save(tmp_path / "train" / f"{number}.png")
    folder, _ = train("three", *cards)
    assert not folder.unreadable.exists()


class Shades:
    """So many samples, shade and label = number; the broken ones cannot be read."""

    def __init__(self, name, length, broken=()):
        self.classes = tuple(f"{name}{number}" for number in range(length))
        self.broken = broken

    def __len__(self):
        return len(self.classes)

    def __getitem__(self, index):
        if index in self.broken:
            raise UnreadableSample(f"{self.classes[index]}.png", "broken")
        return Sample(np.full((1, 1, 3), index, np.uint8), index)


class Stream:
    """Streams its two samples: the second one, and what cannot be read."""

    classes = ("s0", "s1")
    length = 2

    def stream(self, *, rank, world_size, worker, workers, epoch, seed):
        assert (rank, world_size, worker, workers) == (0, 1, 0, 1)
        yield 0, UnreadableSample("s0.png", "broken")
        yield 1, Sample(np.full((1, 1, 3), 10 * epoch + seed), 1)


def test_samples_and_classes_of_all_data_sets_come_one_after_the_other():
    mixed = MixedDataset([Shades("a", 2), Shades("b", 3), Shades("c", 1)])
    assert len(mixed) == 6
    assert mixed.seed == 0
    assert list(mixed.classes) == ["a0", "a1", "b0", "b1", "b2", "c0"]
    assert [(mixed[index].image[0, 0, 0], mixed[index].label) for index in range(6)] == [
        *((0, 0), (1, 1)),
        *((0, 2), (1, 3), (2, 4)),
        (0, 5),
    ]


def test_a_stream_shows_its_next_sample_by_any_number():
    mixed = MixedDataset([Shades("a", 3), Stream()], seed=2)
    with pytest.raises(TypeError) as caught:
        mixed[3]
    assert str(caught.value) == "a stream has no samples by number"
    skipped = UnreadableSamples(share=1)
    # At its end it begins another round.
    for asked, epoch in ((3, 5), (4, 5 + 2**20)):
        number, sample = mixed.read(5, asked, skipped)
        assert (number, sample.label, sample.image[0, 0, 0]) == (4, 4, 10 * epoch + 2)
    assert [row["path"] for row in skipped._rows.values()] == ["s0.png"]
    with pytest.raises(RunError) as refused:
        MixedDataset([Shades("a", 3), Stream()]).read(0, 3, UnreadableSamples())
    assert str(refused.value) == (
        "data.train_also[0]: 1 of 2 samples cannot be read: s0.png (broken); more than data.unreadable_share 0.01"
    )


def test_a_readable_sample_is_itself():
    mixed = MixedDataset([Shades("a", 3, {0}), Shades("b", 4)])
    assert [mixed.read(0, index, UnreadableSamples())[0] for index in (1, 2, 3, 6)] == [1, 2, 3, 6]
    assert mixed.read_with(lambda index: -index, 0, 6, UnreadableSamples()) == (6, -6)


# A training that is resumed shows what it would have shown: no version may change it.
def test_the_replacements_of_a_seed_stay():
    mixed = MixedDataset([Shades("a", 30, {4, 5}), Shades("b", 40, range(20))], seed=6)
    skipped = UnreadableSamples(share=1)
    assert [mixed.read(3, index, skipped)[0] for index in (4, 5, 30, 31, 40)] == [7, 21, 63, 51, 55]


def test_a_data_set_of_which_nothing_can_be_read_is_an_error():
    mixed = MixedDataset([Shades("a", 2), Shades("b", 2, {0, 1})])
    tried = []

    def read(index):
        tried.append(index)
        return mixed[index]

    with pytest.raises(RunError) as caught:
        mixed.read_with(read, 0, 2, UnreadableSamples(share=1))
    assert str(caught.value) == (
        "data.train_also[0]: 100 samples one after the other cannot be read; lower data.unreadable_share to see which"
    )
    assert len(tried) == 100
    assert {*tried} == {2, 3}


def test_what_cannot_be_read_is_counted_by_its_data_set():
    mixed = MixedDataset([Shades("a", 2), Shades("b", 3), Shades("c", 4)])
    for index, part, length in ((1, "train", 2), (2, "train_also[0]", 3), (8, "train_also[1]", 4)):
        with pytest.raises(RunError) as caught:
            mixed.record(index, UnreadableSample("x.png", "broken"), UnreadableSamples())
        assert str(caught.value) == (
            f"data.{part}: 1 of {length} samples cannot be read: x.png (broken); more than data.unreadable_share 0.01"
        )
