"""Single values from the environment, the command line and programs, as a layer over the files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING

from zoo_core.config.document import Node
from zoo_core.config.reading import read_value
from zoo_core.errors import Location, Problem, RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    Merge = Callable[[Node, Node], Node]

COMMAND_LINE = "<command line>"
PROGRAM = "overrides"
PREFIX = "ZOO_RECIPE__"
MAX_INDEX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Assignment:
    """``text`` as YAML, or a value that is read already, for the dotted ``key``, and where it was given."""

    key: str
    text: str | Node
    location: Location


def from_command_line(overrides: Iterable[str]) -> tuple[list[Assignment], list[Problem]]:
    """Split each ``key=value`` at its first ``=``."""
    assignments, problems = [], []
    for override in overrides:
        key, equals, text = override.partition("=")
        key = key.strip()
        location = Location(COMMAND_LINE, key=key)
        if not equals or not all(key.split(".")):
            message = f"{override!r} is not an override"
            hint = "write it as key=value, such as trainer.max_epochs=5"
            problems.append(Problem(message, Location(COMMAND_LINE), hint))
        else:
            assignments.append(Assignment(key, text, location))
    return assignments, problems


def from_program(overrides: Mapping[str, object]) -> tuple[list[Assignment], list[Problem]]:
    """Take Python's values by dotted key: text stays text, and no YAML is read."""
    assignments: list[Assignment] = []
    problems: list[Problem] = []
    for key, value in overrides.items():
        location = Location(PROGRAM, key=str(key))
        if not isinstance(key, str) or not all(key.split(".")):
            hint = "write it with dots, such as trainer.max_epochs"
            problems.append(Problem(f"{key!r} is no key of a recipe", Location(PROGRAM), hint))
            continue
        try:
            assignments.append(Assignment(key, _node(value, location), location))
        except RecipeError as error:
            problems += error.problems
    return assignments, problems


def _node(value: object, location: Location) -> Node:
    """Turn a value of a program, numpy's numbers and paths included, into what YAML would have been read as.

    Raises:
        RecipeError: YAML holds no such value.
    """
    if value is None or isinstance(value, bool):
        return Node(value, location)
    if isinstance(value, Integral):
        return Node(int(value), location)
    if isinstance(value, Real):
        return Node(float(value), location)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise RecipeError([Problem("text with half a surrogate pair", location)])
        return Node(str(value), location)
    if isinstance(value, Mapping):
        return Node({str(key): _node(item, location) for key, item in value.items()}, location)
    if isinstance(value, list | tuple):
        return Node([_node(item, location) for item in value], location)
    hint = "give text, numbers, true or false, None, paths, and lists and mappings of these"
    raise RecipeError([Problem(f"a recipe holds no {type(value).__name__}", location, hint)])


def from_environment(environment: Mapping[str, str]) -> tuple[list[Assignment], list[Problem]]:
    """Read ``ZOO_RECIPE__data__loader__batch_size=64``, where two underscores stand for a dot."""
    assignments, problems = [], []
    for name in sorted(environment):
        if not name.startswith(PREFIX):
            continue
        keys = name.removeprefix(PREFIX).split("__")
        location = Location(f"${name}", key=".".join(keys))
        if all(keys):
            assignments.append(Assignment(location.key, environment[name], location))
        else:
            hint = f"write it as {PREFIX}trainer__max_epochs=5"
            problems.append(Problem("names no key of a recipe", replace(location, key=""), hint))
    return assignments, problems


def override(
    root: Node,
    assignments: Iterable[Assignment],
    merge: Merge,
    *,
    within: Merge,
    whole: Collection[str] = (),
) -> tuple[Node, list[Problem]]:
    """Lay the assignments over ``root`` as one layer, so that a new ``name`` drops old options but not new ones.

    Args:
        root: what the layer lies over.
        assignments: of the layer, weakest first.
        merge: lays the layer over ``root``.
        within: lays an assignment over an earlier one of the same key.
        whole: dotted keys whose mapping, where an assignment gives it as such, replaces the one below.
    """
    problems: list[Problem] = []
    layer = Node({}, root.location)
    for assignment in assignments:
        try:
            text = assignment.text
            value = read_value(text, assignment.location) if isinstance(text, str) else text
            path = assignment.key.split(".")
            if assignment.key in whole and isinstance(value.value, dict):
                root = _without(root, path)
            layer = _assigned(layer, root, path, value, within)
        except RecipeError as error:
            problems += error.problems
    return merge(root, layer), problems


def _without(node: Node, path: list[str]) -> Node:
    if not isinstance(node.value, dict) or path[0] not in node.value:
        return node
    others = {key: below for key, below in node.value.items() if key != path[0]}
    if len(path) > 1:
        others[path[0]] = _without(node.value[path[0]], path[1:])
    return Node(others, node.location)


def _assigned(layer: Node | None, base: Node | None, path: list[str], value: Node, merge: Merge) -> Node:
    if not path:
        return value if layer is None else merge(layer, value)
    # Lists are replaced as a whole by a layer; so to change one item, the layer starts from the whole list.
    start = layer if layer is not None else base
    if start is not None and isinstance(start.value, list):
        index = _index(path[0], len(start.value), value.location)
        items = list(start.value)
        items[index] = _assigned(items[index], None, path[1:], value, merge)
        return Node(items, start.location)
    mapping = dict(layer.value) if layer is not None and isinstance(layer.value, dict) else {}
    below = base.value.get(path[0]) if base is not None and isinstance(base.value, dict) else None
    mapping[path[0]] = _assigned(mapping.get(path[0]), below, path[1:], value, merge)
    # A mapping that was there stays where it was written: only what is set comes from elsewhere.
    return Node(mapping, value.location if base is None else base.location)


def _index(text: str, length: int, location: Location) -> int:
    # Longer text is no index, and beyond some length Python refuses to parse it.
    if text.isdecimal() and len(text) <= MAX_INDEX_DIGITS and int(text) < length:
        return int(text)
    hint = f"its items are 0 to {length - 1}" if length else "it is empty"
    raise RecipeError([Problem(f"{text!r} is not an item of the list", location, hint)])
