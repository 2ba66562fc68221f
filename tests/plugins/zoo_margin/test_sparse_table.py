from __future__ import annotations

import copy
import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from zoo_core.capabilities import OwnsClassTable
from zoo_margin import SGD, Adagrad, AdamW, ArcFace, CosFace, MarginSoftmaxLoss, SparseMarginSoftmaxLoss, SparseTable
from zoo_margin.sparse_table import ROWS_PER_UPDATE

CPU = torch.device("cpu")
OPTIMIZERS = [SGD(), AdamW(), Adagrad()]


def sparse(classes=1000, negatives=50, dim=8, optimizer=None, **options):
    return SparseMarginSoftmaxLoss(
        CosFace(0.4),
        embedding_dim=dim,
        num_classes=classes,
        optimizer=optimizer or AdamW(),
        negatives=negatives,
        **options,
    )


def rows_of(loss):
    return loss.table.tensors(CPU)


def batches(classes, dim, count, size=16):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        yield (
            torch.randn(size, dim, generator=generator).requires_grad_(),
            torch.randint(classes, (size,), generator=generator),
        )


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("centers", [1, 2])
def test_with_all_classes_sampled_it_equals_the_dense_table_over_fifty_steps(optimizer, centers):
    by_row, by_torch = {
        "sgd": (SGD(), lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)),
        "adamw": (AdamW(), lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.0)),
    }[optimizer]
    sampled = sparse(60, 60, optimizer=by_row, centers=centers, seed=5, contrast=0.5)
    dense = MarginSoftmaxLoss(CosFace(0.4), embedding_dim=8, num_classes=60, centers=centers, seed=5, contrast=0.5)
    updates = by_torch(dense.parameters())
    for embeddings, labels in batches(60, 8, 50):
        twin = embeddings.detach().clone().requires_grad_()
        losses = sampled(embeddings, labels), dense(twin, labels)
        for loss in losses:
            loss.backward()
        # Rounding errors add up over the steps; those of a wrong formula are far larger.
        torch.testing.assert_close(*losses, rtol=1e-4, atol=0)
        torch.testing.assert_close(embeddings.grad, twin.grad, rtol=1e-3, atol=1e-4)
        assert sampled.apply_gradients(0.01)
        updates.step()
        updates.zero_grad()
    torch.testing.assert_close(rows_of(sampled)["weight"], dense.weight.detach(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("classes", [2 * ROWS_PER_UPDATE, 2 * ROWS_PER_UPDATE + 1])
def test_a_step_updates_every_selected_row_however_many_there_are(classes):
    # A low scale, so that no class is too far away to move.
    sampled = sparse(classes, classes, optimizer=SGD(), s=4.0, seed=5)
    dense = MarginSoftmaxLoss(CosFace(0.4), embedding_dim=8, num_classes=classes, s=4.0, seed=5)
    before = rows_of(sampled)["weight"].clone()
    embeddings, labels = next(batches(classes, 8, 1))
    for loss in (sampled, dense):
        loss(embeddings, labels).backward()
    assert sampled.apply_gradients(1.0)
    torch.optim.SGD(dense.parameters(), lr=1.0, momentum=0.9).step()
    torch.testing.assert_close(rows_of(sampled)["weight"], dense.weight.detach(), rtol=1e-5, atol=1e-8)
    assert (rows_of(sampled)["weight"] != before).any(dim=1).all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda one: type(one).__name__)
def test_rows_that_are_not_selected_stay_unchanged_to_the_byte(optimizer):
    loss = sparse(optimizer=optimizer)
    for embeddings, labels in batches(1000, 8, 3):
        before = {name: tensor.clone() for name, tensor in rows_of(loss).items()}
        with torch.no_grad():
            selection = loss.table.select(labels)
        loss(embeddings, labels).backward()
        loss.apply_gradients(0.1)
        moved = torch.zeros(1000, dtype=torch.bool)
        for name, tensor in rows_of(loss).items():
            moved |= (tensor != before[name]).reshape(1000, -1).any(dim=1)
        assert moved[labels].all()
        # Of a thousand classes, those of the batch and fifty others.
        assert len(selection.rows) <= 50 + 16
        assert int(moved.sum()) == len(selection.rows)


@given(
    st.integers(1, 300),
    st.integers(1, 400),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=40),
    st.booleans(),
    st.integers(0, 5),
)
def test_the_classes_of_the_batch_are_always_selected(classes, negatives, numbers, log_q, step):
    table = SparseTable(classes, 2, optimizer=SGD(momentum=0), negatives=negatives, log_q=log_q)
    table.step = step
    labels = torch.tensor([number % classes for number in numbers])
    rows, own_rows, columns, correction = table.select(labels)
    assert torch.equal(rows[columns], table.tensors(CPU)["weight"][labels])
    assert torch.equal(rows[columns], own_rows)
    assert min(negatives, classes) <= len(rows) <= min(classes, negatives + len(set(labels.tolist())))
    if correction is not None:
        assert (correction[columns] == 0).all()


