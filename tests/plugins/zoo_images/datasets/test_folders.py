from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from zoo_core.api import Dataset
from zoo_core.errors import ComponentError, UnreadableSample
from zoo_images.datasets.folders import FolderDataset
from zoo_images.datasets.instances import InstancesDataset


def test_folder_classes_and_labels(class_folders):
    dataset = FolderDataset(str(class_folders))
    assert isinstance(dataset, Dataset)
    assert list(dataset.classes) == ["alpha", "beta", "gamma"]
    assert [dataset[index].label for index in range(len(dataset))] == [0, 0, 1, 1, 2, 2]
    expected = np.asarray(Image.open(class_folders / "beta" / "deep/er/2.PNG"))
    np.testing.assert_array_equal(dataset[3].image, expected)
    np.testing.assert_array_equal(dataset[3].view, np.eye(3))
    with pytest.raises(IndexError):
        dataset[6]


@pytest.mark.parametrize("dataset", [FolderDataset, InstancesDataset])
def test_splits_are_disjoint_and_complete(tmp_path, dataset):
    for number in range(60):
        path = tmp_path / f"class {number}" / f"{number}.png"
        path.parent.mkdir()
        Image.new("RGB", (4, 4)).save(path)
    splits = {split: set(dataset(str(tmp_path), split=split).classes) for split in ("all", "train", "unseen")}
    assert splits["train"] | splits["unseen"] == splits["all"]
    assert not splits["train"] & splits["unseen"]
    assert 5 <= len(splits["unseen"]) <= 25


@pytest.mark.parametrize("dataset", [FolderDataset, InstancesDataset])
def test_missing_and_empty_roots(tmp_path, dataset):
    (tmp_path / "file").write_text("")
    (tmp_path / "void").mkdir()
    for root, words in (("nowhere", "does not exist"), ("file", "not a folder"), ("void", "no")):
        with pytest.raises(ComponentError, match=words) as caught:
            dataset(str(tmp_path / root))
        assert str(tmp_path / root) in str(caught.value)
        assert caught.value.problems[0].hint


@pytest.mark.parametrize("dataset", [FolderDataset, InstancesDataset])
def test_an_empty_split_is_an_error(class_folders, dataset):
    with pytest.raises(ComponentError, match="unseen_share"):
        dataset(str(class_folders), split="unseen", unseen_share=0.0)


def test_a_corrupt_image_is_named_when_read(class_folders):
    (class_folders / "beta" / "1.png").write_bytes(b"\x89PNG broken")
    dataset = FolderDataset(str(class_folders))
    with pytest.raises(UnreadableSample, match=r"beta.1\.png") as caught:
        dataset[2]
    assert caught.value.samples == 1
    with pytest.raises(UnreadableSample) as caught:
        InstancesDataset(str(class_folders), views=True)[2 * 24]
    assert caught.value.samples == 24
