from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from zoo_core.api import Loss, RunError
from zoo_core.contracts import FollowsProgress
from zoo_margin.losses import ArcFaceLoss, CosFaceLoss, MarginSoftmaxLoss, SoftmaxLoss

LOSSES = [SoftmaxLoss, CosFaceLoss, ArcFaceLoss]


def paper_loss(name, embeddings, table, labels, s, m):
    """The formulas of the papers, written out image by image in float64."""
    embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    table = table / np.linalg.norm(table, axis=1, keepdims=True)
    losses = []
    for embedding, label in zip(embeddings, labels, strict=True):
        cosines = table @ embedding
        own = {
            "SoftmaxLoss": cosines[label],
            "CosFaceLoss": cosines[label] - m,
            "ArcFaceLoss": math.cos(math.acos(cosines[label]) + m),
        }[name]
        others = np.exp(s * np.delete(cosines, label)).sum()
        losses.append(-math.log(math.exp(s * own) / (math.exp(s * own) + others)))
    return np.mean(losses)


def made(factory, classes=7, dim=5, **options):
    torch.manual_seed(0)
    return factory(embedding_dim=dim, num_classes=classes, **options)


@pytest.mark.parametrize("factory", LOSSES)
@pytest.mark.parametrize("labels", [[3], [0, 6, 2, 4], [5, 5, 5, 1]], ids=["one", "several", "repeated"])
def test_the_loss_is_the_formula_of_the_paper(factory, labels):
    loss = made(factory, s=16.0)
    embeddings = torch.randn(len(labels), 5)
    expected = paper_loss(
        factory.__name__, embeddings.double().numpy(), loss.weight.detach().double().numpy(), labels, 16, loss.margin
    )
    assert loss(embeddings, torch.tensor(labels)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("factory", LOSSES)
def test_gradients_of_embeddings_and_table_agree_with_finite_differences(factory):
    loss = made(factory, s=8.0).double()
    labels = torch.tensor([0, 6, 6, 2])

    def function(embeddings, weight):
        return torch.func.functional_call(loss, {"weight": weight}, (embeddings, labels))

    embeddings = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (embeddings, loss.weight.detach().clone().requires_grad_()))


@pytest.mark.parametrize("factory", LOSSES)
def test_an_embedding_on_its_class_or_opposite_has_finite_gradients(factory):
    loss = made(factory, classes=2)
    embeddings = torch.stack([loss.weight[0], -loss.weight[1]]).detach().requires_grad_()
    loss(embeddings, torch.tensor([0, 1])).backward()
    assert embeddings.grad.isfinite().all()
    assert loss.weight.grad.isfinite().all()


