"""What is tested of optimizers and learning rate schedules."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import torch

from zoo_testing.component import ComponentSuite

if TYPE_CHECKING:
    from zoo_core.components import Kind
    from zoo_core.registry import Registry


def _parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (3,))]


def _step(optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]) -> float:
    optimizer.zero_grad()
    value = torch.stack([(parameter - 0.5).square().sum() for parameter in parameters]).sum()
    value.backward()  # type: ignore[no-untyped-call] # torch's own
    optimizer.step()
    return float(value.detach())


class OptimizerSuite(ComponentSuite):
    """Tests of an optimizer, on the sum of squares of a few parameters.

    Attributes:
        steps: after which the sum must be lower than before.
    """

    kind: Kind = "optimizer"
    steps: int = 50

    def make_for(self, registry: Registry, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Build it with two groups of parameters, as zoo does."""
        made: torch.optim.Optimizer = self.make(registry, params=[{"params": [one]} for one in parameters])
        return made

    def wiring(self) -> dict[str, Any]:
        """Return a parameter."""
        return {"params": _parameters(), **self.wired}

    def test_it_lowers_a_sum_of_squares(self, registry: Registry) -> None:
        """After some steps the sum is lower, and finite, and all groups have a learning rate."""
        parameters = _parameters()
        optimizer = self.make_for(registry, parameters)
        assert [group["lr"] > 0 for group in optimizer.param_groups] == [True, True]
        values = [_step(optimizer, parameters) for _ in range(self.steps)]
        assert values[-1] < values[0], f"the sum of squares went from {values[0]:.4g} to {values[-1]:.4g}"

    def test_it_resumes_where_it_was(self, registry: Registry) -> None:
        """With the state of another one, which comes from a checkpoint, it makes the same next step."""
        parameters = _parameters()
        optimizer = self.make_for(registry, parameters)
        for _ in range(3):
            _step(optimizer, parameters)
        copies = [torch.nn.Parameter(parameter.detach().clone()) for parameter in parameters]
        resumed = self.make_for(registry, copies)
        # Of a file: torch takes over the tensors of what it is given.
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        _step(optimizer, parameters)
        _step(resumed, copies)
        assert all(torch.equal(one, other) for one, other in zip(parameters, copies, strict=True))

    def test_the_learning_rate_is_followed(self, registry: Registry) -> None:
        """With a learning rate of 0, which a schedule may set, no parameter moves."""
        parameters = _parameters()
        optimizer = self.make_for(registry, parameters)
        before = [parameter.detach().clone() for parameter in parameters]
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        _step(optimizer, parameters)
        assert all(torch.equal(one, other) for one, other in zip(parameters, before, strict=True))


class LrSchedulerSuite(ComponentSuite):
    """Tests of a schedule: a function of the progress, or a scheduler of torch."""

    kind: Kind = "lr_scheduler"

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the optimizer whose learning rate is followed."""
        return torch.optim.SGD(_parameters(), lr=0.1)

    def wiring(self) -> dict[str, Any]:
        """Return an optimizer."""
        return {"optimizer": self.optimizer(), **self.wired}

    def test_factors_are_finite_and_not_negative(self, registry: Registry) -> None:
        """From the first step to the last the learning rate is a finite number, 0 or above, and not always 0."""
        optimizer = self.optimizer()
        schedule = self.make(registry, optimizer=optimizer)
        if isinstance(schedule, torch.optim.lr_scheduler.LRScheduler):
            rates = []
            for _ in range(20):
                optimizer.step()
                schedule.step()
                rates.append(float(optimizer.param_groups[0]["lr"]))
        else:
            rates = [float(schedule(step / 20)) for step in range(21)]
        assert all(math.isfinite(rate) and rate >= 0 for rate in rates), rates
        assert max(rates) > 0, "the learning rate is always 0"
