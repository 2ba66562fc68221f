from __future__ import annotations

import pickle

import numpy as np
import pytest

from zoo_core.api import Dataset
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
