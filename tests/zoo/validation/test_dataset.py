from __future__ import annotations

import numpy as np
from PIL import Image

from zoo.runs.unreadable import UnreadableSamples
from zoo.validation.dataset import ValidationItems, plain_sample
from zoo_core.api import Sample
from zoo_core.images import read_image, resize
from zoo_images.datasets.folders import FolderDataset

SIZE = (20, 28)


class Reduced:
    """A data set that does not show its files: every image is half of what it was."""

    def __init__(self, folder):
        self.inner = FolderDataset(str(folder), max_side=40)
        self.classes = self.inner.classes

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, index):
        return self.inner[index]


def photographs(folder):
    generator = np.random.default_rng(0)
    paths = []
    for number in range(3):
        (folder / f"class{number}").mkdir()
        paths.append(folder / f"class{number}" / "a.png")
        Image.fromarray(generator.integers(0, 256, (200, 310, 3), dtype=np.uint8)).save(paths[-1])
    return paths


def test_plain_items_are_the_files_as_predict_reads_them_and_captures_are_of_the_samples(tmp_path):
    paths = photographs(tmp_path)
    seen = []

    def augmentation(sample, _generator):
        seen.append(sample.image.shape)
        return np.zeros((*SIZE, 3), np.uint8)

    items = ValidationItems(FolderDataset(str(tmp_path), max_side=40), augmentation, 1, SIZE, seed=0)
    for index, path in enumerate(paths):
        item = items[index]
        assert np.array_equal(item.image, read_image(path, SIZE))
        assert (item.label, item.plain, item.position) == (index, True, index)
    assert seen == []
    assert [items[index].plain for index in range(3, 6)] == [False] * 3
    assert seen == [(26, 40, 3)] * 3


def test_a_data_set_that_does_not_show_its_files_has_its_samples_resized(tmp_path):
    path = photographs(tmp_path)[1]
    sample = plain_sample(Reduced(tmp_path), 1, SIZE)
    assert isinstance(sample, Sample)
    assert sample.label == 1
    assert np.array_equal(sample.image, resize(Reduced(tmp_path)[1].image, SIZE))
    assert not np.array_equal(sample.image, read_image(path, SIZE))


def test_a_plain_item_that_cannot_be_read_is_recorded(tmp_path):
    photographs(tmp_path)[2].write_bytes(b"")
    unreadable = UnreadableSamples(share=0.5)
    items = ValidationItems(FolderDataset(str(tmp_path)), None, 0, SIZE, seed=0, unreadable=unreadable)
    assert [items[index].label for index in range(3)] == [0, 1, -1]
