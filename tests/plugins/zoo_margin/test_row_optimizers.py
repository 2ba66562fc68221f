from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo_margin import SGD, Adagrad, AdamW

CPU = torch.device("cpu")


def stepped(optimizer, gradients, learning_rate=0.1, rows=None):
    """Return the rows after a step with each of the gradients, and their state."""
    rows = torch.ones(gradients[0].shape) if rows is None else rows.clone()
    state = optimizer.state(*rows.shape, CPU)
    for gradient in gradients:
        optimizer.update(rows, gradient.clone(), state, learning_rate)
    return rows, state


@pytest.mark.parametrize(
    ("by_row", "by_torch"),
    [
        (SGD(momentum=0.0), lambda p: torch.optim.SGD(p, lr=0.1)),
        (SGD(momentum=0.9, weight_decay=0.05), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05)),
        (AdamW(), lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.0)),
        (
            AdamW(betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1),
            lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1),
        ),
    ],
    ids=["sgd", "sgd with momentum and decay", "adamw", "adamw with decay"],
)
def test_a_row_updated_in_every_step_moves_as_with_torchs_optimizer(by_row, by_torch):
    torch.manual_seed(0)
    gradients = [torch.randn(6, 5) for _ in range(50)]
    reference = nn.Parameter(torch.ones(6, 5))
    optimizer = by_torch([reference])
    for gradient in gradients:
        reference.grad = gradient.clone()
        optimizer.step()
    rows, _ = stepped(by_row, gradients)
    torch.testing.assert_close(rows, reference.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("eps", [1e-10, 0.5])
def test_adagrad_keeps_one_accumulator_for_each_row(eps):
    torch.manual_seed(0)
    gradients = [torch.randn(4, 3) for _ in range(7)]
    rows, state = stepped(Adagrad(eps=eps, weight_decay=0.01), gradients)
    expected, total = torch.ones(4, 3, dtype=torch.float64), torch.zeros(4, 1, dtype=torch.float64)
    for gradient in gradients:
        total += gradient.double().square().mean(dim=1, keepdim=True)
        expected = expected * (1 - 0.1 * 0.01) - 0.1 * gradient.double() / (total.sqrt() + eps)
    assert state["sum"].shape == (4,)
    torch.testing.assert_close(rows.double(), expected, rtol=1e-5, atol=1e-6)


def test_adagrad_of_rows_of_width_one_is_torchs():
    torch.manual_seed(0)
    gradients = [torch.randn(6, 1) for _ in range(20)]
    reference = nn.Parameter(torch.ones(6, 1))
    optimizer = torch.optim.Adagrad([reference], lr=0.1)
    for gradient in gradients:
        reference.grad = gradient.clone()
        optimizer.step()
    torch.testing.assert_close(stepped(Adagrad(), gradients)[0], reference.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (SGD(momentum=0.0), {}),
        (SGD(), {"momentum_buffer": ((3, 2), torch.float32)}),
        (
            AdamW(),
            {
                "exp_avg": ((3, 2), torch.float32),
                "exp_avg_sq": ((3, 2), torch.float32),
                # A float32 counts no further than 2**24.
                "steps": ((3,), torch.int32),
            },
        ),
        (Adagrad(), {"sum": ((3,), torch.float32)}),
    ],
    ids=["plain sgd", "sgd", "adamw", "adagrad"],
)
def test_the_state_is_made_on_the_device_that_is_asked_for(optimizer, expected):
    state = optimizer.state(3, 2, torch.device("meta"))
    assert {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()} == expected
    assert {tensor.device.type for tensor in state.values()} <= {"meta"}


def test_a_late_first_step_of_adamw_has_the_size_of_the_learning_rate():
    optimizer = AdamW()
    state = optimizer.state(2, 4, CPU)
    rows = torch.zeros(2, 4)
    for _ in range(1000):
        early = {name: value[:1] for name, value in state.items()}
        optimizer.update(rows[:1], torch.ones(1, 4), early, 1e-3)
    late = {name: value[1:] for name, value in state.items()}
    optimizer.update(rows[1:], torch.full((1, 4), 7.0), late, 1e-3)
    torch.testing.assert_close(rows[1], torch.full((4,), -1e-3))
    assert state["steps"].tolist() == [1000, 1]
