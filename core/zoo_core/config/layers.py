"""Bases under files under the environment under the command line."""

from __future__ import annotations

import os
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.config.document import Document, Node, dotted
from zoo_core.config.overrides import from_command_line, from_environment, override
from zoo_core.config.reading import read_file
from zoo_core.config.references import resolve
from zoo_core.errors import Location, Problem, RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zoo_core.config.document import KeyPath

    Find = Callable[[str], Sequence[Path]]

EXTENDS = "extends"
# A file that writes one of these replaces its base's: their keys are names of the graph's own inputs and outputs.
# Merged, a renamed input would stand beside the old one, and a misnamed axis beside the base's right one.
WHOLE = frozenset({"onnx.input_shape", "onnx.dynamic_axes"})


def load(
    path: Path,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    *,
    find: Find | None = None,
) -> Document:
    """Read a recipe file with its bases, lay environment and overrides over it, and resolve its references.

    Args:
        path: the file.
        overrides: ``key=value``, the strongest layer.
        environment: variables of which those named ``ZOO_RECIPE__...`` count; default: none do.
        find: candidates, best first, for a base that is not beside the file that names it.

    Returns:
        The document; problems that left its values usable are in ``problems``, for `validate` to raise with its own.

    Raises:
        RecipeError: a file cannot be read or is not YAML, a base is missing, or bases extend each other in a circle.
    """
    problems: list[Problem] = []
    root = _with_bases(path, find, (), problems)
    assignments, bad = from_environment(environment or {})
    root, refused = override(root, assignments, merge)
    problems += bad + refused
    assignments, bad = from_command_line(overrides)
    root, refused = override(root, assignments, merge)
    problems += bad + refused
    root, unresolved = resolve(root)
    return Document.of(root, tuple(problems + unresolved))


def merge(base: Node, child: Node, whole: frozenset[str] = frozenset(), path: KeyPath = ()) -> Node:
    """Lay ``child`` over ``base``: mappings merge, all else replaces.

    A component (a mapping of ``name``, ``options`` and at most single values beside them) whose name changes loses the
    base's options: they were another component's.

    Args:
        base: the weaker layer.
        child: the stronger layer.
        whole: dotted paths of mappings that replace too.
        path: where both are.
    """
    if not isinstance(base.value, dict) or not isinstance(child.value, dict) or dotted(path) in whole:
        return child
    merged = dict(base.value)
    if _is_component(base.value) and _renamed(base.value.get("name"), child.value.get("name")):
        merged.pop("options", None)
    for key, node in child.value.items():
        merged[key] = merge(merged[key], node, whole, (*path, key)) if key in merged else node
    return Node(merged, child.location)


def _is_component(mapping: dict[str, Node]) -> bool:
    return not any(isinstance(node.value, dict | list) for key, node in mapping.items() if key != "options")


def _renamed(base: Node | None, child: Node | None) -> bool:
    if base is None or child is None or base.value == child.value:
        return False
    # `cosface` and `margin/cosface` are one component.
    return str(base.value).rpartition("/")[2] != str(child.value).rpartition("/")[2] or (
        "/" in str(base.value) and "/" in str(child.value)
    )


def display(path: Path) -> str:
    """Name a file as a user would: from the working directory when it is below it."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links, which no user wrote
    try:
        return str(absolute.relative_to(Path.cwd()))
    except ValueError:
        return str(absolute)


def _with_bases(path: Path, find: Find | None, chain: tuple[Path, ...], problems: list[Problem]) -> Node:
    name = display(path)
    root, found = read_file(path, name)
    problems += found
    chain = (*chain, path.resolve())
    if not isinstance(root.value, dict) or EXTENDS not in root.value:
        return root
    extends = root.value[EXTENDS]
    own = Node({key: node for key, node in root.value.items() if key != EXTENDS}, root.location)
    said = extends.value if isinstance(extends.value, list) else [extends]
    bases = [base for one in said if (base := _base(one, path, find, chain, problems))]
    files = [*(_with_bases(base, find, chain, problems) for base in bases), own]
    return reduce(partial(merge, whole=WHOLE), files)


def _base(said: Node, path: Path, find: Find | None, chain: tuple[Path, ...], problems: list[Problem]) -> Path | None:
    location = Location(said.location.file, said.location.line, said.location.column, EXTENDS)
    if not isinstance(said.value, str) or not said.value:
        problems.append(Problem("should be a file or a list of files", location))
        return None
    candidates = [path.parent / said.value, *(find(said.value) if find else ())]
    files = [candidate for candidate in candidates if candidate.is_file()]
    if not files:
        tried = ", ".join(dict.fromkeys(display(candidate) for candidate in candidates))
        raise RecipeError([*problems, Problem(f"there is no base {said.value!r}", location, f"looked for {tried}")])
    # A recipe in ./configs may extend the shipped one of the same name.
    base = next((file for file in files if file.resolve() != chain[-1]), files[0])
    if base.resolve() in chain:
        circle = [*chain[chain.index(base.resolve()) :], base.resolve()]
        message = "bases extend each other in a circle: " + " -> ".join(display(file) for file in circle)
        raise RecipeError([*problems, Problem(message, location)])
    return base
