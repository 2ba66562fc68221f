from __future__ import annotations

import copy
import math

import pytest
import torch
from pytorch_metric_learning import losses as theirs
from torch import nn
from torch.nn import functional

from zoo_core.api import Loss, RunError
from zoo_core.contracts import FollowsProgress
from zoo_margin import (
    SGD,
    AdaFace,
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    ElasticFace,
    MagFace,
    Margin,
    MarginSoftmaxLoss,
    NoMargin,
    SparseMarginSoftmaxLoss,
)

CLASSES, DIM = 7, 5
MAGFACE = {"low_m": 0.1, "high_m": 0.5, "low_norm": 1.0, "high_norm": 8.0, "weight": 2.0}
# Each margin, and the directions a class has.
MARGINS = {
    "softmax": (NoMargin, 1),
    "cosface": (lambda: CosFace(0.4), 1),
    "arcface": (lambda: ArcFace(0.5), 1),
    "subcenter": (lambda: ArcFace(0.5), 3),
    "combined": (lambda: Combined(1.2, 0.3, 0.2), 1),
    "elasticface": (lambda: ElasticFace(0.5, 0.05, angular=True), 1),
    "adaface": (lambda: AdaFace(0.4, 0.333), 1),
    "magface": (lambda: MagFace(**MAGFACE), 1),
    "curricularface": (lambda: CurricularFace(0.5), 1),
}
each_margin = pytest.mark.parametrize("name", MARGINS)
each_kind = pytest.mark.parametrize("kind", [MarginSoftmaxLoss, SparseMarginSoftmaxLoss], ids=["dense", "sparse"])


def made(name="cosface", kind=MarginSoftmaxLoss, classes=CLASSES, dim=DIM, negatives=10**6, **options):
    """A loss whose margin has seen a few batches: its state is not that of the first step."""
    margin, centers = MARGINS[name]
    if kind is SparseMarginSoftmaxLoss:
        options = {"optimizer": SGD(momentum=0.0), "negatives": negatives, **options}
    loss = kind(margin(), embedding_dim=dim, num_classes=classes, centers=centers, **options)
    state = {"mean": 4.0, "deviation": 1.0, "t": 0.3}
    for key, buffer in loss.margins.named_buffers():
        buffer.fill_(state.get(key, 3))
    return loss


def table(loss):
    return loss.weight if isinstance(loss, MarginSoftmaxLoss) else loss.table.tensors(torch.device("cpu"))["weight"]


def batch(images=6, seed=0, dtype=torch.float64):
    chance = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(images, DIM, generator=chance, dtype=torch.float64)
    lengths = torch.linspace(1.5, 6.5, images, dtype=torch.float64)
    embeddings = functional.normalize(embeddings) * lengths[:, None]
    return embeddings.to(dtype).requires_grad_(), torch.tensor([0, 6, 2, 2, 4, 1])[:images]


def quality(margin, norms):
    """AdaFace's z, by the running statistics after this batch."""
    mean = 0.99 * margin.mean + 0.01 * norms.mean()
    # Of one length there is no deviation.
    deviation = 0.99 * margin.deviation + 0.01 * norms.std() if len(norms) > 1 else margin.deviation
    return ((norms - mean) / (deviation + 0.001) * 0.333).clamp(-1, 1).detach()


def draws(margin, norms):
    """The margins that ElasticFace draws for this batch; tested beside the margins."""
    drawn = copy.deepcopy(margin)
    drawn.angular = False
    drawn.batches += 1
    return -drawn(torch.zeros_like(norms), norms, torch.ones(()).double()).detach()


# The angle that stands in for theta, and what is taken from its cosine, as the papers write them.
ANGLES = {
    "softmax": lambda theta, *_: theta,
    "cosface": lambda theta, *_: theta,
    "arcface": lambda theta, *_: theta + 0.5,
    "subcenter": lambda theta, *_: theta + 0.5,
    "combined": lambda theta, *_: 1.2 * theta + 0.3,
    "elasticface": lambda theta, margin, norms: theta + draws(margin, norms),
    "adaface": lambda theta, margin, norms: theta - 0.4 * quality(margin, norms),
    "magface": lambda theta, _, norms: theta + (0.5 - 0.1) / (8 - 1) * (norms - 1) + 0.1,
    "curricularface": lambda theta, *_: theta + 0.5,
}
TAKEN = {
    "cosface": lambda *_: 0.4,
    "combined": lambda *_: 0.2,
    "adaface": lambda margin, norms: 0.4 * quality(margin, norms) + 0.4,
}


