from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.recipes.schema import OptimizerSection
from zoo.training.optimizers import Optimization, check_optimization, learning_rate_factor
from zoo_core.errors import RecipeError, UsageError

BATCH = st.integers(1, 100_000)
CPU = torch.device("cpu")


@pytest.fixture
def optimization(tiny_recipe, registry):
    """Read a recipe, unchecked, with overrides; for 16 images a step."""
    from zoo.recipes.loading import load_recipe

    def of(*overrides):
        return Optimization(load_recipe(tiny_recipe, overrides), registry, 16)

    return of


@given(batch=BATCH, reference=BATCH)
def test_adam_scales_by_the_square_root_and_sgd_linearly(batch, reference):
    adam = OptimizerSection(name="AdamW", reference_batch=reference)
    sgd = OptimizerSection(name="SGD", reference_batch=reference)

    assert learning_rate_factor(adam, batch) == pytest.approx((batch / reference) ** 0.5)
    assert learning_rate_factor(sgd, batch) == pytest.approx(batch / reference)
    momentum = OptimizerSection(name="timm/momentum", reference_batch=reference)
    assert learning_rate_factor(momentum, batch) == learning_rate_factor(sgd, batch)
    assert learning_rate_factor(adam, reference) == 1


def test_without_a_reference_nothing_scales():
    assert learning_rate_factor(OptimizerSection(name="SGD"), 4096) == 1


def test_norms_biases_and_the_class_table_are_not_decayed(optimization):
    model, table = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)), torch.nn.Linear(3, 5)
    settings = "optimizer={name: AdamW, options: {lr: 0.1, weight_decay: 0.5}, reference_batch: 4}"

    decayed, others = optimization(settings).optimizer(model, table).param_groups

    assert decayed["params"] == [model[0].weight]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.5, 0)
    assert decayed["lr"] == others["lr"] == pytest.approx(0.2)

    asked = optimization(settings, "optimizer.loss_lr=0.3", "optimizer.decay_norms_and_biases=true")
    decayed, others, own = asked.optimizer(model, table).param_groups
    assert decayed["params"] == list(model.parameters())
    assert others["params"] == []
    assert own["params"] == list(table.parameters())
    assert (decayed["lr"], own["lr"], own["weight_decay"]) == (pytest.approx(0.2), pytest.approx(0.6), 0)


def test_a_rate_for_a_loss_without_parameters_is_refused(prepare):
    assert prepare("optimizer.loss_lr=0.1").recipe.optimizer.loss_lr == 0.1
    with pytest.raises(RecipeError, match="margin/cosface leaves no parameters to the optimizer"):
        prepare("optimizer.loss_lr=0.1", "model.loss.options.class_table={mode: sparse}")


@pytest.mark.parametrize(
    ("name", "options", "place"),
    [
        ("torch/AdamW", "{weight_decay: 0, lr: -1}", "optimizer.options.lr"),
        ("torch/AdamW", "{lr: fast}", "optimizer.options.lr"),
        ("torch/AdamW", "{lr: .inf, eps: 1e-8}", "optimizer.options.lr"),
        ("torch/SGD", "{weight_decay: .nan}", "optimizer.options.weight_decay"),
        ("torch/AdamW", "{betas: [0.9, 2]}", "optimizer.options.betas"),
        ("torch/SGD", "{nesterov: true}", "optimizer.options.nesterov"),
        ("torch/AdamW", "{fused: true, foreach: true}", "optimizer.options"),
        ("torch/LBFGS", "{}", "optimizer.name"),
        ("torch/SparseAdam", "{lr: 0.1}", "optimizer.name"),
        ("torch/Muon", "{}", "optimizer.name"),
        ("timm/lion", "{betas: [0.9, 2]}", "optimizer.options.betas"),
        ("timm/adahessian", "{}", "optimizer.name"),
    ],
)
def test_what_it_refuses_is_refused_at_its_place(optimization, name, options, place):
    with pytest.raises(RecipeError, match=name) as caught:
        check_optimization(optimization(f"optimizer={{name: {name}, options: {options}}}"), torch.nn.Linear(1, 1), CPU)

    (problem,) = caught.value.problems
    assert problem.location.key == place


