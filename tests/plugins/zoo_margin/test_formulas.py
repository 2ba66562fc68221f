from __future__ import annotations

import copy
import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses as theirs
from torch.nn import functional

from zoo_margin import SparseMarginSoftmaxLoss


def quality(margin, norms):
    """Return AdaFace's z, by the running statistics after this batch."""
    mean = 0.99 * margin.mean + 0.01 * norms.mean()
    # One length has no deviation.
    deviation = 0.99 * margin.deviation + 0.01 * norms.std() if len(norms) > 1 else margin.deviation
    return ((norms - mean) / (deviation + 0.001) * 0.333).clamp(-1, 1).detach()


# What ElasticFace draws for the images of a batch, from a standard normal distribution.
DRAWN = torch.from_numpy(np.random.default_rng(7).normal(size=6))


@pytest.fixture
def drawing(monkeypatch):
    """Let what is drawn within it be ``DRAWN``."""

    @contextmanager
    def inside():
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randn", lambda count, *, generator: DRAWN[:count])  # noqa: ARG005 - by its name
            yield

    return inside


# The angle that replaces theta, and what is subtracted from its cosine, as in the papers.
ANGLES = {
    "softmax": lambda theta, *_: theta,
    "cosface": lambda theta, *_: theta,
    "arcface": lambda theta, *_: theta + 0.5,
    "subcenter": lambda theta, *_: theta + 0.5,
    "combined": lambda theta, *_: 1.2 * theta + 0.3,
    "elasticface": lambda theta, *_: theta + 0.5 + 0.05 * DRAWN[: len(theta)],
    "adaface": lambda theta, margin, norms: theta - 0.4 * quality(margin, norms),
    "magface": lambda theta, _, norms: theta + (0.5 - 0.1) / (8 - 1) * (norms - 1) + 0.1,
    "curricularface": lambda theta, *_: theta + 0.5,
}
SUBTRACTED = {
    "cosface": lambda *_: 0.4,
    "combined": lambda *_: 0.2,
    "adaface": lambda margin, norms: 0.4 * quality(margin, norms) + 0.4,
}


def own_and_others(name, margin, own, others, norms):
    """Return what replaces the own cosines ``[N]`` and those with all classes ``[N, C]``."""
    angle = ANGLES[name](torch.acos(own), margin, norms)
    assert (angle > 0).all()
    assert (angle < math.pi).all()
    if name == "curricularface":
        t = 0.99 * margin.t + 0.01 * own.detach().mean()
        others = torch.where(others > angle.cos()[:, None], others * (t + others), others)
    return angle.cos() - SUBTRACTED.get(name, lambda *_: 0.0)(margin, norms), others


def paper_loss(name, margin, embeddings, rows, labels, s, correction=0.0):
    """Return the loss in float64, from the logits of all classes at once."""
    centers = 3 if name == "subcenter" else 1
    norms = (embeddings**2).sum(dim=1).sqrt()
    units = rows.reshape(len(rows), centers, -1)
    units = units / (units**2).sum(dim=2, keepdim=True).sqrt()
    cosines = torch.einsum("nd,ckd->nck", embeddings / norms[:, None], units).max(dim=2).values
    own, others = own_and_others(name, margin, cosines[range(len(labels)), labels], cosines, norms)
    is_own = functional.one_hot(labels, len(rows)).bool()
    logits = torch.where(is_own, s * own[:, None], s * others + correction)
    loss = -(logits.exp() / logits.exp().sum(dim=1, keepdim=True))[is_own].log().mean()
    if name == "magface":
        loss = loss + 2.0 * (1 / norms + norms / 8**2).mean()
    return loss


