from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from zoo_core.errors import ComponentError
from zoo_images.datasets.instances import InstancesDataset


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
def test_duplicates_are_never_in_both_splits(cards, share):
    classes = []
    for split in ("train", "unseen"):
        try:
            dataset = InstancesDataset(str(cards), split=split, unseen_share=share, merge_duplicates=True)
        except ComponentError:
            continue
        classes += dataset.classes
        assert len(dataset) == sum({"a.png": 4}.get(name, 1) for name in dataset.classes)
    assert sorted(classes) == ["a.png", "b.png", "e.png", "g.png"]
