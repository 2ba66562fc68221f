from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo_core.api import Dataset, HasLookAlikes, HasSkipped
from zoo_core.errors import ComponentError, UnreadableSample, UsageError
from zoo_core.images import read_image
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


def test_what_is_not_in_the_dataset_is_reported(class_folders):
    for name in ("phone/1.psd", "phone/2.PSD", "phone/notes.txt"):
        (class_folders / name).parent.mkdir(exist_ok=True)
        (class_folders / name).touch()
    (class_folders / "loose.png").write_bytes((class_folders / "beta/1.png").read_bytes())
    (class_folders / "self").symlink_to(".")
    (class_folders / "twin").symlink_to("beta")
    dataset = FolderDataset(str(class_folders))
    assert isinstance(dataset, HasSkipped)
    assert list(dataset.classes) == ["alpha", "beta", "gamma"]
    assert len(dataset) == 6
    reasons = {(Path(one.source).name, one.kind): one.reason for one in dataset.skipped}
    assert reasons["empty", "class"] == "a class folder without an image"
    assert reasons["phone", "class"] == ("a class folder without an image (.psd is not read: 2, .txt is no image: 1)")
    assert reasons["loose.png", "file"] == "lies beside the class folders"
    assert [Path(one.source).name for one in dataset.skipped].count("self") == 1
    assert "whose images have a class already" in reasons["self", "class"]
    assert "whose images have a class already" in reasons["twin", "class"]
    assert reasons["notes.txt", "note"] == ".txt is no image"
    assert ("1.psd", "file") in reasons


def test_without_the_extra_heic_is_left_out_with_the_line_that_installs_it(class_folders, monkeypatch):
    (class_folders / "alpha" / "phone.heic").touch()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    dataset = FolderDataset(str(class_folders))
    assert len(dataset) == 6
    reasons = {Path(one.source).name: one.reason for one in dataset.skipped}
    assert reasons["phone.heic"] == ".heic is not read without: pip install 'plugzoo[heic]'"


def test_a_class_folder_may_be_a_link_to_elsewhere(class_folders, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (class_folders / "beta").rename(elsewhere / "beta")
    (class_folders / "beta").symlink_to(elsewhere / "beta")
    assert list(FolderDataset(str(class_folders)).classes) == ["alpha", "beta", "gamma"]


def test_a_split_reports_what_it_skips_itself(tmp_path):
    for number in range(40):
        (tmp_path / f"{number}").mkdir()
        if number < 30:
            Image.new("RGB", (4, 4)).save(tmp_path / f"{number}/1.png")
    splits = [FolderDataset(str(tmp_path), split=split) for split in ("train", "unseen")]
    skipped = [{one.source for one in dataset.skipped} for dataset in splits]
    assert len(skipped[0]) + len(skipped[1]) == len(skipped[0] | skipped[1]) == 10


@pytest.mark.parametrize("name", ["two\nlines", "para\u2029graph", os.fsdecode(b"caf\xe9")])
@pytest.mark.parametrize("split", ["all", "train"])
def test_names_of_any_bytes_are_classes(tmp_path, name, split):
    for folder in (name, *map(str, range(9))):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / folder / "1.png")
    assert set(FolderDataset(str(tmp_path), split=split, unseen_share=0.0).classes) == {name, *map(str, range(9))}


@pytest.mark.parametrize("suffix", sorted({".gif", ".jfif", ".webp", ".tga", ".jp2"}))
def test_data_sets_read_what_predict_reads(tmp_path, suffix):
    path = tmp_path / "one" / f"picture{suffix}"
    path.parent.mkdir()
    Image.new("RGB", (8, 8), "red").save(path, format=Image.registered_extensions().get(suffix, "JPEG"))
    sample = FolderDataset(str(tmp_path), cache="none")[0]
    np.testing.assert_allclose(sample.image.astype(int), read_image(path), atol=3)


def test_a_folder_says_which_classes_are_look_alikes(class_folders, tmp_path):
    assert isinstance(FolderDataset(str(class_folders)), HasLookAlikes)
    assert list(FolderDataset(str(class_folders)).look_alikes) == [0, 1, 2]
    (class_folders / "look_alikes.txt").write_text("gamma\nbeta\n\nalpha\n", encoding="utf-8")
    assert list(FolderDataset(str(class_folders)).look_alikes) == [0, 2, 2]
    other = tmp_path / "other.txt"
    other.write_text("alpha\nbeta\n", encoding="utf-8")
    assert list(FolderDataset(str(class_folders), look_alikes=str(other)).look_alikes) == [0, 0, 2]


def test_look_alikes_of_another_split_are_no_fault(tmp_path):
    names = [f"class {number}" for number in range(20)]
    for name in names:
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "0.png")
    (tmp_path / "look_alikes.txt").write_text("\n".join(names), encoding="utf-8")
    dataset = FolderDataset(str(tmp_path), split="unseen")
    assert 0 < len(dataset.classes) < 20
    assert len(set(dataset.look_alikes)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alpha\nbetta\n", r"look_alikes\.txt:2: there is no class 'betta'"),
        ("alpha\nbeta\n\nbeta\ngamma", r"look_alikes\.txt:4: 'beta' stands in line 2 already"),
        (b"\xff", "look_alikes.txt: cannot be read"),
    ],
)
def test_a_wrong_file_of_look_alikes_is_refused_with_its_line(class_folders, text, message):
    (class_folders / "look_alikes.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=message):
        FolderDataset(str(class_folders))
