"""Metrics of plugins stand beside zoo's own figures in the document of an evaluation."""

from __future__ import annotations

import json

import pytest

from zoo.evaluation.run import evaluate
from zoo.recipes.loading import load_run_recipe
from zoo_core.discovery import discover
from zoo_core.errors import ComponentError, RecipeError, RunError

SPEC = "ComponentSpec('metric', {0!r}, 'fake_metrics:{0}', 'a metric')"
MODULE = """
import numpy as np
class spread:
    def __init__(self, power: float = 2.0): self.power = power
    def __call__(self, embeddings, labels):
        assert embeddings.dtype == np.float32 and np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
        assert labels.dtype == np.int64 and len(labels) == len(embeddings)
        embeddings *= 0
        return {"spread": self.power, "images": len(labels)}
def lost(): return lambda embeddings, labels: {"x": float("nan")}
def failing(): return lambda embeddings, labels: 1 / 0
def no_metric(): return 3
"""


@pytest.fixture
def evaluated(add_distribution, manifest, trained_run):
    """Evaluate a run with the metrics of an override."""
    specs = [SPEC.format(name) for name in ("spread", "lost", "failing", "no_metric")]
    add_distribution("plugzoo-fake", fake=manifest(*specs), modules={"fake_metrics": MODULE})

    def with_metrics(listed):
        registry = discover()
        return evaluate(trained_run, load_run_recipe(trained_run, [f"metrics={listed}"], registry=registry), registry)

    return with_metrics


def test_its_figures_are_in_the_document_under_its_name(evaluated):
    plain, found = evaluated("[]"), evaluated("[{name: spread, options: {power: 3}}]")
    assert found.plugin_metrics == {"fake/spread": {"spread": 3.0, "images": found.counts["images"]}}
    assert json.loads(found.path.read_text())["plugin_metrics"] == found.plugin_metrics
    # It cannot spoil what others measure, and a protocol is the data's.
    assert (found.metrics, found.protocol) == (plain.metrics, plain.protocol)
    assert plain.plugin_metrics == {}


@pytest.mark.parametrize(
    ("listed", "error", "message"),
    [
        ("[{name: spread, options: {powr: 3}}]", RecipeError, "metrics.0.options.powr: unknown key; did you mean"),
        ("[{name: spred}]", RecipeError, "metrics.0.name: there is no metric 'spred'; did you mean 'spread'"),
        ("[spread]", RecipeError, "metrics.0"),
        ("[{name: lost}]", RunError, "metric fake/lost (plugzoo-fake 1.0): returned {'x': nan}"),
        ("[{name: failing}]", ComponentError, "fake/failing (plugzoo-fake 1.0): __call__ failed: ZeroDivisionError"),
        ("[{name: no_metric}]", ComponentError, "built a int without __call__"),
        ("[{name: spread}, {name: fake/spread}]", RunError, "fake/spread is named twice"),
    ],
)  # fmt: skip
def test_a_wrong_one_is_told_with_its_name(evaluated, listed, error, message):
    with pytest.raises(error) as raised:
        evaluated(listed)
    assert message in str(raised.value)
