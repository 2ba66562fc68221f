from __future__ import annotations

import functools
import inspect

import pytest
from pydantic import ValidationError

from zoo_core.config import strictly
from zoo_core.signatures import signature_schema


class Tensor:
    """What no YAML can hold."""


def decorated(function):
    @functools.wraps(function)
    def wrapper(*arguments, **keywords):
        return function(*arguments, **keywords)

    return wrapper


class Optimizer:
    @decorated
    def __init__(
        self,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float] = (0.9, 0.99),
        weights: list[Tensor] | None = None,
        anything: Tensor = None,
    ) -> None: ...


def schema(factory):
    return signature_schema("options", factory, inspect.signature(factory).parameters.values())


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"lr": 1},
        {"lr": 0.5, "betas": [1, 0.5]},
        {"weights": None},
        {"anything": "x"},
        {"anything": [1]},
    ],
)
def test_what_yaml_can_hold_is_taken(good):
    assert strictly(schema(Optimizer), good).model_dump(exclude_unset=True).keys() == good.keys()


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ({"lr": "0.1"}, ("lr",)),
        ({"lr": True}, ("lr",)),
        ({"betas": [1, "x"]}, ("betas", 1)),
        ({"betas": [1]}, ("betas", 1)),
        ({"weights": [1]}, ("weights",)),
        ({"l": 1}, ("l",)),
    ],
)
def test_a_union_with_what_yaml_cannot_hold_is_as_strict_as_its_rest(bad, place):
    with pytest.raises(ValidationError) as caught:
        strictly(schema(Optimizer), bad)

    assert caught.value.errors()[0]["loc"] == place
