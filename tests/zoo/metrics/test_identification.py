from __future__ import annotations

import numpy as np
import pytest

from zoo.metrics import identification
from zoo.metrics.identification import rank1
from zoo_core.errors import RunError


def clusters(classes, each, noise, *, dimension=16, seed=0):
    generator = np.random.default_rng(seed)
    centres = np.repeat(generator.normal(size=(classes, dimension)), each, axis=0)
    embeddings = centres + noise * generator.normal(size=centres.shape)
    return embeddings.astype(np.float32), np.repeat(np.arange(classes), each)


def test_rank1_asks_for_the_own_class_alone_on_top():
    embeddings = np.array([[1, 0], [0, 1], [0.9, 0.1], [0.6, 0.4], [0.1, 0.9], [0.5, 0.5]], np.float32)
    labels = np.array([0, 1, 0, 1, 1, 0])
    references = np.array([True, True, False, False, False, False])
    # The second query is closer to the other class; the last lies between the two, which is not right.
    assert rank1(embeddings, labels, references) == 0.5
    assert rank1(np.ones((6, 2), np.float32), labels, references) == 0


def test_rank1_is_that_of_brute_force():
    embeddings, labels = clusters(50, 6, 1.0)
    references = np.arange(len(labels)) % 6 == 0
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    nearest = labels[references][(unit[~references] @ unit[references].T).argmax(axis=1)]
    expected = (nearest == labels[~references]).mean()
    assert 0.2 < expected < 0.9
    assert rank1(embeddings, labels, references) == pytest.approx(expected)


def test_blocks_change_nothing_of_rank1(monkeypatch):
    embeddings, labels = clusters(40, 7, 1.0)
    references = np.arange(len(labels)) % 7 == 0
    whole = rank1(embeddings, labels.tolist(), references)
    monkeypatch.setattr(identification, "_BLOCK_SCORES", 1000)
    assert rank1(embeddings, labels, references) == whole
    assert 0 < whole < 1


@pytest.mark.parametrize(
    ("references", "message"),
    [
        (
            [True, True, True],
            (
                "rank-1 needs queries, but all of the 3 images are references; "
                "add captures of each image with data.valid_captures=8"
            ),
        ),
        ([True, False, False], "rank-1 needs a reference of each class, but 1 have none (the first: class 1)"),
    ],
)
def test_what_cannot_be_identified_is_said(references, message):
    with pytest.raises(RunError) as caught:
        rank1(np.eye(3, dtype=np.float32), np.array([0, 0, 1]), np.array(references))
    assert str(caught.value) == message


def test_references_may_be_a_list_of_booleans_and_nothing_else():
    embeddings, labels = np.eye(4, dtype=np.float32)[[0, 0, 1, 1]], [0, 0, 1, 1]
    assert rank1(embeddings, labels, [True, False, True, False]) == 1
    # Taken for indices, numbers would choose other images.
    with pytest.raises(RunError, match="is_reference must be booleans, not int64"):
        rank1(embeddings, labels, [1, 0, 1, 0])
    with pytest.raises(RunError, match=r"there are 4 embeddings, but is_reference of shape \[2\]"):
        rank1(embeddings, labels, [True, False])