def own_and_others(name, margin, own, others, norms):
    """What replaces the own cosines ``[N]`` and those with all classes ``[N, C]``."""
    angle = ANGLES[name](torch.acos(own), margin, norms)
    assert (angle > 0).all()
    assert (angle < math.pi).all()
    if name == "curricularface":
        t = 0.99 * margin.t + 0.01 * own.detach().mean()
        others = torch.where(others > angle.cos()[:, None], others * (t + others), others)
    return angle.cos() - TAKEN.get(name, lambda *_: 0.0)(margin, norms), others


def paper_loss(name, margin, embeddings, rows, labels, s, correction=0.0):
    """The whole loss in float64, the classes' logits all at once."""
    centers = MARGINS[name][1]
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


@each_margin
@pytest.mark.parametrize("images", [1, 6], ids=["one", "repeated"])
def test_value_and_gradients_are_those_of_the_formula_of_the_paper(name, images):
    loss = made(name, s=16.0).double()
    embeddings, labels = batch(images)
    rows = loss.weight.detach().clone().requires_grad_()
    expected = paper_loss(name, copy.deepcopy(loss.margins), embeddings, rows, labels, 16.0)

    value = loss(embeddings, labels)

    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    found = torch.autograd.grad(value, (embeddings, loss.weight))
    for ours, paper in zip(found, torch.autograd.grad(expected, (embeddings, rows)), strict=True):
        torch.testing.assert_close(ours, paper, rtol=1e-8, atol=1e-12)


@each_margin
@pytest.mark.parametrize("log_q", [False, True], ids=["plain", "log_q"])
def test_a_sample_is_the_formula_over_the_classes_that_were_chosen(name, log_q):
    loss = made(name, SparseMarginSoftmaxLoss, classes=40, negatives=9, s=16.0, log_q=log_q).double()
    embeddings, labels = batch()
    with torch.no_grad():
        chosen = loss.table.select(labels)
    before = table(loss).clone()
    rows = chosen.rows.double().requires_grad_()
    there_by_chance = ~torch.isin(torch.arange(len(rows)), chosen.columns)
    correction = there_by_chance * (math.log(40 / 9) if log_q else 0.0)
    expected = paper_loss(name, copy.deepcopy(loss.margins), embeddings, rows, chosen.columns, 16.0, correction)
    to_embeddings, to_rows = torch.autograd.grad(expected, (embeddings, rows))

    value = loss(embeddings, labels)
    value.backward()
    # SGD of rate 1: what a row moved by is its gradient.
    assert loss.apply_gradients(1.0)

    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(embeddings.grad, to_embeddings, rtol=1e-8, atol=1e-12)
    ids = (before[:, None] == chosen.rows).all(dim=2).float().argmax(dim=0)
    assert len(ids) >= 9
    assert torch.equal(ids[chosen.columns], labels)
    torch.testing.assert_close((before - table(loss))[ids], to_rows.float(), rtol=1e-4, atol=1e-5)
    others = torch.ones(40, dtype=torch.bool).index_fill(0, ids, value=False)
    assert others.sum() > 20
    assert torch.equal(table(loss)[others], before[others])


@each_margin
def test_gradients_of_embeddings_and_table_agree_with_finite_differences(name):
    # Not in training, where each call moves the state.
    loss = made(name, s=8.0).double().eval()
    embeddings, labels = batch(4)

    def function(embeddings, weight):
        return torch.func.functional_call(loss, {"weight": weight}, (embeddings, labels))

    if name != "adaface":
        assert torch.autograd.gradcheck(function, (embeddings, loss.weight.detach().clone().requires_grad_()))
    # AdaFace's margin depends on the length and passes it no gradient; the table's is whole.
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
def test_it_agrees_with_pytorch_metric_learning(name):
    loss, published = made(name, s=16.0).double(), PUBLISHED[name](num_classes=CLASSES, embedding_size=DIM)
    embeddings, labels = batch()
    with torch.no_grad():
        # One where the angle and the margin go past pi.
        embeddings[3] = -3 * loss.weight[labels[3], :DIM] + 0.001
    published.W.data = loss.weight.detach().reshape(-1, DIM).T.contiguous()

    value, expected = loss(embeddings, labels), published(embeddings, labels)

    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    ours = torch.autograd.grad(value, (embeddings, loss.weight))
    to_embeddings, to_table = torch.autograd.grad(expected, (embeddings, published.W))
    torch.testing.assert_close(ours[0], to_embeddings, rtol=1e-6, atol=1e-10)
    torch.testing.assert_close(ours[1].reshape(-1, DIM), to_table.T, rtol=1e-6, atol=1e-10)


