from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from zoo_core.api import Dataset, UnreadableSample, read_image
from zoo_images.datasets.instances import InstancesDataset


def test_instances_without_views(class_folders):
    dataset = InstancesDataset(str(class_folders))
    assert isinstance(dataset, Dataset)
    assert list(dataset.classes) == [f"{c}/{i}" for c in ("alpha", "beta", "gamma") for i in ("1.png", "deep/er/2.PNG")]
    assert [dataset[index].label for index in range(len(dataset))] == list(range(6))


def test_views_are_classes_and_the_last_label_fits(class_folders):
    dataset = InstancesDataset(str(class_folders), views=True)
    assert len(dataset) == len(dataset.classes) == 6 * 24
    labels = [dataset[index].label for index in range(len(dataset))]
    assert labels == list(range(len(dataset.classes)))
    assert max(labels) == len(dataset.classes) - 1
    assert len(set(dataset.classes)) == 6 * 24
    assert dataset.classes[0] == "alpha/1.png@r0"
    assert dataset.classes[6 + 3 + 1] == "alpha/1.png@r90-flip-upper"
    assert dataset.classes[-1] == "gamma/deep/er/2.PNG@r270-flip-lower"
    assert dataset.classes[1:3] == ["alpha/1.png@r0-upper", "alpha/1.png@r0-lower"]
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_pickled_datasets_read_the_same(class_folders):
    dataset = InstancesDataset(str(class_folders), views=True)
    copy = pickle.loads(pickle.dumps(dataset))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(dataset[30].image, copy[30].image)
    assert copy.classes[30] == dataset.classes[30]


def test_plain_samples_of_views_are_turned_and_cut_from_the_file_as_it_is_read(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    dataset = InstancesDataset(str(tmp_path), views=True, max_side=16, cache="none")
    size = (24, 32)
    for index, name in enumerate(dataset.classes):
        steps = name.partition("@")[2].split("-")
        view = np.rot90(picture, int(steps[0][1:]) // 90)
        view = np.flipud(view) if "flip" in steps else view
        half = len(view) // 2
        view = view[:half] if "upper" in steps else view[half:] if "lower" in steps else view
        expected = Image.fromarray(np.ascontiguousarray(view)).resize(size[::-1], Image.Resampling.BILINEAR)
        sample = dataset.plain_sample(index, size)
        assert (sample.label, sample.view.tolist()) == (index, np.eye(3).tolist())
        difference = np.abs(np.asarray(expected).astype(int) - sample.image)
        # The filter looks across the edge of a half; elsewhere rounding may come in another order.
        edge = {"upper": -1, "lower": 0}.get(steps[-1])
        inner = difference if edge is None else np.delete(difference, edge, axis=0)
        assert inner.max() <= 1, name
    assert np.array_equal(dataset.plain_sample(0, size).image, read_image(tmp_path / "a.png", size))


def test_a_file_that_is_gone_is_unreadable_in_all_its_views(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    dataset = InstancesDataset(str(tmp_path), views=True)
    (tmp_path / "a.png").unlink()
    for read in (dataset.__getitem__, lambda index: dataset.plain_sample(index, (8, 8))):
        with pytest.raises(UnreadableSample, match=r"(?i)a\.png.*\(no such file") as caught:
            read(3)
        assert caught.value.samples == 24
