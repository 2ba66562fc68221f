from __future__ import annotations

import numpy as np

from zoo.metrics.summary import summary


def test_the_summary_names_every_figure():
    generator = np.random.default_rng(0)
    embeddings, labels = generator.normal(size=(40, 16)).astype(np.float32), np.repeat(np.arange(10), 4)
    references = np.arange(len(labels)) % 4 == 0
    values = summary(embeddings, labels, references)
    rates = [f"tpr_at_fpr_1e-{place}" for place in (5, 4, 3, 2, 1)]
    assert list(values) == [*rates, "auc", "rank1"]
    assert all(type(value) is float for value in values.values())