def backward(loss, embeddings, labels):
    """Value of the loss, gradient of the embeddings, and the table after a step of SGD with rate 1."""
    value = loss(embeddings, labels)
    value.backward()
    if isinstance(loss, SparseMarginSoftmaxLoss):
        loss.apply_gradients(1.0)
        return value, embeddings.grad, table(loss)
    return value, embeddings.grad, loss.weight - loss.weight.grad


@each_margin
@each_kind
def test_an_embedding_on_its_class_or_opposite_has_finite_gradients(name, kind):
    loss = made(name, kind, classes=2)
    embeddings = torch.stack([table(loss)[0, :DIM], -table(loss)[1, :DIM]]).detach().requires_grad_()
    value, gradient, rows = backward(loss, embeddings, torch.tensor([0, 1]))
    assert value.isfinite()
    assert gradient.isfinite().all()
    assert rows.isfinite().all()


@each_margin
@each_kind
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_does_not_touch_it(name, kind, dtype):
    expected = backward(made(name, kind), *batch(dtype=torch.float32))
    with torch.autocast("cpu", dtype=dtype):
        found = backward(made(name, kind), *batch(dtype=torch.float32))
    assert found[0].dtype is torch.float32
    for ours, plain in zip(found, expected, strict=True):
        assert torch.equal(ours, plain)


@each_margin
@each_kind
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_embeddings_are_compared_in_float32(name, kind, dtype):
    embeddings, labels = batch(dtype=dtype)
    assert torch.equal(made(name, kind)(embeddings, labels), made(name, kind)(embeddings.float(), labels))


def test_a_table_in_half_precision_has_its_margin_in_full():
    loss, (embeddings, labels) = made().bfloat16(), batch(dtype=torch.bfloat16)
    value = loss(embeddings, labels)
    plain = made()
    plain.weight.data = loss.weight.data.float()
    assert value.dtype is torch.float32
    assert torch.equal(value, plain(embeddings, labels))


@each_margin
@each_kind
def test_one_image_of_one_class_is_certain(name, kind):
    loss = made(name, kind, classes=1)
    embeddings, _ = batch(1, dtype=torch.float32)
    value, gradient, _ = backward(loss, embeddings, torch.tensor([0]))
    norm = embeddings.norm().item()
    assert value.item() == pytest.approx(2.0 * (1 / norm + norm / 64) if name == "magface" else 0.0)
    assert gradient.isfinite().all()
    assert all(buffer.isfinite() for buffer in loss.buffers())


@each_margin
@each_kind
def test_a_class_never_seen_is_pushed_away_and_stays_finite(name, kind):
    loss = made(name, kind)
    before = table(loss).detach().clone()
    _, _, rows = backward(loss, *batch(dtype=torch.float32))
    assert rows.isfinite().all()
    # Class 3 is in no label.
    assert not torch.equal(rows[3], before[3])


