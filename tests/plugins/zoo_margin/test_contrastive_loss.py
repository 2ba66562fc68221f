from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_margin import CosFace, MarginSoftmaxLoss, supervised_contrast


def unit(count, dim=6, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, dim))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def paper_contrast(directions, labels, s):
    """Equation 2 of the paper, image by image."""
    losses = []
    for index, (own, label) in enumerate(zip(directions, labels, strict=True)):
        others = [other for other in range(len(labels)) if other != index]
        positives = [other for other in others if labels[other] == label]
        if positives:
            total = sum(np.exp(s * own @ directions[other]) for other in others)
            losses.append(-np.mean([np.log(np.exp(s * own @ directions[other]) / total) for other in positives]))
    return np.mean(losses) if losses else 0.0


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.sampled_from([1.0, 10.0, 30.0]))
def test_it_is_the_formula_of_the_paper(labels, s):
    directions = unit(len(labels))

    found = supervised_contrast(torch.tensor(directions), torch.tensor(labels), s)

    assert found.item() == pytest.approx(paper_contrast(directions, labels, s), abs=1e-9)


def test_its_gradient_agrees_with_finite_differences():
    directions = torch.tensor(unit(6), requires_grad=True)
    labels = torch.tensor([0, 0, 1, 2, 2, 2])

    assert torch.autograd.gradcheck(lambda rows: supervised_contrast(rows, labels, 10.0), directions)


def test_without_two_images_of_a_class_the_loss_is_zero():
    directions = torch.tensor(unit(5), requires_grad=True)

    loss = supervised_contrast(directions, torch.arange(5), 10.0)
    loss.backward()

    assert loss.item() == 0
    assert directions.grad.abs().max() == 0


def test_a_margin_loss_adds_it_with_its_weight():
    embeddings, labels = torch.tensor(3 * unit(6)).float(), torch.tensor([0, 0, 1, 1, 3, 4])
    losses = []
    for contrast in (0.0, 1.0, 2.5):
        loss = MarginSoftmaxLoss(CosFace(0.4), embedding_dim=6, num_classes=5, contrast=contrast, contrast_s=20.0)
        losses.append(loss(embeddings, labels).item())

    expected = paper_contrast(unit(6), labels.tolist(), 20.0)
    assert losses[1] - losses[0] == pytest.approx(expected, rel=1e-4)
    assert losses[2] - losses[0] == pytest.approx(2.5 * expected, rel=1e-4)


@pytest.mark.parametrize(("option", "value"), [("contrast", -1.0), ("contrast_s", 0.0)])
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        MarginSoftmaxLoss(CosFace(0.4), embedding_dim=6, num_classes=5, **{option: value})
