from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from zoo_core.api import Loss, RunError
from zoo_core.capabilities import FollowsProgress
from zoo_margin import CosFace, Margin, MarginSoftmaxLoss


def test_an_embedding_on_its_class_or_opposite_has_finite_gradients(made, table, backward, name, kind):
    loss = made(name, kind, classes=2)
    embeddings = torch.stack([table(loss)[0, :5], -table(loss)[1, :5]]).detach().requires_grad_()
    value, gradient, rows = backward(loss, embeddings, torch.tensor([0, 1]))
    assert value.isfinite()
    assert gradient.isfinite().all()
    assert rows.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(made, batch, backward, name, kind, dtype):
    expected = backward(made(name, kind), *batch(dtype=torch.float32))
    with torch.autocast("cpu", dtype=dtype):
        found = backward(made(name, kind), *batch(dtype=torch.float32))
    assert found[0].dtype is torch.float32
    for ours, plain in zip(found, expected, strict=True):
        assert torch.equal(ours, plain)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_embeddings_are_compared_in_float32(made, batch, name, kind, dtype):
    embeddings, labels = batch(dtype=dtype)
    assert torch.equal(made(name, kind)(embeddings, labels), made(name, kind)(embeddings.float(), labels))


def test_a_table_in_half_precision_computes_in_float32(made, batch):
    loss, (embeddings, labels) = made().bfloat16(), batch(dtype=torch.bfloat16)
    value = loss(embeddings, labels)
    plain = made()
    plain.weight.data = loss.weight.data.float()
    assert value.dtype is torch.float32
    assert torch.equal(value, plain(embeddings, labels))


def test_with_one_class_only_the_penalty_is_left(made, batch, backward, name, kind):
    loss = made(name, kind, classes=1)
    embeddings, _ = batch(1, dtype=torch.float32)
    value, gradient, _ = backward(loss, embeddings, torch.tensor([0]))
    norm = embeddings.norm().item()
    assert value.item() == pytest.approx(2.0 * (1 / norm + norm / 64) if name == "magface" else 0.0)
    assert gradient.isfinite().all()
    assert all(buffer.isfinite() for buffer in loss.buffers())


def test_a_class_without_an_image_is_pushed_away_and_stays_finite(made, batch, table, backward, name, kind):
    loss = made(name, kind)
    before = table(loss).detach().clone()
    _, _, rows = backward(loss, *batch(dtype=torch.float32))
    assert rows.isfinite().all()
    # No label is class 3.
    assert not torch.equal(rows[3], before[3])


def test_the_warm_up_starts_without_margin(made, batch, table, backward, name, kind):
    loss = made(name, kind, warmup=0.2, initial_s=8.0).double()
    embeddings, labels = batch()
    loss.set_progress(0.0)
    start = table(loss).detach().clone()
    rows = start.double().requires_grad_()
    units = functional.normalize(rows.unflatten(1, (loss.centers, -1)), dim=2)
    cosines = torch.einsum("nd,ckd->nck", functional.normalize(embeddings), units).amax(dim=2)
    expected = functional.cross_entropy(8.0 * cosines, labels)
    to_embeddings, to_rows = torch.autograd.grad(expected, (embeddings, rows))

    value, gradient, moved = backward(loss, embeddings, labels)

    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(gradient, to_embeddings, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close((start - moved).double(), to_rows, rtol=1e-4, atol=1e-5)


def test_a_non_finite_embedding_makes_the_loss_non_finite_and_leaves_the_state(made, batch, name, kind):
    loss, (embeddings, labels) = made(name, kind), batch(dtype=torch.float32)
    loss(embeddings, labels)
    before = copy.deepcopy(dict(loss.named_buffers()))
    with torch.no_grad():
        embeddings[2, 1] = math.nan
    assert not loss(embeddings, labels).isfinite()
    for key, buffer in loss.named_buffers():
        if key != "margins.batches":
            assert torch.equal(buffer, before[key]), key


def test_state_is_saved_and_a_resumed_training_continues_with_it(made, batch, name, kind, tmp_path):
    loss, resumed = made(name, kind, warmup=0.5), made(name, kind, warmup=0.5)
    for seed in range(3):
        loss(*batch(seed=seed, dtype=torch.float32))
    torch.save(loss.state_dict(), tmp_path / "state.pt")
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for each in (loss, resumed):
        each.set_progress(0.5)
    assert resumed.scale == loss.scale < loss.s
    last = batch(seed=9, dtype=torch.float32)
    assert torch.equal(resumed(*last), loss(*last))


def test_two_batches_before_their_backward_passes_are_independent(made, batch, name, kind):
    loss, alone = made(name, kind), made(name, kind)
    first, second = batch(dtype=torch.float32), batch(seed=1, dtype=torch.float32)
    value = loss(*first)
    loss(*second)
    (gradient,) = torch.autograd.grad(value, first[0])
    (expected,) = torch.autograd.grad(alone(*first), first[0])
    assert torch.equal(gradient, expected)


def test_inputs_are_not_changed(made, batch):
    loss, (embeddings, labels) = made("arcface"), batch()
    before = embeddings.clone(), labels.clone()
    loss(embeddings, labels)
    assert torch.equal(embeddings, before[0])
    assert torch.equal(labels, before[1])


def test_without_progress_scale_and_margin_are_the_full_ones(made):
    loss = made(s=64.0)
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
def test_scale_and_margin_grow_with_learning_and_no_faster_than_time(made, progress, own_cosine, expected):
    loss = made(s=64.0, warmup=0.2, initial_s=16.0)
    loss.set_progress(progress)
    loss.own_cosine.fill_(own_cosine)
    assert (loss.scale, loss.margin) == pytest.approx(expected, rel=1e-5)


def test_learning_is_measured_by_the_running_mean_of_the_own_cosine(made, table, kind):
    loss = made(kind=kind)
    embeddings = 3 * table(loss).detach()[[0, 1]]
    for _ in range(200):
        loss(embeddings, torch.tensor([0, 1]))
    assert loss.own_cosine.item() == pytest.approx(1.0, abs=1e-3)
    loss.eval()(-embeddings, torch.tensor([0, 1]))
    assert loss.own_cosine.item() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("classes", "initial"), [(1, 1.554), (1001, 9.769), (394_080, 18.221)])
