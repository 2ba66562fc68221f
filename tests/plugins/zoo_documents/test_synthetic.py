from __future__ import annotations

import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from zoo_core.api import Dataset, HasLookAlikes
from zoo_documents.synthetic import SyntheticDocuments


def test_fits_the_protocol_and_labels_fit_the_classes():
    dataset = SyntheticDocuments(templates=7, samples_per_template=3)
    assert isinstance(dataset, Dataset)
    assert len(dataset) == 21
    labels = [dataset[index].label for index in range(len(dataset))]
    assert labels == [number // 3 for number in range(21)]
    assert max(labels) == len(dataset.classes) - 1
    assert list(dataset.classes) == [f"train-{number:06d}" for number in range(7)]
    assert dataset.classes[-1] == "train-000006"
    assert dataset.classes[1:3] == ["train-000001", "train-000002"]
    for index in (21, -22):
        with pytest.raises(IndexError):
            dataset[index]
    assert dataset[-1].label == 6


def test_images_are_small_rgb_and_differ_from_sample_to_sample(small):
    dataset = SyntheticDocuments(templates=40, samples_per_template=3)
    for template in range(40):
        images = [dataset[3 * template + sample].image for sample in range(3)]
        for image in images:
            assert image.dtype == np.uint8
            assert image.shape[2] == 3
            assert max(image.shape) == 160
            assert image.shape == images[0].shape
        assert len({image.tobytes() for image in images}) == 3
        # Samples of a template share much more than they differ in.
        assert np.abs(small(images[0]) - small(images[1])).mean() < 30


def test_same_in_every_process_and_order():
    script = """
import hashlib, sys
from zoo_documents.synthetic import SyntheticDocuments
dataset = SyntheticDocuments(templates=30, samples_per_template=2, seed=5)
order = range(60) if sys.argv[1] == "forward" else reversed(range(60))
images = {index: dataset[index].image.tobytes() for index in order}
print(hashlib.sha256(b"".join(images[index] for index in range(60))).hexdigest())
"""
    hashes = set()
    for order in ("forward", "backward"):
        result = subprocess.run([sys.executable, "-c", script, order], capture_output=True, check=True)
        hashes.add(result.stdout)
    assert len(hashes) == 1


def test_pickling_leaves_out_the_cache():
    dataset = SyntheticDocuments(templates=40, samples_per_template=2)
    before = len(pickle.dumps(dataset))
    images = [dataset[index].image for index in range(len(dataset))]
    sent = pickle.dumps(dataset)
    assert len(sent) == before
    received = pickle.loads(sent)  # noqa: S301 - made just above
    for index, image in enumerate(images):
        np.testing.assert_array_equal(received[index].image, image)


def test_templates_dropped_from_the_cache_come_back_the_same():
    few, all_cached = (SyntheticDocuments(templates=40, samples_per_template=1, cache_mb=mb) for mb in (1, 64))
    for index in (*range(40), *range(40)):
        np.testing.assert_array_equal(few[index].image, all_cached[index].image)
    assert len(few._cache) < 40
    assert sum(template.layer.nbytes for template in few._cache.values()) <= 2**20


def test_splits_and_seeds_share_no_document(small):
    def pictures(**options):
        dataset = SyntheticDocuments(templates=40, samples_per_template=1, **options)
        return [small(dataset[index].image) for index in range(40)]

    train, unseen, other = pictures(), pictures(split="unseen"), pictures(seed=1)
    for others in (unseen, other):
        nearest = min(np.abs(a - b).mean() for a in train for b in others)
        assert nearest > 4


def test_a_million_templates_cost_nothing_until_they_are_read():
    tracemalloc.start()
    dataset = SyntheticDocuments(templates=1_000_000, samples_per_template=100)
    assert len(dataset) == 100_000_000
    assert dataset.classes[999_999] == "train-999999"
    assert dataset[len(dataset) - 1].label == 999_999
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_hard_negatives_are_look_alikes_of_the_template_they_vary():
    dataset = SyntheticDocuments(templates=9)
    assert isinstance(dataset, HasLookAlikes)
    assert list(dataset.look_alikes) == [0, 1, 2, 0, 4, 5, 6, 4, 8]
