from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.recipes.schema import OptimizerSection
from zoo.training.optimizers import build_optimizer, check_optimizer, learning_rate_factor
from zoo_core.errors import RecipeError

BATCH = st.integers(1, 100_000)


@given(batch=BATCH, reference=BATCH)
def test_adam_scales_by_the_square_root_and_sgd_linearly(batch, reference):
    adam = OptimizerSection(name="AdamW", reference_batch=reference)
    sgd = OptimizerSection(name="SGD", reference_batch=reference)

    assert learning_rate_factor(adam, batch) == pytest.approx((batch / reference) ** 0.5)
    assert learning_rate_factor(sgd, batch) == pytest.approx(batch / reference)
    assert learning_rate_factor(adam, reference) == 1


def test_without_a_reference_nothing_scales():
    assert learning_rate_factor(OptimizerSection(name="SGD"), 4096) == 1


def test_norms_biases_and_the_class_table_are_not_decayed():
    model, table = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)), torch.nn.Linear(3, 5)
    section = OptimizerSection(name="AdamW", options={"lr": 0.1, "weight_decay": 0.5}, reference_batch=4)

    decayed, others = build_optimizer(section, model, table, 16).param_groups

    assert decayed["params"] == [model[0].weight]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.5, 0)
    assert decayed["lr"] == others["lr"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("name", "options", "place"),
    [
        ("AdamW", {"weight_decay": 0, "lr": -1}, "optimizer.options.lr"),
        ("AdamW", {"lr": "fast"}, "optimizer.options.lr"),
        ("AdamW", {"lr": float("inf"), "eps": 1e-8}, "optimizer.options.lr"),
        ("SGD", {"weight_decay": float("nan")}, "optimizer.options.weight_decay"),
        ("AdamW", {"betas": [0.9, 2]}, "optimizer.options.betas"),
        ("SGD", {"nesterov": True}, "optimizer.options.nesterov"),
        ("AdamW", {"fused": True, "foreach": True}, "optimizer.options"),
        ("LBFGS", {}, "optimizer.name"),
        ("SparseAdam", {"lr": 0.1}, "optimizer.name"),
        ("Muon", {}, "optimizer.name"),
    ],
)
def test_what_torch_refuses_is_refused_at_its_place(name, options, place):
    section = OptimizerSection(name=name, options=options)

    with pytest.raises(RecipeError, match=f"torch.optim.{name}") as caught:
        check_optimizer(section, torch.device("cpu"), ".".join)

    (problem,) = caught.value.problems
    assert problem.location == place


@pytest.mark.parametrize("name", ["AdamW", "SGD", "Adafactor", "RMSprop", "RAdam", "Rprop", "ASGD"])
def test_what_can_train_is_accepted(name):
    check_optimizer(OptimizerSection(name=name), torch.device("cpu"), ".".join)


def test_the_learning_rate_counts_devices_and_accumulated_batches_and_is_recorded(train, read_curves):
    overrides = ["optimizer.reference_batch=16", "trainer.max_epochs=1", "lr_scheduler.name=constant"]
    folder, _ = train("run", *overrides, "lr_scheduler.options={warmup: 0.0}", "trainer.accumulate_grad_batches=3")

    import json

    record = json.loads(folder.record.read_text(encoding="utf-8"))
    assert record["images_per_step"] == 48
    assert record["learning_rate_factor"] == pytest.approx(math.sqrt(3))
    (row,) = read_curves(folder)
    assert float(row["lr"]) == pytest.approx(4e-3 * math.sqrt(3))


def test_a_resumed_run_with_another_batch_has_the_learning_rate_of_that_batch(train, resume, read_curves):
    options = ["optimizer.reference_batch=16", "lr_scheduler.name=constant", "lr_scheduler.options={warmup: 0.0}"]
    folder, _ = train("run", *options, "trainer.max_epochs=1")
    resume(folder, "data.loader.batch_size=32", "trainer.max_epochs=3")

    rates = [float(row["lr"]) for row in read_curves(folder)]
    assert rates[0] == pytest.approx(4e-3)
    assert rates[-1] == pytest.approx(4e-3 * math.sqrt(2))
