from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zoo_margin import AdaFace, ArcFace, Combined, CosFace, CurricularFace, ElasticFace, MagFace, Margin, NoMargin

FULL = torch.tensor(1.0, dtype=torch.float64)
MAGFACE = {"low_m": 0.45, "high_m": 0.8, "low_norm": 2.0, "high_norm": 6.0, "weight": 35.0}
MARGINS = [
    NoMargin(),
    CosFace(0.4),
    ArcFace(0.5),
    Combined(1.0, 0.3, 0.2),
    Combined(1.35, 0.2, 0.1),
    Combined(0.9, 0.4, 0.15),
    ElasticFace(0.5, 0.05, angular=True),
    ElasticFace(0.35, 0.05, angular=False),
    AdaFace(0.4, 0.333),
    MagFace(**MAGFACE),
    CurricularFace(0.5),
]


def applied(margin, cosines, strength=FULL, norm=4.0):
    return margin(cosines, torch.full_like(cosines, norm).detach(), strength)


def paper_arcface(cosines, m):
    """Equation 3 as it is written, in float64, for theta + m <= pi."""
    return torch.cos(torch.acos(cosines.double()) + m)


@settings(deadline=None)
@given(st.floats(-math.cos(0.5) + 1e-3, 0.999), st.floats(0, 0.5))
def test_arcface_is_the_formula_of_the_paper_in_value_and_gradient(cosine, m):
    ours = torch.tensor([cosine], dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    value, expected = applied(ArcFace(m), ours), paper_arcface(theirs, m)
    value.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_arcface_is_the_ratio_of_sines():
    theta, m = torch.tensor([0.1, 0.7, 1.5, 2.5], dtype=torch.float64), 0.5
    cosines = theta.cos().requires_grad_()
    applied(ArcFace(m), cosines).sum().backward()
    torch.testing.assert_close(cosines.grad, (theta + m).sin() / theta.sin())


@settings(deadline=None)
@given(st.floats(0.05, 3.0), st.just(1.0) | st.floats(0.5, 2.0), st.floats(0, 1.0), st.floats(0, 0.5), st.floats(0, 1))
def test_all_three_combined_margins_count_and_so_does_the_strength(theta, m1, m2, m3, strength):
    cosines = torch.tensor([math.cos(theta)], dtype=torch.float64)
    wide = (1 + strength * (m1 - 1)) * theta + strength * m2
    assume(wide < math.pi)
    expected = math.cos(wide) - strength * m3
    assert applied(Combined(m1, m2, m3), cosines, strength * FULL).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("margin", MARGINS, ids=str)
def test_gradients_agree_with_finite_differences(margin):
    cosines = torch.linspace(-0.99, 0.99, 37, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: applied(margin, x, 0.7 * FULL), (cosines,))


@pytest.mark.parametrize("margin", MARGINS, ids=str)
@pytest.mark.parametrize("cosine", [-1.0, 0.0, 1.0])
def test_values_and_gradients_are_finite_up_to_the_ends(margin, cosine):
    cosines = torch.tensor([cosine], requires_grad=True)
    value = applied(margin, cosines, FULL.float())
    value.sum().backward()
    assert value.isfinite().all()
    assert cosines.grad.isfinite().all()


def test_values_at_the_ends():
    ends = torch.tensor([1.0, 0.0, -1.0])
    torch.testing.assert_close(applied(CosFace(0.4), ends, FULL.float()), torch.tensor([0.6, -0.4, -1.4]))
    expected = torch.tensor([math.cos(0.5), -math.sin(0.5), -1 - 0.5 * math.sin(0.5)])
    # At 1 the sine is clamped to 0.001.
    torch.testing.assert_close(applied(ArcFace(0.5), ends, FULL.float()), expected, rtol=0, atol=1e-3)


def falls(values, *, strictly=True):
    return (values.diff() < 0).all() if strictly else (values.diff() <= 1e-12).all()


@pytest.mark.parametrize("margin", [*MARGINS, ArcFace(1.5), ArcFace(2.5), Combined(1.0, 3.0, 0.0)], ids=str)
def test_the_value_falls_with_the_angle(margin):
    cosines = torch.linspace(1, -1, 20_001, dtype=torch.float64)
    # Not in training, where each image has a random margin.
    values = applied(copy.deepcopy(margin).eval(), cosines)
    assert falls(values)
    if getattr(margin, "m1", 1) >= 1:
        assert (values <= cosines).all()


@settings(deadline=None)
@given(st.floats(0, 3.14159), st.floats(0, 2))
def test_margins_of_any_size_never_reward_distance(m, m3):
    cosines = torch.linspace(1, -1, 301, dtype=torch.float64)
    assert falls(applied(ArcFace(m), cosines), strictly=False)
    assert falls(applied(CurricularFace(m), cosines), strictly=False)
    assert falls(applied(Combined(1.0, m, m3), cosines), strictly=False)
    assert falls(applied(Combined(1.7, m, m3), cosines), strictly=False)


@settings(deadline=None)
@given(st.floats(0, 1.57), st.floats(0, 100))
def test_adaface_never_rewards_distance_at_any_quality(m, norm):
    cosines = torch.linspace(1, -1, 301, dtype=torch.float64)
    margin = AdaFace(m, 0.333).double()
    margin.deviation.fill_(5.0)
    values = applied(margin, cosines, norm=norm)
    assert falls(values, strictly=False)
    assert (values <= 1).all()


@pytest.mark.parametrize("margin", MARGINS, ids=str)
def test_no_strength_is_no_margin(margin):
    cosines = torch.linspace(-0.999, 0.999, 101, dtype=torch.float64)
    torch.testing.assert_close(applied(margin, cosines, 0 * FULL), cosines, rtol=0, atol=1e-14)
    modulation = margin.modulation(cosines, 0 * FULL)
    others = torch.linspace(-1, 1, 11, dtype=torch.float64).expand(101, 11)
    assert modulation is None or torch.equal(modulation(others), others)


def sampled(margin, images=8):
    """Return the margins that an ElasticFace on the cosine samples for the next batch."""
    margin.observe(torch.zeros(images), torch.ones(images))
    return -margin(torch.zeros(images), torch.ones(images), torch.tensor(1.0))


def test_elasticface_samples_a_margin_for_each_image_from_a_normal_distribution():
    margin = ElasticFace(0.35, 0.05, angular=False)
    margins = torch.cat([sampled(margin, 500) for _ in range(20)])
    assert margins.mean() == pytest.approx(0.35, abs=0.002)
    assert margins.std() == pytest.approx(0.05, rel=0.03)
    assert ((margins - 0.35).abs() < 0.05).float().mean() == pytest.approx(0.683, abs=0.015)
    assert len(margins.unique()) > 9_900


def test_elasticface_samples_the_same_margins_on_every_rank_and_after_a_resume():
    margin, other = (ElasticFace(0.35, 0.05, angular=False) for _ in range(2))
    first, second = sampled(margin), sampled(margin)
    assert torch.equal(sampled(other), first)
    assert not torch.equal(first, second)
    resumed = ElasticFace(0.35, 0.05, angular=False)
    resumed.load_state_dict(other.state_dict())
    assert torch.equal(sampled(resumed), second)


def test_elasticface_has_the_mean_margin_in_evaluation():
    margin = ElasticFace(0.5, 0.05, angular=True).eval()
    cosines = torch.linspace(-0.8, 0.9, 9, dtype=torch.float64)
    torch.testing.assert_close(applied(margin, cosines), paper_arcface(cosines, 0.5))


def test_elasticface_adds_its_margins_to_the_angle():
    on_cosine, on_angle = ElasticFace(0.5, 0.1, angular=False), ElasticFace(0.5, 0.1, angular=True)
    cosines = torch.linspace(-0.4, 0.9, 8)
    m = sampled(on_cosine)
    on_angle.load_state_dict(on_cosine.state_dict())
    torch.testing.assert_close(applied(on_angle, cosines, FULL.float()), (cosines.acos() + m).cos(), rtol=0, atol=1e-6)


def test_elasticface_has_the_margins_of_the_paper_by_default():
    assert ElasticFace(None, 0.05, angular=True).m == 0.5
    assert ElasticFace(None, 0.05, angular=False).m == 0.35


def test_an_extreme_sample_is_still_a_margin():
    margin = ElasticFace(2.0, 5.0, angular=True)
    cosines = torch.linspace(-1, 1, 999)
    values = applied(margin, cosines, FULL.float())
    assert (values <= 1).all()
    assert values.min() >= -3


def test_methods_that_a_margin_does_not_define_do_nothing():
    margin = Margin()
    cosines, norms = torch.tensor([0.3]), torch.tensor([2.0])
    margin.observe(cosines, norms)
    assert torch.equal(margin(cosines, norms, FULL.float()), cosines)
    assert margin.penalty(norms) is None
    assert margin.modulation(cosines, FULL.float()) is None