def test_the_initial_scale_follows_the_number_of_classes(made, classes, initial):
    assert made(classes=classes).initial_s == pytest.approx(initial, abs=1e-3)
    assert made(classes=classes, s=1.0).initial_s == 1.0


def test_without_warm_up_the_loss_is_full_from_the_first_step(made):
    loss = made("arcface", s=32.0, warmup=0.0)
    loss.set_progress(0.0)
    assert (loss.scale, loss.margin) == (32.0, 0.5)


@pytest.mark.parametrize("label", [-1, 7, -100])
def test_a_label_out_of_range_is_named_with_the_range(made, kind, label):
    with pytest.raises(RunError, match=rf"label {label} is out of range: 7 classes are 0\.\.6"):
        made(kind=kind)(torch.randn(3, 5), torch.tensor([0, label, 6]))


@pytest.mark.parametrize("labels", [[0], [0, 1, 2, 3], [[0], [1], [2]], [0.0, 1.0, 2.0], [True, False, True]])
def test_labels_of_the_wrong_type_or_shape_are_refused(made, kind, labels):
    with pytest.raises(ValueError, match="3 embeddings need 3 integer labels"):
        made(kind=kind)(torch.randn(3, 5), torch.tensor(labels))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_labels_of_all_integer_types_are_accepted(made, batch, kind, dtype):
    embeddings, labels = batch()
    assert torch.equal(made(kind=kind)(embeddings, labels.to(dtype)), made(kind=kind)(embeddings, labels))


def test_a_batch_without_images_changes_nothing(made, name, kind):
    loss = made(name, kind)
    state = copy.deepcopy(loss.state_dict())
    embeddings = torch.zeros(0, 5, requires_grad=True)
    value = loss(embeddings, torch.zeros(0, dtype=torch.int64))
    value.backward()
    assert value == 0
    assert embeddings.grad.shape == (0, 5)
    assert all(torch.equal(state[key], tensor) for key, tensor in loss.state_dict().items())


@pytest.mark.parametrize(
    "wrong",
    [
        {"s": 0.0},
        {"warmup": 1.5},
        {"warmup": -0.1},
        {"initial_s": -1.0},
        {"num_classes": 0},
        {"embedding_dim": 0},
        {"centers": 0},
    ],
)
def test_arguments_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MarginSoftmaxLoss(CosFace(0.4), **{"embedding_dim": 5, "num_classes": 7} | wrong)


def test_it_fits_the_contract(made, name, kind):
    loss = made(name, kind)
    assert isinstance(loss, Loss)
    assert isinstance(loss, FollowsProgress)
    # No optimizer sees the sparse table.
    expected = [("weight", (7, 5 * loss.centers))] if kind is MarginSoftmaxLoss else []
    assert [(name, tuple(value.shape)) for name, value in loss.named_parameters()] == expected


def test_a_new_margin_is_one_small_class():
    class Squared(Margin):
        m = 0.3

        def forward(self, cosines, norms, strength):
            return cosines - strength * self.m * cosines**2 / norms

    loss = MarginSoftmaxLoss(Squared(), embedding_dim=5, num_classes=7, s=10.0, warmup=0.2, initial_s=5.0)
    assert loss.margin == 0.3
    assert loss(torch.randn(2, 5), torch.tensor([1, 2])).isfinite()


@pytest.mark.parametrize("name", ["cosface", "subcenter", "curricularface"])
def test_a_plain_training_loop_learns_with_it(made, name):
    torch.manual_seed(0)
    centres = torch.randn(20, 16)
    model = nn.Linear(16, 8)
    loss = made(name, classes=20, dim=8, warmup=0.2)
    optimizer = torch.optim.AdamW([*model.parameters(), *loss.parameters()], lr=0.02)
    for step in range(200):
        labels = torch.randint(20, (64,))
        loss.set_progress(step / 200)
        value = loss(model(centres[labels] + 0.1 * torch.randn(64, 16)), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert (loss.scale, loss.margin) == pytest.approx((64.0, loss.margins.m))
    rows = functional.normalize(loss.weight.unflatten(1, (loss.centers, 8)), dim=2)
    cosines = torch.einsum("nd,ckd->nck", functional.normalize(model(centres)), rows).amax(dim=2)
    assert torch.equal(cosines.argmax(dim=1), torch.arange(20))
