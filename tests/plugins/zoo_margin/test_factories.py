from __future__ import annotations

import pytest
import torch

from zoo.assembly import RecipeBuilder
from zoo.recipes.loading import load_recipe
from zoo_core.api import ZooError
from zoo_core.building import build
from zoo_core.discovery import discover
from zoo_margin import (
    SGD,
    AdaFace,
    Adagrad,
    AdamW,
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    ElasticFace,
    MagFace,
    MarginSoftmaxLoss,
    NoMargin,
    SparseMarginSoftmaxLoss,
)

WIRED = {"embedding_dim": 6, "num_classes": 9, "classes": [f"class {number}" for number in range(9)], "seed": 3}
LOSSES = {
    "softmax": (NoMargin, {}, {}),
    "cosface": (CosFace, {"m": 0.4}, {"m": 0.3}),
    "arcface": (ArcFace, {"m": 0.5}, {"m": 0.3}),
    "subcenter": (ArcFace, {"m": 0.5}, {"m": 0.3}),
    "combined": (Combined, {"m1": 1.0, "m2": 0.3, "m3": 0.2}, {"m1": 0.9, "m2": 0.4, "m3": 0.15}),
    "elasticface": (ElasticFace, {"m": 0.5, "sigma": 0.05, "angular": True}, {"m": 0.3, "sigma": 0.1}),
    "adaface": (AdaFace, {"m": 0.4, "h": 0.333, "momentum": 0.99}, {"m": 0.3, "h": 0.5, "momentum": 0.9}),
    "magface": (
        MagFace,
        {"low_m": 0.45, "m": 0.8, "low_norm": 10.0, "high_norm": 110.0, "weight": 35.0},
        {"low_m": 0.1, "high_m": 0.2, "low_norm": 1.0, "high_norm": 2.0, "weight": 3.0},
    ),
    "curricularface": (CurricularFace, {"m": 0.5, "momentum": 0.99}, {"m": 0.3, "momentum": 0.9}),
}


def made(name="cosface", wired=WIRED, **options):
    return build(discover(), "loss", f"margin/{name}", options, wired)


def attributes(module, names):
    return {name: getattr(module, name) for name in names}


@pytest.mark.parametrize("name", LOSSES)
def test_without_options_a_loss_has_the_margin_of_the_paper(name):
    margin, defaults, _ = LOSSES[name]
    loss = made(name)
    assert isinstance(loss, MarginSoftmaxLoss)
    assert type(loss.margins) is margin
    assert attributes(loss.margins, defaults) == defaults
    assert (loss.s, loss.warmup, loss.contrast) == (64.0, 0.2, 0.0)
    assert loss.centers == (3 if name == "subcenter" else 1)
    assert loss.weight.shape == (9, 6 * loss.centers)


@pytest.mark.parametrize("name", LOSSES)
def test_options_reach_the_margin_and_the_loss(name):
    _, _, options = LOSSES[name]
    common = {"s": 30.0, "warmup": 0.5, "initial_s": 4.0, "contrast": 0.5, "contrast_s": 5.0, "centers": 2}
    loss = made(name, **options, **common)
    names = {"high_m": "m"}
    assert attributes(loss.margins, [names.get(key, key) for key in options]) == {
        names.get(key, key): value for key, value in options.items()
    }
    assert attributes(loss, common) == common


def test_the_default_margin_of_elasticface_depends_on_angular():
    assert made("elasticface", angular=False).margins.m == 0.35
    assert made("elasticface", angular=False, m=0.2).margins.m == 0.2


def test_the_table_depends_on_the_seed():
    assert torch.equal(made().weight, made().weight)
    assert not torch.equal(made().weight, made(wired={**WIRED, "seed": 4}).weight)


@pytest.mark.parametrize(
    ("classes", "class_table", "negatives"),
    [
        (9, {}, None),
        (65_536, {}, None),
        (65_537, {}, 8192),
        (65_537, {"mode": "dense"}, None),
        (9, {"mode": "auto"}, None),
        (9, {"mode": "sparse"}, 9),
        (9, {"negatives": 4}, 4),
        (1000, {"rate": 0.1}, 100),
        (9, {"rate": 0.25}, 3),
        (9, {"rate": 1}, 9),
        (9, {"optimizer": "sgd"}, 9),
        (100_000, {"mode": "sparse", "rate": 0.5}, 50_000),
    ],
)
def test_the_mode_of_the_table_follows_the_options_and_the_number_of_classes(classes, class_table, negatives):
    loss = made(wired={"embedding_dim": 2, "num_classes": classes}, class_table=class_table)
    if negatives is None:
        assert isinstance(loss, MarginSoftmaxLoss)
    else:
        assert isinstance(loss, SparseMarginSoftmaxLoss)
        assert loss.table.negatives == negatives


