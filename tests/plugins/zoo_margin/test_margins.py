from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo_margin.margins import ArcFace, CosFace, NoMargin

FULL = torch.tensor(1.0, dtype=torch.float64)
MARGINS = [NoMargin(), CosFace(0.4), ArcFace(0.5)]


def paper_arcface(cosines, m):
    """Equation 3 as it is written, in float64, for theta + m <= pi."""
    return torch.cos(torch.acos(cosines.double()) + m)


@given(st.floats(-math.cos(0.5) + 1e-3, 0.999), st.floats(0, 0.5))
def test_arcface_is_the_formula_of_the_paper_in_value_and_gradient(cosine, m):
    ours = torch.tensor([cosine], dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    value, expected = ArcFace(m)(ours, FULL), paper_arcface(theirs, m)
    value.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_arcface_is_the_ratio_of_sines():
    theta, m = torch.tensor([0.1, 0.7, 1.5, 2.5], dtype=torch.float64), 0.5
    cosines = theta.cos().requires_grad_()
    ArcFace(m)(cosines, FULL).sum().backward()
    torch.testing.assert_close(cosines.grad, (theta + m).sin() / theta.sin())


@pytest.mark.parametrize("margin", MARGINS, ids=str)
def test_gradients_agree_with_finite_differences(margin):
    cosines = torch.linspace(-0.99, 0.99, 37, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: margin(x, 0.7 * FULL), (cosines,))


@pytest.mark.parametrize("margin", MARGINS, ids=str)
@pytest.mark.parametrize("cosine", [-1.0, 0.0, 1.0])
def test_values_and_gradients_are_finite_up_to_the_ends(margin, cosine):
    cosines = torch.tensor([cosine], requires_grad=True)
    value = margin(cosines, FULL)
    value.sum().backward()
    assert value.isfinite().all()
    assert cosines.grad.isfinite().all()


def test_values_at_the_ends():
    ends = torch.tensor([1.0, 0.0, -1.0])
    torch.testing.assert_close(CosFace(0.4)(ends, FULL), torch.tensor([0.6, -0.4, -1.4]))
    expected = torch.tensor([math.cos(0.5), -math.sin(0.5), -1 - 0.5 * math.sin(0.5)])
    # At 1 the sine is held at a thousandth.
    torch.testing.assert_close(ArcFace(0.5)(ends, FULL), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("margin", [*MARGINS, ArcFace(1.5)], ids=str)
def test_a_larger_angle_never_counts_as_more_alike(margin):
    cosines = torch.linspace(1, -1, 20_001, dtype=torch.float64)
    values = margin(cosines, FULL)
    assert (values.diff() < 0).all()
    assert (values <= cosines).all()


@pytest.mark.parametrize("margin", MARGINS, ids=str)
def test_no_strength_is_no_margin(margin):
    cosines = torch.linspace(-1, 1, 101, dtype=torch.float64)
    torch.testing.assert_close(margin(cosines, 0 * FULL), cosines, rtol=0, atol=1e-15)
