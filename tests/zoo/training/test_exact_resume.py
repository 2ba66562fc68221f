"""A resumed training ends with the weights of one that nothing interrupted, bit by bit."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import zoo
from zoo.training.checkpoints import AtomicCheckpointIO

# Draws from torch's generator in each step.
DROPOUT = "model.backbone.options.drop_path_rate=0.5"


@pytest.fixture
def check_exact(train, resume, state_of, interrupt_at):
    """Stop a training in the step of that number, resume it, and compare it with one that was not stopped."""

    def check(step, *overrides):
        restore = interrupt_at(step)
        halves, outcome = train("halves", *overrides)
        restore()
        assert outcome.interrupted
        assert state_of(halves.last)["global_step"] == step
        resume(halves)
        whole, _ = train("whole", *overrides)
        expected, found = state_of(whole.last), state_of(halves.last)
        assert found["global_step"] == expected["global_step"]
        for name, value in expected["state_dict"].items():
            assert torch.equal(value, found["state_dict"][name]), name

    return check


# Of six batches an epoch.
@pytest.mark.parametrize(("limit", "step"), [("4", 4), ("4", 6), ("0.7", 4), ("1", 2)])
def test_epochs_of_fewer_batches_than_the_data_have(check_exact, limit, step):
    check_exact(step, f"trainer.limit_train_batches={limit}", "trainer.max_epochs=3")


# Within the second epoch of six steps, and at the first one's end.
@pytest.mark.parametrize(("step", "workers"), [(8, 0), (6, 1)])
def test_a_model_with_dropout(check_exact, step, workers):
    check_exact(step, DROPOUT, f"data.loader.num_workers={workers}", "trainer.max_epochs=3")


def test_what_draws_from_the_generators_of_numpy_and_python(train, resume, interrupt_at, monkeypatch):
    from zoo.training.module import EmbeddingTraining

    drawn, training_step = {}, EmbeddingTraining.training_step

    def drawing(self, batch, index):
        drawn[self.global_step] = (random.gauss(), np.random.standard_normal())  # noqa: NPY002 - as others do
        return training_step(self, batch, index)

    monkeypatch.setattr(EmbeddingTraining, "training_step", drawing)
    restore = interrupt_at(4)
    halves, _ = train("halves")
    restore()
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002 - as above
    resume(halves)
    resumed = dict(drawn)
    train("whole")
    assert resumed == drawn


def test_a_checkpoint_of_an_older_zoo_resumes_with_a_warning_also_when_it_is_quiet(train, state_of):
    folder, _ = train("run", "trainer.max_epochs=1")
    state = state_of(folder.last)
    del state["zoo"]["random_states"]
    AtomicCheckpointIO().save_checkpoint(state, folder.last)

    with (
        pytest.warns(UserWarning, match="max_epochs: 1 became 2"),
        pytest.warns(UserWarning, match="holds no random state: dropout and its like draw other numbers"),
    ):
        zoo.train(resume=True, run=folder.path, overrides={"trainer.max_epochs": 2}, quiet=True)

    assert state_of(folder.last)["global_step"] == 12