@pytest.mark.parametrize(
    ("class_table", "optimizer"),
    [
        ({"negatives": 4}, AdamW()),
        (
            {
                "optimizer": "adamw",
                "optimizer_options": {"betas": [0.8, 0.99], "eps": 1e-6, "weight_decay": 0.1},
            },
            AdamW(betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1),
        ),
        (
            {"optimizer": "sgd", "optimizer_options": {"momentum": 0, "weight_decay": 0.1}},
            SGD(momentum=0.0, weight_decay=0.1),
        ),
        ({"optimizer": "sgd"}, SGD()),
        ({"optimizer": "adagrad", "optimizer_options": {"eps": 1e-3}}, Adagrad(eps=1e-3)),
        ({"optimizer": "adagrad"}, Adagrad()),
    ],
)
def test_the_row_optimizer_is_that_of_the_recipe(class_table, optimizer):
    assert made(class_table=class_table).table.optimizer == optimizer


def test_all_other_options_of_the_table_reach_it():
    loss = made("subcenter", class_table={"negatives": 4, "log_q": True, "lr_factor": 3.0})
    assert (loss.table.log_q, loss.lr_factor, loss.table.seed, loss.table.width) == (True, 3.0, 3, 18)
    assert (loss.centers, loss.margins.m) == (3, 0.5)
    assert loss(torch.randn(4, 6), torch.tensor([0, 8, 8, 2])).isfinite()


RECIPE = """\
extends: lcnet050_cosface_96
model:
  loss:
    name: {name}
    options: {options}
"""
# A loss, its options, and the column and text of the error.
WRONG = [
    ("cosface", "{m: 3}", 15, "model.loss.options.m: should be less than or equal to 2, not 3"),
    ("arcface", "{m: 3.2}", 15, "model.loss.options.m: should be less than 3.141592653589793, not 3.2"),
    ("arcface", "{centers: 0}", 15, "model.loss.options.centers: should be greater than 0, not 0"),
    ("combined", "{m1: 0}", 15, "model.loss.options.m1: should be greater than 0, not 0"),
    ("adaface", "{momemtum: 0.9}", 15, "model.loss.options.momemtum: unknown key; did you mean 'momentum'?"),
    ("magface", "{low_m: 0.9}", 5, "model.loss.options: low_m, 0.9, is above high_m, 0.8"),
    ("magface", "{low_norm: 110}", 5, "model.loss.options: low_norm, 110, is not below high_norm, 110"),
    ("elasticface", "{sigma: wide}", 15, "model.loss.options.sigma: should be a number, not 'wide'"),
    ("softmax", "{class_table: 3}", 15, "model.loss.options.class_table: should be a mapping, not 3"),
    (
        "cosface",
        "{class_table: {negatvies: 3}}",
        29,
        "model.loss.options.class_table.negatvies: unknown key; did you mean 'negatives'?",
    ),
    (
        "cosface",
        "{class_table: {mode: spares}}",
        29,
        (
            "model.loss.options.class_table.mode: should be 'auto', 'dense' or 'sparse', not 'spares'; "
            "did you mean 'sparse'?"
        ),
    ),
    (
        "cosface",
        "{class_table: {rate: 0}}",
        29,
        "model.loss.options.class_table.rate: should be greater than 0, not 0",
    ),
    (
        "cosface",
        "{class_table: {negatives: 8, rate: 0.5}}",
        15,
        "model.loss.options.class_table: negatives and rate say the same thing; give one of them",
    ),
    (
        "cosface",
        "{class_table: {mode: dense, negatives: 8}}",
        15,
        "model.loss.options.class_table: mode dense has no negatives: there the recipe's optimizer moves all rows",
    ),
    (
        "cosface",
        "{class_table: {optimizer: sgd, optimizer_options: {betas: [0.9, 0.99]}}}",
        15,
        "model.loss.options.class_table: sgd takes momentum, weight_decay, not betas",
    ),
    (
        "cosface",
        "{class_table: {optimizer_options: {betas: 0.9}}}",
        49,
        "model.loss.options.class_table.optimizer_options.betas: should be a list, not 0.9",
    ),
    (
        "cosface",
        "{class_table: {optimizer_options: {betas: [0.9, 1]}}}",
        62,
        "model.loss.options.class_table.optimizer_options.betas.1: should be less than 1, not 1",
    ),
]


@pytest.fixture(scope="module")
def registry():
    return discover()


@pytest.mark.parametrize(("name", "options", "column", "message"), WRONG)
def test_a_wrong_option_is_one_line_with_its_position(tmp_path, registry, name, options, column, message):
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.replace("{name}", f"margin/{name}").replace("{options}", options), encoding="utf-8")
    with pytest.raises(ZooError) as caught:
        RecipeBuilder(load_recipe(path), registry).component("loss", ("model", "loss"), **WIRED)
    assert str(caught.value) == f"{path}:5:{column}: {message}"


def test_a_recipe_s_loss_trains(tmp_path, registry):
    path = tmp_path / "mine.yaml"
    options = "{s: 20, m: 0.3, warmup: 0, class_table: {negatives: 4, optimizer: adagrad, lr_factor: 2}}"
    path.write_text(RECIPE.replace("{name}", "margin/arcface").replace("{options}", options), encoding="utf-8")
    loss = RecipeBuilder(load_recipe(path), registry).component("loss", ("model", "loss"), **WIRED)
    embeddings, labels = torch.eye(6).requires_grad_(), torch.arange(6)
    values = []
    for _ in range(30):
        value = loss(embeddings, labels)
        value.backward()
        loss.apply_gradients(0.01)
        values.append(value.item())
    assert values[-1] < values[0] / 10
