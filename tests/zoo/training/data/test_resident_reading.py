"""Samples that stay on the device: how they are read, and how often each is kept."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.runs.unreadable import read_list
from zoo.training.data.mixed_dataset import MixedDataset
from zoo.training.data.resident_reading import _in_order, estimate_bytes, read_resident
from zoo_core.api import RunError, Sample

from .resident_samples import CPU, Numbers, Plain, assert_same_steps, items_of, load


@pytest.mark.parametrize("expected", [0, 100, 10**6])
def test_a_wrong_estimate_changes_nothing(expected):
    items = items_of(Numbers(broken=0))
    _, images = read_resident(items, Plain(), expected=expected, limit=None, device=CPU, workers=0, show=False)

    assert images.bytes == 3 * sum((1 + index % 5) * (1 + index % 7) for index in range(60))
    gathered = images.gather(torch.arange(60))
    assert gathered[:, 0, 0, 0].tolist() == list(range(60))


class Views(Numbers):
    """Samples of which each three show the same image."""

    def __init__(self, length=60):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return Sample(np.full((4, 5, 3), index // 3 % 256, np.uint8), index % 60)


def test_an_image_that_several_samples_show_is_kept_once():
    items = items_of(Views(), Views())
    executor, _ = load(items)

    assert executor.images.bytes == 20 * 4 * 5 * 3
    assert executor.images.gather(torch.arange(120))[:, 0, 0, 0].tolist() == 2 * [index // 3 for index in range(60)]


def test_memory_is_estimated_from_runs_of_samples():
    exact = 4 * 5 * 3 / 3 * 9000
    assert exact <= estimate_bytes(items_of(Views(9000)), Plain(), workers=0) < 1.1 * exact


class Recorded(Views):
    """Says which samples are read one after the other by which process."""

    def __init__(self, length, folder):
        super().__init__(length)
        self.folder = folder

    def __getitem__(self, index):
        with (self.folder / str(os.getpid())).open("a", encoding="ascii") as file:
            file.write(f"{index}\n")
        return super().__getitem__(index)


def test_few_samples_are_estimated_exactly_and_shared_by_the_processes(tmp_path):
    assert estimate_bytes(items_of(Recorded(2000, tmp_path)), Plain(), workers=2) == 256 * 4 * 5 * 3

    read = [list(map(int, file.read_text("ascii").split())) for file in tmp_path.iterdir()]
    assert len(read) == 2
    assert sorted(index for each in read for index in each) == list(range(2000))


def test_chunks_are_whole_blocks_and_hold_each_sample_once():
    class Blocks(Numbers):
        blocks = (20, 1)

    chunks = [*_in_order(MixedDataset([Blocks(), Numbers()]))]
    assert [index for chunk in chunks for index in chunk] == list(range(120))
    assert all(chunk.start % 20 == 0 for chunk in chunks if chunk.start < 60)


def test_unreadable_samples_are_counted_and_replaced_as_by_the_loader(train, seen, tmp_path):
    (tmp_path / "cards").mkdir()
    generator = np.random.default_rng(0)
    for number in range(60):
        pixels = generator.integers(0, 256, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "cards" / f"{number:02}.png")
    (tmp_path / "cards" / "58.png").write_bytes(b"")
    (tmp_path / "cards" / "59.png").write_bytes(b"no image")
    cards = (
        *("data.train.name=images/instances", f"data.train.options={{root: {tmp_path / 'cards'}}}"),
        *("data.unreadable_share=0.05", "data.captures=1", "data.samples_per_epoch=1440", "trainer.max_epochs=1"),
        *("data.augment_on=device", "data.loader.batch_size=256"),
    )
    sent, _ = train("sent", *cards, "data.resident=false")
    from_loader = seen()
    kept, _ = train("kept", *cards, "data.resident=true")

    assert_same_steps(from_loader, seen())
    rows = [[row for row in read_list(folder.unreadable) if row["part"] == "train"] for folder in (sent, kept)]
    assert len(rows[0]) == 2
    assert sorted(map(str, rows[0])) == sorted(map(str, rows[1]))

    with pytest.raises(RunError, match=r"data\.train: .* of .* samples cannot be read"):
        train("refused", *cards, "data.resident=true", "data.unreadable_share=0.01")


def test_pixels_beyond_the_limit_are_an_error_before_they_are_stored():
    items = items_of(Numbers(broken=0))
    with pytest.raises(RunError, match="more than the"):
        read_resident(items, Plain(), expected=0, limit=500, device=CPU, workers=0, show=False)