@pytest.mark.parametrize(
    "name", ["AdamW", "SGD", "Adafactor", "RMSprop", "RAdam", "Rprop", "torch/ASGD", "timm/lion", "lamb", "timm/sgdp"]
)
def test_what_can_train_is_accepted(optimization, name):
    check_optimization(optimization(f"optimizer={{name: {name}}}"), torch.nn.Linear(1, 1), CPU)


@pytest.mark.parametrize(
    ("override", "key", "message"),
    [
        ("optimizer.options.params=3", "optimizer.options.params", "zoo sets this itself"),
        ("lr_scheduler={name: StepLR, options: {optimizer: 3}}", "lr_scheduler.options.optimizer", "zoo sets this"),
        ("lr_scheduler={name: StepLR}", "lr_scheduler.options", "missing key 'step_size'"),
        ("lr_scheduler={name: StepLR, options: {step_size: 1, gama: 1}}", "lr_scheduler.options.gama", "'gamma'"),
        ("lr_scheduler={name: OneCycleLR, options: {max_lr: 1.0}}", "lr_scheduler", "total_steps"),
        ("lr_scheduler={name: LambdaLR}", "lr_scheduler.name", "there is no lr_scheduler 'LambdaLR'"),
        ("optimizer={name: timm/lion, options: {momentum: 1}}", "optimizer.options.momentum", "unknown key"),
    ],
)
def test_a_wrong_option_is_told_at_its_line(prepare, override, key, message):
    with pytest.raises(RecipeError) as caught:
        prepare(override)
    (problem,) = caught.value.problems
    assert problem.location.key == key
    assert message in str(problem)


def rates(read_curves, folder):
    return [float(row["lr"]) for row in read_curves(folder)]


def test_a_scheduler_of_torch_steps_by_epochs_and_resumes(train, resume, read_curves):
    scheduler = "lr_scheduler={name: StepLR, options: {step_size: 1, gamma: 0.5}}"
    folder, _ = train("run", scheduler, "optimizer={name: timm/lion, options: {lr: 0.001}}", "trainer.max_epochs=2")
    # As a row has it: after the epoch, for the next one.
    assert rates(read_curves, folder) == pytest.approx([5e-4, 2.5e-4])
    components = {one["name"]: one["distribution"] for one in folder.read_record()["components"]}
    assert {components["timm/lion"], components["torch/StepLR"]} == {"plugzoo"}
    with pytest.raises(UsageError, match="StepLR resumes with the learning rate"):
        resume(folder, "trainer.max_epochs=3", "optimizer.options.lr=0.5")
    resume(folder, "trainer.max_epochs=3")
    assert rates(read_curves, folder) == pytest.approx([5e-4, 2.5e-4, 1.25e-4])


def test_a_scheduler_of_torch_steps_by_steps_or_by_the_metric(train, read_curves):
    by_steps = "lr_scheduler={name: StepLR, options: {step_size: 1, gamma: 0.5}, interval: step}"
    folder, _ = train("steps", by_steps, "trainer.max_epochs=1")
    last = int(read_curves(folder)[-1]["step"])
    assert rates(read_curves, folder)[-1] == pytest.approx(4e-3 * 0.5**last)
    plateau = "{name: ReduceLROnPlateau, options: {patience: 0, threshold: 2.0, threshold_mode: abs, factor: 0.1}}"
    folder, _ = train("plateau", f"lr_scheduler={plateau}", "trainer.max_epochs=3")
    # Nothing is better by 2 than the first, so that each further validation lowers the rate.
    assert rates(read_curves, folder) == pytest.approx([4e-3, 4e-3, 4e-4])


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