@each_margin
@each_kind
def test_nothing_of_the_margin_counts_at_the_start_of_the_warm_up(name, kind):
    loss = made(name, kind, warmup=0.2, initial_s=8.0).double()
    embeddings, labels = batch()
    loss.set_progress(0.0)
    start = table(loss).detach().clone()
    rows = start.double().requires_grad_()
    plain = "softmax" if MARGINS[name][1] == 1 else "subcenter"
    centers = MARGINS[plain][1]
    units = functional.normalize(rows.reshape(CLASSES, centers, DIM), dim=2)
    cosines = torch.einsum("nd,ckd->nck", functional.normalize(embeddings), units).amax(dim=2)
    expected = functional.cross_entropy(8.0 * cosines, labels)
    to_embeddings, to_rows = torch.autograd.grad(expected, (embeddings, rows))

    value, gradient, moved = backward(loss, embeddings, labels)

    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(gradient, to_embeddings, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close((start - moved).double(), to_rows, rtol=1e-4, atol=1e-5)


@each_margin
@each_kind
def test_an_embedding_that_is_no_number_makes_the_loss_none_and_leaves_the_state(name, kind):
    loss, (embeddings, labels) = made(name, kind), batch(dtype=torch.float32)
    loss(embeddings, labels)
    before = copy.deepcopy(dict(loss.named_buffers()))
    with torch.no_grad():
        embeddings[2, 1] = math.nan
    assert not loss(embeddings, labels).isfinite()
    for key, buffer in loss.named_buffers():
        if key != "margins.batches":
            assert torch.equal(buffer, before[key]), key


@each_margin
@each_kind
def test_state_is_saved_and_a_resumed_run_goes_on_where_it_was(name, kind, tmp_path):
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


@each_margin
@each_kind
def test_two_batches_before_their_backward_passes_do_not_disturb_each_other(name, kind):
    loss, alone = made(name, kind), made(name, kind)
    first, second = batch(dtype=torch.float32), batch(seed=1, dtype=torch.float32)
    value = loss(*first)
    loss(*second)
    (gradient,) = torch.autograd.grad(value, first[0])
    (expected,) = torch.autograd.grad(alone(*first), first[0])
    assert torch.equal(gradient, expected)


def test_inputs_are_left_alone():
    loss, (embeddings, labels) = made("arcface"), batch()
    before = embeddings.clone(), labels.clone()
    loss(embeddings, labels)
    assert torch.equal(embeddings, before[0])
    assert torch.equal(labels, before[1])


def test_without_progress_scale_and_margin_are_the_full_ones():
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
def test_scale_and_margin_grow_with_learning_and_no_faster_than_time(progress, own_cosine, expected):
    loss = made(s=64.0, warmup=0.2, initial_s=16.0)
    loss.set_progress(progress)
    loss.own_cosine.fill_(own_cosine)
    assert (loss.scale, loss.margin) == pytest.approx(expected, rel=1e-5)


@each_kind
def test_learning_is_the_running_mean_of_the_own_cosine(kind):
    loss = made(kind=kind)
    embeddings = 3 * table(loss).detach()[[0, 1]]
    for _ in range(200):
        loss(embeddings, torch.tensor([0, 1]))
    assert loss.own_cosine.item() == pytest.approx(1.0, abs=1e-3)
    loss.eval()(-embeddings, torch.tensor([0, 1]))
    assert loss.own_cosine.item() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("classes", "initial"), [(1, 1.554), (1001, 9.769), (394_080, 18.221)])
def test_the_scale_starts_by_the_number_of_classes(classes, initial):
    assert made(classes=classes).initial_s == pytest.approx(initial, abs=1e-3)
    assert made(classes=classes, s=1.0).initial_s == 1.0


def test_no_warm_up_is_the_full_loss_from_the_first_step():
    loss = made("arcface", s=32.0, warmup=0.0)
    loss.set_progress(0.0)
    assert (loss.scale, loss.margin) == (32.0, 0.5)


@each_kind
@pytest.mark.parametrize("label", [-1, 7, -100])
def test_a_label_out_of_range_is_named_with_the_range(kind, label):
    with pytest.raises(RunError, match=rf"label {label} is out of range: 7 classes are 0\.\.6"):
        made(kind=kind)(torch.randn(3, 5), torch.tensor([0, label, 6]))


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


@each_margin
@each_kind
def test_it_fits_the_contract(name, kind):
    loss = made(name, kind)
    assert isinstance(loss, Loss)
    assert isinstance(loss, FollowsProgress)
    # No optimizer sees the sparse table.
    expected = [("weight", (CLASSES, MARGINS[name][1] * DIM))] if kind is MarginSoftmaxLoss else []
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
def test_a_plain_training_loop_learns_with_it(name):
    torch.manual_seed(0)
    centres = torch.randn(20, 16)
    margin, centers = MARGINS[name]
    model = nn.Linear(16, 8)
    loss = MarginSoftmaxLoss(margin(), embedding_dim=8, num_classes=20, centers=centers, warmup=0.2)
    optimizer = torch.optim.AdamW([*model.parameters(), *loss.parameters()], lr=0.02)
    for step in range(200):
        labels = torch.randint(20, (64,))
        loss.set_progress(step / 200)
        value = loss(model(centres[labels] + 0.1 * torch.randn(64, 16)), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert (loss.scale, loss.margin) == pytest.approx((64.0, loss.margins.m))
    rows = functional.normalize(loss.weight.unflatten(1, (centers, 8)), dim=2)
    cosines = torch.einsum("nd,ckd->nck", functional.normalize(model(centres)), rows).amax(dim=2)
    assert torch.equal(cosines.argmax(dim=1), torch.arange(20))
