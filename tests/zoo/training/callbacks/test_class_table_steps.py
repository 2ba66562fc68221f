"""The callback of the class table, step by step: what moves, what is said, what is kept beside checkpoints."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from zoo.runs.layout import RunFolder
from zoo.training.callbacks.class_table import ClassTableSteps, drop_remnants
from zoo_core.errors import RunError


class Table(nn.Module):
    """A loss that notes what it is asked for."""

    def __init__(self, *, finite=True):
        super().__init__()
        self.finite, self.asked = finite, []

    def apply_gradients(self, learning_rate, scale):
        self.asked.append((learning_rate, scale))
        return self.finite

    def drop_gradients(self):
        self.asked.append("dropped")

    def save_class_table(self, folder):
        folder.mkdir(parents=True)

    def load_class_table(self, folder):
        assert folder.is_dir()
        return f"read from {folder.name}"


class Module(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Linear(2, 3)
        self.loss = Table()
        self.register_buffer("statistics", torch.zeros(2))
        self.embedded = torch.zeros(8, 3), torch.arange(100, 108)


@pytest.fixture
def steps(tmp_path):
    """Let the callback see a step whose gradients are as given, and return what is said."""
    said, module = [], Module()
    optimizer = torch.optim.SGD([{"params": [module.model.weight], "lr": 0.25}, {"params": [module.model.bias]}], lr=1)
    callback = ClassTableSteps(RunFolder(tmp_path / "run"), said.append, said.append)

    def step(trainer, *, weight=1.0, bias=1.0, embeddings=(None,)):
        trainer.precision_plugin = getattr(trainer, "precision_plugin", None)
        for number, spoiled in enumerate(embeddings):
            callback.on_train_batch_start(trainer, module, None, number)
            module.statistics += 1
            rows = torch.zeros(8, 3)
            rows[list(spoiled or ()), 1] = torch.nan
            module.embedded = rows, torch.arange(100, 108)
            callback.on_before_backward(trainer, module, torch.tensor(0.0))
        module.model.weight.grad = None if weight is None else torch.full((3, 2), weight)
        module.model.bias.grad = None if bias is None else torch.full((3,), bias)
        callback.on_before_optimizer_step(trainer, module, optimizer)
        words, said[:] = list(said), []
        return words

    return SimpleNamespace(step=step, module=module, callback=callback, optimizer=optimizer)


def test_a_finite_step_moves_the_table_at_the_networks_rate(steps, standing):
    assert steps.step(standing(1)) == []
    assert steps.step(standing(2), weight=None, bias=None) == []
    trainer = standing(3)
    trainer.precision_plugin = SimpleNamespace(scaler=SimpleNamespace(get_scale=lambda: 8.0))
    assert steps.step(trainer) == []
    assert steps.module.loss.asked == [(0.25, 1.0), (0.25, 1.0), (0.25, 8.0)]
    assert steps.module.statistics.tolist() == [3, 3]
    assert steps.module.model.weight.grad.tolist() == [[1, 1]] * 3


NAN = float("nan")
FIVE = "0 (label 100), 1 (label 101), 2 (label 102), 3 (label 103), 4 (label 104)"


@pytest.mark.parametrize(
    ("gradients", "reason"),
    [
        ({"weight": NAN}, "the gradient of model.weight is no number"),
        ({"bias": float("inf")}, "the gradient of model.bias is no number"),
        ({"weight": None, "bias": NAN}, "the gradient of model.bias is no number"),
        (
            {"weight": NAN, "embeddings": [(3, 5)]},
            "the embeddings at 3 (label 103), 5 (label 105) of the batch are no numbers",
        ),
        (
            {"bias": NAN, "embeddings": [None, range(7), None]},
            f"the embeddings at {FIVE} and 2 more of batch 2 of 3 are no numbers",
        ),
        (
            {"bias": NAN, "embeddings": [range(5)]},
            f"the embeddings at {FIVE} of the batch are no numbers",
        ),
        (
            {"bias": NAN, "embeddings": [range(6), None]},
            f"the embeddings at {FIVE} and 1 more of batch 1 of 2 are no numbers",
        ),
    ],
)
def test_a_step_that_is_no_number_moves_nothing_and_is_named(steps, standing, gradients, reason):
    steps.step(standing(1))
    assert steps.step(standing(17), **gradients) == [f"step 17 is left out: {reason}"]
    assert steps.module.loss.asked[1:] == ["dropped"]
    assert steps.module.model.weight.grad is steps.module.model.bias.grad is None
    # As they were before the first batch of the step.
    assert steps.module.statistics.tolist() == [1, 1]
    assert steps.step(standing(18)) == []
    assert steps.module.statistics.tolist() == [2, 2]


def test_a_step_that_the_table_refuses_is_left_out_too(steps, standing):
    steps.module.loss.finite = False
    assert steps.step(standing(5)) == ["step 5 is left out: the gradient of the class table is no number"]
    assert steps.module.loss.asked == [(0.25, 1.0)]
    assert steps.module.model.weight.grad is None
    assert steps.module.statistics.tolist() == [0, 0]


def test_twenty_steps_in_a_row_end_the_training(steps, standing):
    for number in range(19):
        assert len(steps.step(standing(number), weight=NAN)) == 1
    steps.step(standing(19))
    for number in range(20, 39):
        assert len(steps.step(standing(number), weight=NAN)) == 1
    with pytest.raises(RunError) as caught:
        steps.step(standing(39), weight=NAN)
    assert str(caught.value) == (
        "20 steps in a row were left out by step 39: the gradient of model.weight is no number; lower "
        "optimizer.options.lr or set trainer.gradient_clip_val; the last checkpoint is from before"
    )


@pytest.mark.parametrize("by_itself", [None, False, True])
def test_with_a_scaler_steps_are_left_out_in_silence_until_they_are_too_many(steps, standing, by_itself):
    trainer = standing(3)
    trainer.precision_plugin = SimpleNamespace(scaler=SimpleNamespace(get_scale=lambda: 8.0))
    if by_itself is not None:
        steps.optimizer._step_supports_amp_scaling = by_itself
    for _ in range(19):
        assert steps.step(trainer, weight=float("inf"), bias=None) == []
    grad = steps.module.model.weight.grad
    assert grad.isnan().all() if by_itself else grad is None
    assert steps.module.model.bias.grad is None
    with pytest.raises(RunError, match=r"20 steps in a row .*: the gradient of model\.weight is no number"):
        steps.step(trainer, weight=float("inf"))


@pytest.mark.parametrize(
    ("mine", "others", "told"),
    [
        ({}, [(1, "the gradient of x is no number"), (1, "another")], "the gradient of x is no number, on rank 1"),
        ({}, [(2, "another")], "the gradient of the class table is no number, on rank 0"),
        ({"weight": NAN}, [(2, "another")], "the gradient of model.weight is no number, on rank 0"),
        ({"weight": NAN, "embeddings": [(3,)]}, [(1, "x")], "the embeddings at 3 (label 103) of the batch are no"),
    ],
)
def test_of_all_ranks_the_first_thing_that_is_no_number_is_named(steps, standing, monkeypatch, mine, others, told):
    trainer = standing(9, world_size=1 + len(others))
    asked = []
    trainer.strategy = SimpleNamespace(reduce_boolean_decision=lambda mine, **how: asked.append((mine, how)))

    def gather(into, mine):
        into[:] = [mine, *others]

    monkeypatch.setattr("torch.distributed.all_gather_object", gather)
    (said,) = steps.step(trainer, **mine)
    assert said.startswith(f"step 9 is left out: {told}")
    assert asked == [(not mine, {"all": True})]
    assert steps.module.loss.asked == ["dropped"]


def save(steps, trainer):
    trainer.strategy = SimpleNamespace(broadcast=lambda mine: mine)
    checkpoint = {}
    steps.callback.on_save_checkpoint(trainer, steps.module, checkpoint)
    return checkpoint


def test_all_checkpoints_of_a_step_have_one_folder_and_a_later_run_another(steps, standing):
    folder = steps.callback.checkpoints
    assert save(steps, standing(12)) == save(steps, standing(12)) == {"zoo_rows": "rows-000000012"}
    assert save(steps, standing(13)) == {"zoo_rows": "rows-000000013"}
    # From before a resume at an earlier step.
    assert save(steps, standing(12)) == {"zoo_rows": "rows-000000012-2"}
    save(steps, standing(13))
    assert save(steps, standing(12)) == {"zoo_rows": "rows-000000012-3"}
    assert len(list(folder.iterdir())) == 5


def test_a_checkpoint_brings_its_table_and_one_without_is_refused(steps, standing):
    said = []
    steps.callback.say = said.append
    checkpoint, trainer = save(steps, standing(12)), standing(12)
    trainer.strategy = SimpleNamespace(broadcast=lambda mine: mine)
    steps.callback.on_load_checkpoint(trainer, steps.module, checkpoint)
    assert said == ["class table: read from rows-000000012"]
    with pytest.raises(RunError) as caught:
        steps.callback.on_load_checkpoint(trainer, steps.module, {})
    assert str(caught.value) == (
        "the checkpoint has no rows of a class table beside it; "
        "model.loss.options.class_table.mode=dense is what it was trained with"
    )


def test_remnants_are_what_no_checkpoint_names(tmp_path):
    def have(*names):
        for name in names:
            (tmp_path / name).mkdir()
            (tmp_path / name / "rows").touch()

    (tmp_path / ".last.x.ckpt").write_bytes(b"half")
    (tmp_path / "notes").mkdir()
    drop_remnants(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"notes"}
    have("rows-1", "rows-2", "rows-3", ".rows-4.part")
    torch.save({"zoo_rows": "rows-1"}, tmp_path / "last.ckpt")
    torch.save({"zoo_rows": "rows-3"}, tmp_path / "best.ckpt")
    drop_remnants(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"notes", "rows-1", "rows-3", "last.ckpt", "best.ckpt"}
    # One that is damaged may name any of them.
    (tmp_path / "best.ckpt").write_bytes(b"damaged")
    have("rows-5")
    drop_remnants(tmp_path)
    assert {path.name for path in tmp_path.glob("rows-*")} == {"rows-1", "rows-3", "rows-5"}
