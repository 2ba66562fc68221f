from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_margin import AdaFace, CurricularFace, MagFace

FULL = torch.tensor(1.0, dtype=torch.float64)
MAGFACE = {"low_m": 0.45, "high_m": 0.8, "low_norm": 10.0, "high_norm": 110.0, "weight": 35.0}
CASES = {"adaface": lambda: AdaFace(0.4, 0.333), "curricularface": lambda: CurricularFace(0.5)}


def batch(size, seed=0):
    generator = np.random.default_rng(seed)
    return torch.tensor(generator.uniform(-0.5, 0.9, size)), torch.tensor(generator.uniform(5, 40, size))


def test_adaface_keeps_running_mean_and_deviation_of_the_lengths():
    margin = AdaFace(0.4, 0.333, momentum=0.9).double()
    mean, deviation = 20.0, 100.0
    for seed in range(5):
        cosines, norms = batch(8, seed)
        margin.observe(cosines, norms)
        mean = 0.9 * mean + 0.1 * norms.numpy().mean()
        deviation = 0.9 * deviation + 0.1 * norms.numpy().std(ddof=1)
    assert margin.mean.item() == pytest.approx(mean)
    assert margin.deviation.item() == pytest.approx(deviation)


@settings(deadline=None)
# Angles that stay within 0..pi, whatever is added: the margin's ends have a test of their own.
@given(st.floats(0.45, 2.6), st.floats(0.01, 99), st.floats(0, 1))
def test_adaface_is_the_formula_of_the_paper(theta, norm, strength):
    margin = AdaFace(0.4, 0.333).double()
    margin.mean.fill_(30.0)
    margin.deviation.fill_(10.0)
    z = np.clip((norm - 30) / (10 + 0.001) * 0.333, -1, 1)
    g_angle, g_add = -0.4 * z * strength, (0.4 * z + 0.4) * strength

    cosines = torch.tensor([math.cos(theta)], dtype=torch.float64)
    value = margin(cosines, torch.tensor([norm], dtype=torch.float64), strength * FULL)

    assert value.item() == pytest.approx(math.cos(theta + g_angle) - g_add, abs=1e-9)


@pytest.mark.parametrize("z", [-1.0, 0.0, 1.0])
def test_adaface_is_arcface_for_low_quality_and_cosface_for_average_quality(z):
    margin = AdaFace(0.4, 0.333).double()
    margin.mean.fill_(30.0)
    margin.deviation.fill_(1.0)
    norm, theta = 30.0 + 20 * z, torch.tensor([0.6, 1.2, 2.0], dtype=torch.float64)
    expected = {-1.0: (theta + 0.4).cos(), 0.0: theta.cos() - 0.4, 1.0: (theta - 0.4).cos() - 0.8}[z]
    torch.testing.assert_close(margin(theta.cos(), torch.full_like(theta, norm), FULL), expected)


def test_no_gradient_flows_through_the_lengths_in_adaface():
    cosines, norms = batch(4)
    cosines.requires_grad_()
    norms.requires_grad_()
    AdaFace(0.4, 0.333).double()(cosines, norms, FULL).sum().backward()
    assert cosines.grad.abs().min() > 0
    assert norms.grad is None


@settings(deadline=None)
@given(st.floats(0.1, 300))
def test_magface_is_the_formula_of_the_paper(norm):
    margin, a = MagFace(**MAGFACE), np.clip(norm, 10, 110)
    m = (0.8 - 0.45) / (110 - 10) * (a - 10) + 0.45
    norms, cosines = torch.tensor([norm], dtype=torch.float64), torch.tensor([0.3], dtype=torch.float64)
    assert margin(cosines, norms, FULL).item() == pytest.approx(math.cos(math.acos(0.3) + m))
    assert margin.penalty(norms).item() == pytest.approx(35 * (1 / a + a / 110**2))


def test_gradients_flow_through_the_lengths_in_magface():
    cosines, norms = torch.tensor([0.3, 0.5]).double(), torch.tensor([20.0, 60.0]).double().requires_grad_()
    margin = MagFace(**MAGFACE)
    assert torch.autograd.gradcheck(lambda x: margin(cosines, x, FULL), (norms,))
    assert torch.autograd.gradcheck(margin.penalty, (norms,))
    margin.penalty(norms).backward()
    # Longer is better, up to the longest.
    assert (norms.grad < 0).all()


@pytest.mark.parametrize(
    "wrong", [{"low_m": 0.9}, {"low_norm": 0.0}, {"high_norm": 10.0}], ids=["margins", "zero", "lengths"]
)
def test_magface_refuses_an_empty_range(wrong):
    with pytest.raises(ValueError, match="low_m <= high_m and 0 < low_norm < high_norm"):
        MagFace(**MAGFACE | wrong)


def test_curricularface_keeps_the_running_mean_of_the_cosine():
    margin, t = CurricularFace(0.5, momentum=0.9).double(), 0.0
    for seed in range(5):
        cosines, norms = batch(8, seed)
        margin.observe(cosines, norms)
        t = 0.1 * cosines.numpy().mean() + 0.9 * t
    assert margin.t.item() == pytest.approx(t)


def test_curricularface_multiplies_hard_negatives_alone():
    margin = CurricularFace(0.5).double()
    margin.t.fill_(0.3)
    own = torch.tensor([0.2, 0.95], dtype=torch.float64)
    others = torch.tensor([[0.1, 0.5, 0.9, -0.7]] * 2, dtype=torch.float64)

    found = margin.modulation(own, FULL)(others)

    expected = [[0.1, 0.5 * (0.3 + 0.5), 0.9 * (0.3 + 0.9), -0.7], others[1].tolist()]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_a_batch_in_between_does_not_change_what_curricularface_does_in_the_backward_pass():
    margin = CurricularFace(0.5).double()
    others = torch.linspace(-1, 1, 9, dtype=torch.float64).expand(2, 9)
    modulation = margin.modulation(torch.zeros(2, dtype=torch.float64), FULL)
    before = modulation(others)
    margin.observe(torch.ones(2, dtype=torch.float64), torch.ones(2))
    assert margin.t > 0
    assert torch.equal(modulation(others), before)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_broken_embedding_does_not_poison_the_state(name, value):
    margin = CASES[name]()
    margin.observe(*batch(8))
    cosines, norms = batch(8, seed=1)
    cosines[3], norms[3] = math.nan, value
    margin.observe(cosines, norms)
    assert all(state.isfinite() for state in margin.state_dict().values())

    if math.isnan(value):
        clean = CASES[name]()
        clean.observe(*batch(8))
        assert margin.state_dict() == clean.state_dict()


@pytest.mark.parametrize("name", CASES)
def test_a_batch_of_one_updates_what_it_can(name):
    margin = CASES[name]()
    before = copy.deepcopy(margin.state_dict())
    margin.observe(*batch(1))
    after = margin.state_dict()
    assert all(state.isfinite() for state in after.values())
    # One length has no deviation.
    assert [key for key in after if not torch.equal(before[key], after[key])] == (
        ["mean"] if name == "adaface" else ["t"]
    )


@pytest.mark.parametrize("name", CASES)
def test_state_is_saved_and_restored(name, tmp_path):
    margin, restored = CASES[name](), CASES[name]()
    for seed in range(3):
        margin.observe(*batch(8, seed))
    torch.save(margin.state_dict(), tmp_path / "state.pt")
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert margin.state_dict() == restored.state_dict() != CASES[name]().state_dict()
