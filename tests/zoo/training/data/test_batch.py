"""The tensors that samples become."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from zoo.training.data.batch import Collate, TrainingItem
from zoo.training.data.device_parts import BatchPlanner, Part, PlannedBatch
from zoo.training.distillation.teacher_features import TeacherFeatures

from .resident_samples import CPU, Planned


def picture(value):
    return np.full((2, 3, 3), value, np.uint8)


# Two views of one sample, and one of another.
VIEWS = [
    [TrainingItem(picture(1), 7, 2), TrainingItem(picture(2), 7, 2)],
    [TrainingItem(picture(3), 5, 0)],
]
PREPARED = [
    [TrainingItem((picture(number), np.array([number, 10 * number])), number, number)] for number in (4, 6, 8, 9, 1)
]


def test_views_are_stacked_those_of_a_sample_side_by_side():
    batch = Collate()(VIEWS)
    assert sorted(batch) == ["images", "labels"]
    assert batch["images"].shape == (3, 2, 3, 3)
    assert batch["images"].dtype == torch.uint8
    assert batch["images"][:, 0, 0, 0].tolist() == [1, 2, 3]
    assert batch["labels"].dtype == torch.int64
    assert batch["labels"].tolist() == [7, 7, 5]


def test_a_batch_has_the_teacher_s_features_of_each_view_by_the_sample_s_position(tmp_path):
    rows = np.arange(8, dtype=np.float16).reshape(4, 2)
    np.save(tmp_path / "rows.npy", rows)
    # As it is sent to a process of the loader.
    collate = pickle.loads(pickle.dumps(Collate(TeacherFeatures(tmp_path / "rows.npy"))))  # noqa: S301 - ours
    batch = collate(VIEWS)
    assert sorted(batch) == ["images", "labels", "teacher_features"]
    assert batch["teacher_features"].dtype == torch.float16
    assert batch["teacher_features"].tolist() == [[4, 5], [4, 5], [0, 1]]
    assert batch["images"][:, 0, 0, 0].tolist() == [1, 2, 3]
    assert batch["labels"].tolist() == [7, 7, 5]


def test_what_an_augmentation_prepared_is_stacked_array_by_array():
    batch = Collate()(PREPARED)
    images, numbers = batch["images"]
    assert type(batch["images"]) is tuple
    assert images.shape == (5, 2, 3, 3)
    assert images[:, 1, 2, 0].tolist() == [4, 6, 8, 9, 1]
    assert numbers.tolist() == [[4, 40], [6, 60], [8, 80], [9, 90], [1, 10]]
    assert batch["labels"].tolist() == [4, 6, 8, 9, 1]


def test_a_planner_plans_the_stacked_arrays():
    batch = Collate(planner=BatchPlanner(Planned(), CPU))(PREPARED)["images"]
    assert isinstance(batch, PlannedBatch)
    images, numbers = batch.arrays
    assert images[:, 0, 0, 0].tolist() == [4, 6, 8, 9, 1]
    assert numbers.tolist() == [[4, 40], [6, 60], [8, 80], [9, 90], [1, 10]]
    assert batch.numbers.tolist() == [4, 6, 8, 9, 1]
    assert batch.parts == (Part(4, 4, None, (270,)), Part(1, 1, None, (10,)))


def test_a_planner_leaves_plain_images_alone():
    images = Collate(planner=BatchPlanner(Planned(), CPU))(VIEWS)["images"]
    assert images[:, 0, 0, 0].tolist() == [1, 2, 3]


def test_arrays_of_different_numbers_are_an_error():
    one, other = PREPARED[0][0], PREPARED[1][0]
    with pytest.raises(ValueError, match="zip"):
        Collate()([[one], [other._replace(image=other.image[:1])]])