def test_with_log_q_the_expected_sum_over_the_sample_is_the_sum_over_all_classes():
    torch.manual_seed(0)
    table = SparseTable(40, 4, optimizer=SGD(), negatives=10, log_q=True, seed=2)
    labels = torch.tensor([3, 17])
    whole = table.tensors(CPU)["weight"].mul(30).exp()[:, 0].sum()
    sums = []
    for step in range(4000):
        table.step = step
        with torch.no_grad():
            rows, _, _, correction = table.select(labels)
        sums.append((rows.mul(30)[:, 0] + correction).exp().sum())
    deviation = torch.stack(sums).std() / len(sums) ** 0.5
    assert abs(torch.stack(sums).mean() - whole) < 4 * deviation


def test_accumulated_batches_share_their_negatives_and_make_one_step():
    torch.manual_seed(0)
    whole, accumulated = sparse(seed=1), sparse(seed=1)
    embeddings, labels = torch.randn(12, 8), torch.randint(1000, (12,))
    whole(embeddings, labels).backward()
    negatives = []
    for batch in torch.arange(12).split(4):
        with torch.no_grad():
            rows, own_rows, _, _ = accumulated.table.select(labels[batch])
        negatives.append(set(rows[:, 0].tolist()) - set(own_rows[:, 0].tolist()))
        (accumulated(embeddings[batch], labels[batch]) / 3).backward()
    # All but those that are labels of one of the batches.
    assert len(negatives[0] & negatives[1] & negatives[2]) >= 50 - 12
    assert whole.apply_gradients(0.1)
    assert accumulated.apply_gradients(0.1)
    assert accumulated.table.step == 1
    moved = [(rows_of(loss)["weight"] != rows_of(sparse(seed=1))["weight"]).any(dim=1) for loss in (whole, accumulated)]
    assert torch.equal(*moved)
    assert rows_of(accumulated)["steps"].max() == 1


@pytest.mark.parametrize("scale", [2, 1024])
def test_gradients_of_a_scaled_loss_are_unscaled(scale):
    plain, scaled = sparse(), sparse()
    for embeddings, labels in batches(1000, 8, 3):
        plain(embeddings, labels).backward()
        (scaled(embeddings, labels) * scale).backward()
        plain.apply_gradients(0.1)
        scaled.apply_gradients(0.1, scale=scale)
    torch.testing.assert_close(rows_of(plain)["weight"], rows_of(scaled)["weight"])


def test_two_heads_train_at_once():
    torch.manual_seed(0)
    heads, alone = (sparse(seed=1), sparse(seed=2)), (sparse(seed=1), sparse(seed=2))
    embeddings = torch.randn(8, 8, requires_grad=True)
    labels = torch.randint(1000, (8,))
    (heads[0](embeddings, labels) + heads[1](embeddings, labels)).backward()
    for loss in alone:
        loss(embeddings, labels).backward()
    for together, apart in zip(heads, alone, strict=True):
        assert together.apply_gradients(0.1)
        apart.apply_gradients(0.1)
        assert torch.equal(rows_of(together)["weight"], rows_of(apart)["weight"])


