"""Turn a uniform random number in 0..1 into a choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")


def choose(number: float, options: Sequence[T]) -> T:
    """Choose among equally probable options."""
    return options[int(number * len(options))]


def choose_by_share(number: float, options: Iterable[tuple[T, float]]) -> T:
    """Choose among options with a share each; the last option takes what is left to 1."""
    for option, share in options:
        chosen = option
        number -= share
        if number < 0:
            break
    return chosen
