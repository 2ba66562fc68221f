"""A resumed training ends with the weights of one that nothing interrupted, bit by bit."""

from __future__ import annotations

import pytest
import torch


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