def test_neither_an_optimizer_nor_a_state_dict_sees_the_rows():
    loss = sparse()
    rows_of(loss)
    assert list(loss.parameters()) == []
    assert set(loss.state_dict()) == {"own_cosine"}
    assert isinstance(loss, OwnsClassTable)
    assert not isinstance(MarginSoftmaxLoss(CosFace(0.4), embedding_dim=2, num_classes=3), OwnsClassTable)


def test_half_precision_and_copies_leave_the_rows_unchanged():
    loss = sparse()
    before = rows_of(loss)["weight"].clone()
    twin = copy.deepcopy(loss).to(torch.bfloat16)
    assert rows_of(twin)["weight"].dtype is torch.float32
    assert torch.equal(rows_of(twin)["weight"], before)
    loss(torch.randn(2, 8, dtype=torch.bfloat16), torch.tensor([1, 2])).backward()
    loss.apply_gradients(0.1)
    assert torch.equal(rows_of(twin)["weight"], before)


def test_the_rows_follow_the_loss_to_another_device():
    loss = sparse()
    rows_of(loss)
    loss.to("meta")
    assert {tensor.device.type for tensor in rows_of(loss).values()} == {"meta"}


def test_a_copy_has_the_rows_but_not_the_gradients():
    loss = sparse()
    before = {name: tensor.clone() for name, tensor in rows_of(loss).items()}
    ((embeddings, labels),) = batches(1000, 8, 1)
    loss(embeddings, labels).backward()
    twin = copy.deepcopy(loss.table)
    assert twin.apply_gradients(0.1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in twin.tensors(CPU).items())
    assert loss.apply_gradients(0.1)
    assert not torch.equal(rows_of(loss)["weight"], before["weight"])


def test_evaluation_leaves_no_gradients_behind():
    loss = sparse().eval()
    loss(torch.randn(2, 8), torch.tensor([1, 2]))
    loss.train()
    with torch.no_grad():
        loss(torch.randn(2, 8), torch.tensor([1, 2]))
    before = rows_of(loss)["weight"].clone()
    assert loss.apply_gradients(0.1)
    assert torch.equal(rows_of(loss)["weight"], before)
    # What asks for gradients of the embeddings alone.
    ((embeddings, labels),) = batches(1000, 8, 1)
    loss.eval()(embeddings, labels).backward()
    assert embeddings.grad.abs().sum() > 0
    assert loss.train().apply_gradients(0.1)
    assert torch.equal(rows_of(loss)["weight"], before)


def test_a_network_learns_classes_it_samples():
    torch.manual_seed(0)
    points = torch.randn(200, 12)
    network = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 8))
    loss = SparseMarginSoftmaxLoss(
        ArcFace(0.1), embedding_dim=8, num_classes=200, s=16.0, optimizer=AdamW(), negatives=40
    )
    updates = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for order in itertools.islice((torch.randperm(200) for _ in itertools.count()), 60):
        for labels in order.split(50):
            updates.zero_grad()
            loss(network(points[labels]), labels).backward()
            updates.step()
            loss.apply_gradients(1e-2)
    found = (nn.functional.normalize(network(points)) @ nn.functional.normalize(rows_of(loss)["weight"]).T).argmax(
        dim=1
    )
    assert (found == torch.arange(200)).float().mean() > 0.9


def test_the_summary_states_rows_and_memory():
    assert (
        sparse(1_000_000, 8192, 128).class_table_summary
        == "1,000,000 rows of 128, 8,192 sampled a step, AdamW by row, 1.5 GB"
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda one: type(one).__name__)
def test_the_size_is_that_of_all_rows_and_their_state(optimizer):
    table = sparse(100, 10, optimizer=optimizer).table
    assert table.nbytes == sum(tensor.nbytes for tensor in table.tensors(CPU).values())


def test_a_table_is_described_in_one_line():
    table = SparseTable(100, 8, optimizer=Adagrad(), negatives=10**6)
    assert repr(table) == "SparseTable(100x8, sparse, 100 negatives, Adagrad(eps=1e-10, weight_decay=0.0))"


