from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from zoo_core.api import Dataset
from zoo_core.errors import ComponentError, UnreadableSample
from zoo_images.datasets.folders import FolderDataset, InstancesDataset
from zoo_images.datasets.split import belongs


@pytest.fixture
def root(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("beta", "alpha", "gamma"):
        for image in ("1.png", "deep/er/2.PNG", ".hidden.png"):
            path = tmp_path / name / image
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(path, format="png")
    (tmp_path / "alpha" / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_folder_classes_and_labels(root):
    dataset = FolderDataset(str(root))
    assert isinstance(dataset, Dataset)
    assert list(dataset.classes) == ["alpha", "beta", "gamma"]
    assert [dataset[index].label for index in range(len(dataset))] == [0, 0, 1, 1, 2, 2]
    expected = np.asarray(Image.open(root / "beta" / "deep/er/2.PNG"))
    np.testing.assert_array_equal(dataset[3].image, expected)
    np.testing.assert_array_equal(dataset[3].view, np.eye(3))
    with pytest.raises(IndexError):
        dataset[6]


def test_instances_without_views(root):
    dataset = InstancesDataset(str(root))
    assert isinstance(dataset, Dataset)
    assert list(dataset.classes) == [f"{c}/{i}" for c in ("alpha", "beta", "gamma") for i in ("1.png", "deep/er/2.PNG")]
    assert [dataset[index].label for index in range(len(dataset))] == list(range(6))


def test_views_are_classes_and_the_last_label_fits(root):
    dataset = InstancesDataset(str(root), views=True)
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


@pytest.mark.parametrize("dataset", [FolderDataset, InstancesDataset])
def test_splits_are_disjoint_and_complete(tmp_path, dataset):
    for number in range(60):
        path = tmp_path / f"class {number}" / f"{number}.png"
        path.parent.mkdir()
        Image.new("RGB", (4, 4)).save(path)
    parts = {split: set(dataset(str(tmp_path), split=split).classes) for split in ("all", "train", "unseen")}
    assert parts["train"] | parts["unseen"] == parts["all"]
    assert not parts["train"] & parts["unseen"]
    assert 5 <= len(parts["unseen"]) <= 25


def test_split_is_the_published_hash():
    digest = int(hashlib.sha256(b"caf\xc3\xa9.png").hexdigest()[:16], 16) / 2**64
    for share in (digest - 1e-6, digest + 1e-6):
        for name in ("caf\u00e9.png", "cafe\u0301.png"):  # composed and decomposed, as Linux and macOS write it
            assert belongs(name, "unseen", share) == (digest < share)


@given(st.text(), st.floats(0, 1))
def test_every_name_is_in_one_part(name, share):
    assert belongs(name, "all", share)
    assert belongs(name, "train", share) != belongs(name, "unseen", share)


@given(st.text())
def test_shares_of_nothing_and_all(name):
    assert belongs(name, "train", 0.0)
    assert belongs(name, "unseen", 1.0)


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
def test_an_empty_split_is_an_error(root, dataset):
    with pytest.raises(ComponentError, match="unseen_share"):
        dataset(str(root), split="unseen", unseen_share=0.0)


def test_a_corrupt_image_is_named_when_read(root):
    (root / "beta" / "1.png").write_bytes(b"\x89PNG broken")
    dataset = FolderDataset(str(root))
    with pytest.raises(UnreadableSample, match=r"beta.1\.png") as caught:
        dataset[2]
    assert caught.value.samples == 1
    with pytest.raises(UnreadableSample) as caught:
        InstancesDataset(str(root), views=True)[2 * 24]
    assert caught.value.samples == 24


def test_pickled_datasets_read_the_same(root):
    dataset = InstancesDataset(str(root), views=True)
    copy = pickle.loads(pickle.dumps(dataset))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(dataset[30].image, copy[30].image)
    assert copy.classes[30] == dataset.classes[30]


@pytest.fixture
def cards(tmp_path):
    """Two motifs, a re-encoding and a copy of the first, and the first with another emblem."""
    generator = np.random.default_rng(1)
    folder = tmp_path / "cards"
    folder.mkdir()
    first, other = (
        Image.fromarray(generator.integers(0, 256, (6, 9, 3), dtype=np.uint8)).resize(
            (300, 190), Image.Resampling.BICUBIC
        )
        for _ in range(2)
    )
    first.save(folder / "a.png")
    other.save(folder / "b.png")
    first.convert("RGB").save(folder / "c.jpg", quality=70)
    (folder / "d.png").write_bytes((folder / "a.png").read_bytes())
    emblem = first.copy()
    emblem.paste((255, 255, 255), (255, 150, 285, 175))
    emblem.save(folder / "e.png")
    first.resize((230, 146), Image.Resampling.LANCZOS).save(folder / "f.png")
    (folder / "g.png").write_bytes(b"")
    return folder


def test_duplicates_become_one_class_and_near_ones_stay_apart(cards):
    dataset = InstancesDataset(str(cards), merge_duplicates=True)
    assert list(dataset.classes) == ["a.png", "b.png", "e.png", "g.png"]
    assert len(dataset) == 7
    assert dataset._labels == [0, 1, 0, 0, 2, 0, 3]
    assert len(InstancesDataset(str(cards)).classes) == 7


def test_views_of_duplicates_are_the_same_classes(cards):
    dataset = InstancesDataset(str(cards), views=True, merge_duplicates=True)
    assert len(dataset.classes) == 4 * 24
    assert len(dataset) == 7 * 24
    assert dataset[2 * 24 + 5].label == 5
    assert dataset[4 * 24 + 5].label == 2 * 24 + 5


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_duplicates_never_lie_in_both_parts(cards, share):
    classes = []
    for split in ("train", "unseen"):
        try:
            dataset = InstancesDataset(str(cards), split=split, unseen_share=share, merge_duplicates=True)
        except ComponentError:
            continue
        classes += dataset.classes
        assert len(dataset) == sum({"a.png": 4}.get(name, 1) for name in dataset.classes)
    assert sorted(classes) == ["a.png", "b.png", "e.png", "g.png"]
