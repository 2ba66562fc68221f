from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

from zoo.metrics import retrieval
from zoo.metrics.retrieval import retrieve
from zoo_core.errors import RunError


@pytest.mark.parametrize("block", [2**23, 700])
def test_figures_are_those_of_pytorch_metric_learning(block, monkeypatch):
    monkeypatch.setattr(retrieval, "_BLOCK_SCORES", block)
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 40, 300)
    labels[:3] = [100, 101, 102]  # of one image each, which are no queries but are among the neighbours
    embeddings = generator.normal(size=(103, 12))[labels] + generator.normal(size=(300, 12))
    calculator = AccuracyCalculator(
        include=("mean_average_precision_at_r", "r_precision"),
        k="max_bin_count",
        knn_func=CustomKNN(CosineSimilarity()),
    )
    expected = calculator.get_accuracy(torch.tensor(embeddings), torch.tensor(labels))
    found = retrieve(embeddings, labels.tolist())
    assert 0.1 < found.map_at_r < found.r_precision < 0.9
    assert found.map_at_r == pytest.approx(expected["mean_average_precision_at_r"], abs=1e-6)
    assert found.r_precision == pytest.approx(expected["r_precision"], abs=1e-6)
    sizes = np.bincount(labels)
    assert found.queries == sizes[sizes > 1].sum() < 300


def test_classes_of_one_image_each_are_refused():
    with pytest.raises(RunError, match="retrieval needs classes of two images or more"):
        retrieve(np.eye(3), [0, 1, 2])