@pytest.mark.parametrize("images", [1, 6], ids=["one", "repeated"])
def test_value_and_gradients_are_those_of_the_formula_of_the_paper(made, batch, drawing, name, images):
    loss = made(name, s=16.0).double()
    embeddings, labels = batch(images)
    rows = loss.weight.detach().clone().requires_grad_()
    expected = paper_loss(name, copy.deepcopy(loss.margins), embeddings, rows, labels, 16.0)

    with drawing():
        value = loss(embeddings, labels)

    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    found = torch.autograd.grad(value, (embeddings, loss.weight))
    for ours, paper in zip(found, torch.autograd.grad(expected, (embeddings, rows)), strict=True):
        torch.testing.assert_close(ours, paper, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("log_q", [False, True], ids=["plain", "log_q"])
def test_the_sparse_loss_is_the_formula_over_the_selected_classes(made, batch, drawing, table, name, log_q):
    loss = made(name, SparseMarginSoftmaxLoss, classes=40, negatives=9, s=16.0, log_q=log_q).double()
    embeddings, labels = batch()
    with torch.no_grad():
        selection = loss.table.select(labels)
    before = table(loss).clone()
    rows = selection.rows.double().requires_grad_()
    not_in_batch = ~torch.isin(torch.arange(len(rows)), selection.columns)
    correction = not_in_batch * (math.log(40 / 9) if log_q else 0.0)
    expected = paper_loss(name, copy.deepcopy(loss.margins), embeddings, rows, selection.columns, 16.0, correction)
    to_embeddings, to_rows = torch.autograd.grad(expected, (embeddings, rows))

    with drawing():
        value = loss(embeddings, labels)
    value.backward()
    # With SGD at rate 1, a row moves by its gradient.
    assert loss.apply_gradients(1.0)

    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(embeddings.grad, to_embeddings, rtol=1e-8, atol=1e-12)
    classes = (before[:, None] == selection.rows).all(dim=2).float().argmax(dim=0)
    assert len(classes) >= 9
    assert torch.equal(classes[selection.columns], labels)
    torch.testing.assert_close((before - table(loss))[classes], to_rows.float(), rtol=1e-4, atol=1e-5)
    others = torch.ones(40, dtype=torch.bool).index_fill(0, classes, value=False)
    assert others.sum() > 20
    assert torch.equal(table(loss)[others], before[others])


def test_gradients_of_embeddings_and_table_agree_with_finite_differences(made, batch, name):
    # In evaluation, because in training each call updates the state.
    loss = made(name, s=8.0).double().eval()
    embeddings, labels = batch(4)

    def function(embeddings, weight):
        return torch.func.functional_call(loss, {"weight": weight}, (embeddings, labels))

    if name != "adaface":
        assert torch.autograd.gradcheck(function, (embeddings, loss.weight.detach().clone().requires_grad_()))
    # AdaFace's margin depends on the length, but passes it no gradient; that of the table is complete.
    assert torch.autograd.gradcheck(
        lambda weight: function(embeddings.detach(), weight), loss.weight.detach().clone().requires_grad_()
    )


PUBLISHED = {
    "softmax": lambda **sizes: theirs.NormalizedSoftmaxLoss(temperature=1 / 16, **sizes),
    "cosface": lambda **sizes: theirs.CosFaceLoss(margin=0.4, scale=16, **sizes),
    "arcface": lambda **sizes: theirs.ArcFaceLoss(margin=math.degrees(0.5), scale=16, **sizes),
    "subcenter": lambda **sizes: theirs.SubCenterArcFaceLoss(
        margin=math.degrees(0.5), scale=16, sub_centers=3, **sizes
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_agrees_with_pytorch_metric_learning(made, batch, name):
    loss, published = made(name, s=16.0).double(), PUBLISHED[name](num_classes=7, embedding_size=5)
    embeddings, labels = batch()
    with torch.no_grad():
        # An embedding whose angle plus margin is past pi.
        embeddings[3] = -3 * loss.weight[labels[3], :5] + 0.001
    published.W.data = loss.weight.detach().reshape(-1, 5).T.contiguous()

    value, expected = loss(embeddings, labels), published(embeddings, labels)

    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    ours = torch.autograd.grad(value, (embeddings, loss.weight))
    to_embeddings, to_table = torch.autograd.grad(expected, (embeddings, published.W))
    torch.testing.assert_close(ours[0], to_embeddings, rtol=1e-6, atol=1e-10)
    torch.testing.assert_close(ours[1].reshape(-1, 5), to_table.T, rtol=1e-6, atol=1e-10)
