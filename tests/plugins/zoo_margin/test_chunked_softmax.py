from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_margin import CurricularFace
from zoo_margin.chunked_softmax import log_sum_exp_of_others, own_cosines

DIM = 5
SCALE = torch.tensor(7.0, dtype=torch.float64)


def made(images=6, classes=8, centers=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(images, DIM, generator=generator, dtype=torch.float64))
    rows = torch.randn(classes, centers * DIM, generator=generator, dtype=torch.float64)
    columns = torch.randint(0, classes, (images,), generator=generator)
    columns[-1] = -1
    return directions.requires_grad_(), rows.requires_grad_(), columns


def cosines_with_all(directions, rows, centers):
    """Return the cosines with all classes ``[N, S]``, computed at once by functions of torch alone."""
    units = torch.nn.functional.normalize(rows.unflatten(1, (centers, DIM)), dim=2)
    return torch.einsum("nd,scd->nsc", directions, units).max(dim=2).values


def reference(directions, rows, columns, scale, centers=1, correction=None, modulation=None):
    cosines = cosines_with_all(directions, rows, centers)
    logits = scale * (modulation(cosines) if modulation else cosines)
    if correction is not None:
        logits = logits + correction
    own = torch.arange(len(rows)) == columns[:, None]
    return logits.masked_fill(own, -torch.inf).logsumexp(dim=1)


def curriculum(images):
    margin = CurricularFace(0.5).double()
    margin.t.fill_(0.4)
    return margin.modulation(torch.linspace(-0.5, 0.5, images, dtype=torch.float64), torch.tensor(0.8).double())


def gradients(value, *inputs):
    weights = torch.linspace(0.5, 1.5, len(value), dtype=torch.float64)
    return torch.autograd.grad((value * weights).sum(), inputs)


@pytest.mark.parametrize("chunk", [1, 3, 8, 100])
@pytest.mark.parametrize("centers", [1, 3])
@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("corrected", [False, True])
def test_chunks_are_exact_in_value_and_gradient(chunk, centers, modulated, corrected):
    directions, rows, columns = made(centers=centers)
    options = {
        "centers": centers,
        "correction": torch.linspace(0, 2, 8) if corrected else None,
        "modulation": curriculum(6) if modulated else None,
    }
    found = log_sum_exp_of_others(directions, rows, columns, SCALE, chunk=chunk, **options)
    expected = reference(directions, rows, columns, SCALE, **options)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    for ours, theirs in zip(gradients(found, directions, rows), gradients(expected, directions, rows), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 6), st.integers(2, 12), st.integers(1, 4), st.integers(1, 13), st.integers(0, 99))
def test_chunks_are_exact_for_all_sizes(images, classes, centers, chunk, seed):
    directions, rows, columns = made(images, classes, centers, seed)
    found = log_sum_exp_of_others(directions, rows, columns, SCALE, centers=centers, chunk=chunk)
    expected = reference(directions, rows, columns, SCALE, centers)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    ours, theirs = (gradients(value, directions, rows) for value in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("centers", "modulated"), [(1, False), (1, True), (2, False), (2, True)])
def test_gradients_agree_with_finite_differences(centers, modulated):
    directions, rows, columns = made(4, 5, centers)
    options = {"centers": centers, "modulation": curriculum(4) if modulated else None}
    correction = torch.linspace(0, 1, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x, w: log_sum_exp_of_others(x, w, columns, SCALE, correction=correction, chunk=2, **options),
        (directions, rows),
    )


@pytest.mark.parametrize("centers", [1, 3])
def test_rows_may_lie_in_memory_in_any_way(centers):
    directions, rows, columns = made(centers=centers)
    turned = rows.detach().T.contiguous().T.requires_grad_()
    assert not turned.is_contiguous()
    found, expected = (
        log_sum_exp_of_others(directions, one, columns, SCALE, centers=centers, chunk=3) for one in (turned, rows)
    )
    assert torch.equal(found, expected)
    (ours,), (theirs,) = gradients(found, turned), gradients(expected, rows)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-15)


def test_without_other_classes_the_sum_is_empty():
    directions, rows, _ = made(3, 1)
    for selected, columns in ((rows, [0, 0, 0]), (rows[:0], [-1, -1, -1])):
        found = log_sum_exp_of_others(directions, selected, torch.tensor(columns), SCALE)
        assert found.tolist() == [-torch.inf] * 3
        # As in the loss.
        loss = torch.logaddexp(found, torch.zeros(3, dtype=torch.float64)).sum()
        to_directions, to_rows = torch.autograd.grad(loss, (directions, rows))
        assert loss == 0
        assert to_directions.abs().max() == 0
        assert to_rows.abs().max() == 0


def test_logits_whose_exponential_overflows_are_summed():
    directions, rows, columns = made()
    found = log_sum_exp_of_others(directions.float(), rows.float(), columns, torch.tensor(1e4), chunk=3)
    expected = reference(directions, rows, columns, 1e4)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("centers", [1, 3])
def test_a_backward_pass_under_autocast_is_the_same(dtype, centers):
    directions, rows, columns = made(centers=centers)
    directions, rows = (tensor.detach().float().requires_grad_() for tensor in (directions, rows))
    values = [log_sum_exp_of_others(directions, rows, columns, SCALE.float(), centers=centers).sum() for _ in range(2)]
    expected = torch.autograd.grad(values[0], (directions, rows))
    with torch.autocast("cpu", dtype=dtype):
        found = torch.autograd.grad(values[1], (directions, rows))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


@pytest.mark.parametrize("centers", [1, 3])
def test_own_cosines_are_those_with_the_nearest_center(centers):
    directions, rows, columns = made(centers=centers)
    on_this_rank = columns >= 0
    found = own_cosines(directions, rows[columns], columns, centers)
    expected = cosines_with_all(directions, rows, centers)[on_this_rank].gather(1, columns[on_this_rank, None])[:, 0]
    torch.testing.assert_close(found[on_this_rank], expected)
    assert (found[~on_this_rank] == 0).all()
    ours, theirs = (torch.autograd.grad(value.sum(), (directions, rows)) for value in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_classes_of_another_rank_have_cosines_of_zero_and_gradients_of_zero():
    directions, rows, _ = made(3, 1)
    found = own_cosines(directions, torch.zeros_like(rows), torch.full((3,), -1))
    (gradient,) = torch.autograd.grad(found.sum(), directions)
    assert found.tolist() == [0, 0, 0]
    assert gradient.abs().max() == 0
