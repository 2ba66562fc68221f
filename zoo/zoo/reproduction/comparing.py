"""A document that was published against the same document made here, value by value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo.reproduction.check import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Path = tuple[str | int, ...]
    # Takes a value's path, what is claimed and what was found; returns whether it holds, and a note.
    Judge = Callable[[Path, Any, Any], tuple[bool, str]]

# By these the entries of a list are known to people.
_LABELS = ("fpr_target", "fpir_target", "registered", "size", "name")
_EXACT = 1e-9
_MISSING = object()


def compare(place: str, claimed: Any, found: Any, judge: Judge) -> list[Check]:  # noqa: ANN401 - JSON
    """Compare each value of ``claimed`` with that of ``found`` at the same place; what only ``found`` has is no claim.

    Args:
        place: the file that claims.
        claimed: a part of it, by keys.
        found: the same, made here.
        judge: decides about two values.
    """
    checks = []
    for path, name, value in _leaves(claimed, (), ""):
        other = at(found, path)
        if other is _MISSING:
            checks.append(Check.of(place, name, value, None, holds=value is None, note="nothing like it is found here"))
            continue
        holds, note = judge(path, value, other)
        checks.append(Check.of(place, name, value, other, holds=holds, note=note))
    return checks


def same(_path: Path, claimed: object, found: object) -> tuple[bool, str]:
    """Judge values that nothing rounds: they are equal."""
    return is_same(claimed, found), ""


def is_same(claimed: object, found: object) -> bool:
    """Return whether two values are equal; floats but for the last digits."""
    if _is_number(claimed) and _is_number(found):
        return math.isclose(claimed, found, rel_tol=_EXACT, abs_tol=_EXACT)  # type: ignore[arg-type]
    return type(claimed) is type(found) and claimed == found


class WithinRounding:
    """Judges figures of embeddings that rounding changes in their last digits.

    A figure that is not found to the last digit is compared with those of ``variants``: the same embeddings, each
    changed by as much as rounding does. Most figures count pairs or images, and are the same in all of them. Variants
    are made one by one, as long as a figure needs more of them.
    """

    def __init__(self, variants: Iterable[Mapping[str, Any]]) -> None:
        self._made: list[Mapping[str, Any]] = []
        self._more = iter(variants)

    def __call__(self, path: Path, claimed: Any, found: Any) -> tuple[bool, str]:  # noqa: ANN401 - JSON
        """Return whether ``claimed`` holds, and how."""
        if is_same(claimed, found):
            return True, ""
        low = high = found
        for variant in self._variants():
            other = at(variant, path)
            if is_same(claimed, other):
                return True, "one of the values that rounding gives"
            if not (_is_number(claimed) and _is_number(low) and _is_number(other)):
                continue
            low, high = min(low, other), max(high, other)
            # So few variants do not reach the ends.
            room = high - low
            if low - room <= claimed <= high + room:
                return True, f"rounding: {low:.6g} to {high:.6g}"
        return False, f"rounding gives {low:.6g} to {high:.6g}" if low != high else ""

    def _variants(self) -> Iterator[Mapping[str, Any]]:
        yield from list(self._made)
        for variant in self._more:
            self._made.append(variant)
            yield variant


def at(document: Any, path: Path) -> Any:  # noqa: ANN401 - JSON
    """Return the value at ``path``; a marker of its own where there is none."""
    for key in path:
        try:
            document = document[key]
        except (LookupError, TypeError):
            return _MISSING
    # A value that became a list or a mapping is another one.
    return document


def _leaves(value: Any, path: Path, name: str) -> Iterator[tuple[Path, str, Any]]:  # noqa: ANN401 - JSON
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key), f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for index, below in enumerate(value):
            yield from _leaves(below, (*path, index), f"{name}[{_label(below, index)}]")
    elif value not in ({}, []):
        yield path, name, value


def _label(entry: object, index: int) -> str:
    if isinstance(entry, dict):
        for key in _LABELS:
            if key in entry:
                return f"{key}={entry[key]:g}" if _is_number(entry[key]) else f"{key}={entry[key]}"
    return str(index)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
