from __future__ import annotations

import pytest
import timm.optim
import torch

from zoo_core.building import build
from zoo_core.discovery import discover
from zoo_core.errors import RecipeError
from zoo_timm.catalog import optimizer_names


def test_the_names_are_those_that_timm_lists():
    assert optimizer_names() == sorted(timm.optim.list_optimizers())


def test_an_optimizer_has_the_defaults_that_its_name_says_and_its_own_options():
    parameters = [torch.nn.Parameter(torch.ones(2, 2))]
    built = build(discover(), "optimizer", "timm/clion", {"lr": 0.1}, wired={"params": parameters})
    assert isinstance(built, timm.optim.Lion)
    assert (built.param_groups[0]["lr"], built.param_groups[0]["caution"]) == (0.1, True)
    with pytest.raises(RecipeError, match="momentum: unknown key"):
        build(discover(), "optimizer", "timm/clion", {"momentum": 0.1}, wired={"params": parameters})