def test_without_options_the_seed_is_zero_and_logits_are_not_corrected():
    default = SparseTable(100, 8, optimizer=SGD(), negatives=10)
    assert (default.centers, default.initialized, default.start, default.stop) == (1, 100, 0, 100)
    other = SparseTable(100, 8, optimizer=SGD(), negatives=10, seed=0, log_q=False, centers=1)
    labels = torch.tensor([3, 5])
    found, expected = default.select(labels), other.select(labels)
    assert torch.equal(found.rows, expected.rows)
    assert found.correction is None


def test_a_step_makes_no_tensor_of_the_size_of_the_table():
    loss = sparse(200_000, 64, 16)
    rows_of(loss)
    embeddings, labels = next(batches(200_000, 16, 1))
    with torch.profiler.profile(profile_memory=True) as profile:
        loss(embeddings, labels).backward()
        loss.apply_gradients(0.1)
    largest = max(event.cpu_memory_usage for event in profile.events())
    # The table is 12.8 MB; rows of 80 classes are 5 kB.
    assert 0 < largest < 200_000


class Reads(TorchDispatchMode):
    """Counts what would make the CPU wait for a device."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name in {"nonzero", "_unique2", "_local_scalar_dense"}:
            self.counts[name] += 1
        return function(*args, **(kwargs or {}))


def test_a_step_asks_the_device_twice():
    """Once for how many classes were selected, and once whether their gradients are finite."""
    table = sparse().table
    labels = torch.tensor([5, 999, 5, 0])
    with Reads() as seen:
        selection = table.select(labels)
    assert seen.counts == {"_unique2": 1}

    torch.testing.assert_close(selection.own_rows, table.tensors(CPU)["weight"][labels], rtol=0, atol=0)
    (selection.rows.sum() + 2 * selection.own_rows.sum()).backward()
    with Reads() as seen:
        assert table.apply_gradients(0.1)
    assert seen.counts == {"_local_scalar_dense": 1}


def test_a_step_between_two_backward_passes_of_one_graph_changes_neither():
    loss = sparse(optimizer=SGD(momentum=0))
    ((embeddings, labels),) = batches(1000, 8, 1)
    value = loss(embeddings, labels)
    value.backward(retain_graph=True)
    first = embeddings.grad.clone()
    loss.apply_gradients(0.1)
    value.backward()
    torch.testing.assert_close(embeddings.grad, 2 * first)


def test_rows_written_between_a_batch_and_its_step_stay():
    loss = sparse(optimizer=SGD(momentum=0))
    ((embeddings, labels),) = batches(1000, 8, 1)
    loss(embeddings, labels).backward()
    rows_of(loss)["weight"].fill_(7)
    loss.apply_gradients(1e-6)
    torch.testing.assert_close(rows_of(loss)["weight"], torch.full((1000, 8), 7.0), rtol=0, atol=0.01)


class Counting(SGD):
    """Keeps state of several shapes and types."""

    STATE = (((2, 3), torch.float32), ((6,), torch.bfloat16), ((10,), torch.int8), ((8,), torch.int8), ((), torch.bool))

    def state(self, num_rows, _width, device):
        return {
            str(n): torch.zeros(num_rows, *shape, dtype=dtype, device=device)
            for n, (shape, dtype) in enumerate(self.STATE)
        }

    def update(self, rows, gradients, state, learning_rate):  # noqa: ARG002 - as RowOptimizer
        for tensor in state.values():
            tensor.logical_not_()


def test_an_optimizer_may_keep_state_of_any_shape_and_type():
    loss = sparse(optimizer=Counting())
    ((embeddings, labels),) = batches(1000, 8, 1)
    loss(embeddings, labels).backward()
    loss.apply_gradients(0.1)
    for name in map(str, range(len(Counting.STATE))):
        state = rows_of(loss)[name]
        assert state.reshape(1000, -1).any(dim=1).sum() == state.reshape(1000, -1).all(dim=1).sum() > 50
        assert state[labels].all()


@pytest.mark.parametrize("negatives", [0, -3, 2.5])
def test_negatives_that_are_no_positive_integer_are_refused(negatives):
    with pytest.raises(ValueError, match=f"^negatives is {negatives}, but has to be a whole number above 0$"):
        sparse(negatives=negatives)
    assert sparse(negatives=1).table.negatives == 1
