"""What ends a training before its last epoch, asked step by step."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from zoo.training.callbacks.stopping import StopAtStepLimit, StopOnNonFiniteLoss
from zoo_core.capabilities import OwnsClassTable
from zoo_core.errors import RunError


@pytest.mark.parametrize(("limit", "stops"), [(-1, False), (0, True), (4, True), (5, True), (6, False)])
def test_a_training_stops_at_its_limit_of_steps(standing, limit, stops):
    trainer = standing(5, max_steps=limit)
    StopAtStepLimit().on_train_batch_end(trainer, None, None, None, 0)
    assert trainer.should_stop is stops


def look(trainer, batch_idx, loss=None):
    StopOnNonFiniteLoss().on_train_batch_end(trainer, SimpleNamespace(loss=loss), None, None, batch_idx)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_training_where_it_is_logged(standing, value):
    trainer = standing(1234, log_every_n_steps=5, callback_metrics={"train/loss": torch.tensor(value)})
    for unseen in (1, 4, 6):
        look(trainer, unseen)
    for seen in (0, 5, 10):
        with pytest.raises(RunError) as caught:
            look(trainer, seen)
    assert str(caught.value) == (
        f"the loss became {value} by step 1234; lower optimizer.options.lr or set trainer.gradient_clip_val; "
        "the last checkpoint is from before"
    )
    never_logged = standing(3, log_every_n_steps=0, callback_metrics={"train/loss": torch.tensor(value)})
    with pytest.raises(RunError, match="by step 3"):
        look(never_logged, 3)


class Table:
    """A loss that skips such a step itself."""

    class_table_summary = ""

    def apply_gradients(self, learning_rate, scale=1.0): ...
    def drop_gradients(self): ...
    def save_class_table(self, folder): ...
    def load_class_table(self, folder): ...


def test_a_loss_that_is_a_number_or_owns_its_class_table_goes_on(standing):
    look(standing(1), 0)
    table = Table()
    assert isinstance(table, OwnsClassTable)
    look(standing(1, callback_metrics={"train/loss": torch.tensor(math.nan)}), 0, table)