@pytest.mark.parametrize("factory", LOSSES)
def test_autocast_does_not_touch_it(factory):
    loss, embeddings, labels = made(factory), torch.randn(4, 5), torch.tensor([0, 1, 2, 3])
    expected = loss(embeddings, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(embeddings, labels)
    assert value.dtype is torch.float32
    assert torch.equal(value, expected)


def test_half_precision_embeddings_are_compared_in_float32():
    loss, embeddings, labels = made(CosFaceLoss), torch.randn(4, 5).bfloat16(), torch.tensor([0, 1, 2, 3])
    assert torch.equal(loss(embeddings, labels), loss(embeddings.float(), labels))
    assert made(CosFaceLoss).bfloat16()(embeddings, labels).dtype is torch.float32


def test_inputs_are_left_alone():
    loss, embeddings, labels = made(ArcFaceLoss), torch.randn(4, 5), torch.tensor([0, 1, 2, 3])
    before = embeddings.clone(), labels.clone()
    loss(embeddings, labels)
    assert torch.equal(embeddings, before[0])
    assert torch.equal(labels, before[1])


def test_without_progress_scale_and_margin_are_the_full_ones():
    loss = made(CosFaceLoss, s=64.0, m=0.4)
    assert (loss.scale, loss.margin) == (64.0, 0.4)


@pytest.mark.parametrize(
    ("progress", "own_cosine", "expected"),
    [
        (0.0, 0.0, (16, 0)),
        (1.0, -0.2, (16, 0)),  # nothing learned, however late
        (0.0, 0.9, (16, 0)),  # all known, but no time to adapt
        (0.1, 0.9, (32, 0.2)),
        (0.5, 0.3, (32, 0.2)),
        (0.2, 0.6, (64, 0.4)),
        (1.0, 0.9, (64, 0.4)),
    ],
)
def test_scale_and_margin_grow_with_learning_and_no_faster_than_time(progress, own_cosine, expected):
    loss = made(CosFaceLoss, s=64.0, m=0.4, warmup=0.2, initial_s=16.0)
    loss.set_progress(progress)
    loss.own_cosine.fill_(own_cosine)
    assert (loss.scale, loss.margin) == pytest.approx(expected, rel=1e-5)


def test_learning_is_the_running_mean_of_the_own_cosine():
    loss = made(CosFaceLoss)
    embeddings = 3 * loss.weight.detach()[[0, 1]]
    for _ in range(200):
        loss(embeddings, torch.tensor([0, 1]))
    assert loss.own_cosine.item() == pytest.approx(1.0, abs=1e-3)
    loss.eval()(-embeddings, torch.tensor([0, 1]))
    assert loss.own_cosine.item() == pytest.approx(1.0, abs=1e-3)


def test_a_resumed_run_goes_on_where_it_was():
    loss, resumed = made(CosFaceLoss), made(CosFaceLoss)
    loss.own_cosine.fill_(0.4)
    resumed.load_state_dict(loss.state_dict())
    for each in (loss, resumed):
        each.set_progress(0.5)
    assert resumed.scale == loss.scale < loss.s


@pytest.mark.parametrize(("classes", "initial"), [(1, 1.554), (1001, 9.769), (394_080, 18.221)])
def test_the_scale_starts_by_the_number_of_classes(classes, initial):
    assert made(CosFaceLoss, classes=classes).initial_s == pytest.approx(initial, abs=1e-3)
    assert made(CosFaceLoss, classes=classes, s=1.0).initial_s == 1.0


def test_no_warm_up_is_the_full_loss_from_the_first_step():
    loss = made(ArcFaceLoss, s=32.0, m=0.5, warmup=0.0)
    loss.set_progress(0.0)
    assert (loss.scale, loss.margin) == (32.0, 0.5)


def test_the_loss_follows_the_warm_up():
    loss, embeddings, labels = made(CosFaceLoss), torch.randn(6, 5), torch.arange(6)
    loss.set_progress(0.0)
    plain = made(SoftmaxLoss, s=loss.initial_s)
    assert torch.equal(loss(embeddings, labels), plain(embeddings, labels))


@pytest.mark.parametrize("label", [-1, 7, -100])
def test_a_label_out_of_range_is_named_with_the_range(label):
    with pytest.raises(RunError, match=rf"label {label} is out of range: 7 classes are 0\.\.6"):
        made(CosFaceLoss)(torch.randn(3, 5), torch.tensor([0, label, 6]))


@pytest.mark.parametrize(
    "wrong",
    [{"s": 0.0}, {"warmup": 1.5}, {"warmup": -0.1}, {"initial_s": -1.0}, {"num_classes": 0}, {"embedding_dim": 0}],
)
def test_arguments_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CosFaceLoss(**{"embedding_dim": 5, "num_classes": 7} | wrong)


@pytest.mark.parametrize("factory", LOSSES)
def test_it_fits_the_contract(factory):
    loss = made(factory)
    assert isinstance(loss, Loss)
    assert isinstance(loss, FollowsProgress)
    assert [(name, tuple(value.shape)) for name, value in loss.named_parameters()] == [("weight", (7, 5))]


def test_a_new_margin_is_one_small_class():
    class Squared:
        m = 0.3

        def __call__(self, cosines, strength):
            return cosines - strength * self.m * cosines**2

    loss = MarginSoftmaxLoss(Squared(), embedding_dim=5, num_classes=7, s=10.0, warmup=0.2, initial_s=5.0)
    assert loss.margin == 0.3
    assert loss(torch.randn(2, 5), torch.tensor([1, 2])).isfinite()


def test_a_plain_training_loop_learns_with_it():
    torch.manual_seed(0)
    centres = torch.randn(20, 16)
    model, loss = nn.Linear(16, 8), CosFaceLoss(embedding_dim=8, num_classes=20)
    optimizer = torch.optim.AdamW([*model.parameters(), *loss.parameters()], lr=0.02)
    for step in range(200):
        labels = torch.randint(20, (64,))
        loss.set_progress(step / 200)
        value = loss(model(centres[labels] + 0.1 * torch.randn(64, 16)), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert (loss.scale, loss.margin) == pytest.approx((64.0, 0.4))
    nearest = (nn.functional.normalize(model(centres)) @ nn.functional.normalize(loss.weight).T).argmax(1)
    assert torch.equal(nearest, torch.arange(20))
