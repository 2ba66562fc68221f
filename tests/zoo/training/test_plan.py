"""What a recipe can get wrong is noticed before anything is written."""

from __future__ import annotations

import pytest

from zoo_core.errors import RecipeError


@pytest.mark.parametrize(
    ("override", "place", "text"),
    [
        ("trainer.overfit_batches=2", "trainer.overfit_batches", "zoo orders the batches"),
        ("trainer.devices=abc", "trainer.devices", "lightning.Trainer"),
        ("trainer.strategy=none_such", "trainer.strategy", "lightning.Trainer"),
        ("trainer.strategy=ddp_spawn", "trainer.strategy", "keep their results"),
        ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches", "above 0"),
        ("trainer.accumulate_grad_batches=-1", "trainer.accumulate_grad_batches", "above 0"),
        ("trainer.max_epochs=0", "trainer.max_epochs", "above 0"),
        ("trainer.max_steps=0", "trainer.max_steps", "above 0"),
        ("trainer.limit_train_batches=0", "trainer.limit_train_batches", "above 0"),
        ("lr_scheduler.options.power=.inf", "lr_scheduler.options.power", "inf"),
        ("model.distillation={teacher: {name: timm/lcnet_050}, weight: .inf}", "model.distillation.weight", "inf"),
        ("data.loader.batch_size=1", "data.loader.batch_size", "BatchNorm"),
        ("optimizer.options.lr=-1", "optimizer.options.lr", "Invalid learning rate"),
        ("optimizer={name: LBFGS, options: {lr: 0.1}}", "optimizer.name", "LBFGS"),
        ("optimizer.options.betas=[3, 4]", "optimizer.options.betas", "Invalid beta"),
    ],
)
def test_it_is_one_problem_at_its_place(prepare, override, place, text):
    with pytest.raises(RecipeError) as caught:
        prepare(override)

    (problem,) = caught.value.problems
    assert problem.location.key == place
    assert text in str(problem)


def test_an_override_is_blamed_itself_not_a_line_of_the_recipe(prepare):
    with pytest.raises(RecipeError) as caught:
        prepare("trainer.devices=abc")

    (problem,) = caught.value.problems
    assert problem.location.file == "<command line>"


def test_a_dry_run_refuses_as_the_run_would(zoo, tiny_recipe, tmp_path):
    result = zoo("train", "--cfg", tiny_recipe, "--dry-run", "trainer.devices=abc", check=3)

    assert result.stderr.splitlines()[-1].startswith("error:")
    assert list(tmp_path.iterdir()) == [tiny_recipe]


def test_one_image_a_step_trains_what_has_no_batch_norm(prepare):
    # 64 pixels: the backbone's last map is then 2x2, and its own BatchNorm has something to average.
    head = "model.head={name: embedding/flatten_ln, options: {embed_dim: 8}}"
    prepare("data.loader.batch_size=1", "data.image_size=[64, 64]", head)


@pytest.mark.parametrize("ema", ["{decay: 1}", "{decay: 0}", "{decay: -0.1}", "{decya: 0.9}", "3"])
def test_a_wrong_average_is_refused(prepare, ema):
    with pytest.raises(RecipeError) as caught:
        prepare(f"ema={ema}")

    (problem,) = caught.value.problems
    assert problem.location.key.startswith("ema")
