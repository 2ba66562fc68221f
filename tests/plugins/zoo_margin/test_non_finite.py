from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo_margin import AdamW, CosFace, SparseMarginSoftmaxLoss
from zoo_margin.non_finite import propagate_non_finite_gradients

CPU = torch.device("cpu")


def sparse():
    return SparseMarginSoftmaxLoss(CosFace(0.4), embedding_dim=8, num_classes=1000, optimizer=AdamW(), negatives=50)


def rows_of(loss):
    return loss.table.tensors(CPU)


def batches(dim, count, size=16):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        yield torch.randn(size, dim, generator=generator), torch.randint(1000, (size,), generator=generator)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_non_finite_step_moves_nothing_and_reaches_the_network(bad):
    loss = sparse()
    before = {name: tensor.clone() for name, tensor in rows_of(loss).items()}
    embeddings = torch.randn(4, 8)
    embeddings[1, 2] = bad
    embeddings.requires_grad_()
    loss(embeddings, torch.tensor([1, 2, 3, 4])).backward()
    assert not embeddings.grad.isfinite().all()
    assert not loss.apply_gradients(0.1)
    assert all(torch.equal(before[name], tensor) for name, tensor in rows_of(loss).items())
    assert loss.own_cosine.isfinite()
    assert loss.table.step == 1


@pytest.mark.parametrize("bad", [None, "rows", "own_rows"])
def test_a_gradient_of_any_row_that_is_not_finite_reaches_all_embeddings(bad):
    tensors = {name: torch.ones(2, 3, requires_grad=True) for name in ("directions", "rows", "own_rows")}
    gradients = {name: torch.full((2, 3), float(number)) for number, name in enumerate(tensors)}
    if bad:
        gradients[bad][1, 2] = float("inf")
    torch.autograd.backward(propagate_non_finite_gradients(**tensors), tuple(gradients.values()))
    if bad:
        assert tensors["directions"].grad.isnan().all()
    else:
        assert torch.equal(tensors["directions"].grad, gradients["directions"])
    assert all(torch.equal(tensors[name].grad, gradients[name]) for name in ("rows", "own_rows"))


def test_with_a_grad_scaler_table_and_network_skip_the_same_steps():
    torch.manual_seed(0)
    network, loss = nn.Linear(6, 8), sparse()
    updates = torch.optim.SGD(network.parameters(), lr=0.1)
    # Large enough that the first losses overflow.
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**124)
    moved = []
    for points, labels in batches(6, 40):
        weight, rows = network.weight.detach().clone(), rows_of(loss)["weight"].clone()
        updates.zero_grad()
        scaler.scale(loss(network(points), labels)).backward()
        scaler.step(updates)
        scale = scaler.get_scale()
        scaler.update()
        if scaler.get_scale() < scale:
            loss.drop_gradients()
        else:
            # A step that the scaler lets pass is finite in the table, too.
            assert loss.apply_gradients(0.1, scale=scale)
        moved.append(not torch.equal(weight, network.weight))
        assert moved[-1] == (not torch.equal(rows, rows_of(loss)["weight"]))
    assert moved[0] is False
    assert moved[-1] is True
    assert all(tensor.isfinite().all() for tensor in rows_of(loss).values())
