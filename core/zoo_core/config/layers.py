"""Bases under files under the environment under the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from zoo_core.config.document import Document, Node, Renamed, dotted
from zoo_core.config.overrides import from_command_line, from_environment, from_program, override
from zoo_core.config.reading import read_file
from zoo_core.config.references import resolve
from zoo_core.errors import Location, Problem, RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from zoo_core.config.document import KeyPath

    Find = Callable[[str], Sequence[Path]]
    # From a component's path and name to its options, or None where they cannot be known.
    OptionsOf = Callable[[KeyPath, str], Collection[str] | None]
    # From path, weaker and stronger mapping of a renamed component to those options of the weaker one that stay.
    Keep = Callable[[KeyPath, Mapping[str, Node], Mapping[str, Node]], Node | None]

# As words ``key=value``, which are YAML, or as values by dotted key.
Overrides: TypeAlias = Sequence[str] | Mapping[str, object]

EXTENDS = "extends"
# A file or an override that writes one of these replaces what is below: their keys are names of the graph's own inputs
# and outputs. Merged, a renamed input would stand beside the old one, and a misnamed axis beside the base's right one.
WHOLE = frozenset({"onnx.input_shape", "onnx.dynamic_axes"})


def load(
    path: Path,
    overrides: Overrides = (),
    environment: Mapping[str, str] | None = None,
    *,
    find: Find | None = None,
    options_of: OptionsOf = lambda *_: (),
) -> Document:
    """Read a recipe file with its bases, lay environment and overrides over it, and resolve its references.

    A component whose name changes loses the options that a base file gave to the old one. An override that changes the
    name keeps those that the new component has too. Both are in the document's ``renamed``.

    Args:
        path: the file.
        overrides: ``key=value``, or values by dotted key: the strongest layer.
        environment: variables of which those named ``ZOO_RECIPE__...`` count; default: none do.
        find: candidates, best first, for a base that is not beside the file that names it.
        options_of: the options of the component of a name at a path; ``None`` where they cannot be known, and all stay.

    Returns:
        The document; problems that left its values usable are in ``problems``, for `validate` to raise with its own.

    Raises:
        RecipeError: a file cannot be read or is not YAML, a base is missing, or bases extend each other in a circle.
    """
    problems: list[Problem] = []
    renames = _Renames(options_of)
    root = _with_bases(path, partial(merge, whole=WHOLE, keep=renames.keep_nothing), find, (), problems)
    given = from_program(overrides) if isinstance(overrides, Mapping) else from_command_line(overrides)
    for assignments, bad in (from_environment(environment or {}), given):
        root, refused = override(
            root,
            assignments,
            partial(merge, keep=renames.keep_shared),
            within=partial(merge, keep=_keep_all),
            whole=WHOLE,
        )
        problems += bad + refused
    root, unresolved = resolve(root)
    return Document.of(root, tuple(problems + unresolved), tuple(renames.found))


def merge(
    base: Node,
    child: Node,
    *,
    whole: frozenset[str] = frozenset(),
    path: KeyPath = (),
    keep: Keep = lambda *_: None,
) -> Node:
    """Lay ``child`` over ``base``: mappings merge, all else replaces.

    A component (a mapping of ``name``, ``options`` and at most single values beside them) whose name changes loses the
    base's options: they were another component's.

    Args:
        base: the weaker layer.
        child: the stronger layer.
        whole: dotted paths of mappings that replace too.
        path: where both are.
        keep: which options of a renamed component stay; default: none.
    """
    if not isinstance(base.value, dict) or not isinstance(child.value, dict) or dotted(path) in whole:
        return child
    merged = dict(base.value)
    if _is_component(base.value) and _renamed(base.value.get("name"), child.value.get("name")):
        merged.pop("options", None)
        if (options := keep(path, base.value, child.value)) is not None:
            merged["options"] = options
    for key, node in child.value.items():
        below = (*path, key)
        merged[key] = merge(merged[key], node, whole=whole, path=below, keep=keep) if key in merged else node
    return Node(merged, child.location)


class _Renames:
    """Decides which options of a renamed component stay, and keeps account of all."""

    def __init__(self, options_of: OptionsOf) -> None:
        self.found: list[Renamed] = []
        self._options_of = options_of

    def keep_nothing(self, path: KeyPath, base: Mapping[str, Node], child: Mapping[str, Node]) -> None:
        """Drop all options: the file that changes the name writes those that it wants."""
        if options := _options(base):
            self._add(path, base, child, {}, options, by_override=False)

    def keep_shared(self, path: KeyPath, base: Mapping[str, Node], child: Mapping[str, Node]) -> Node | None:
        """Keep the options that the new component has too: who overrides a name alone means the rest to stay."""
        options = _options(base)
        if not options:
            return None
        known = self._options_of(path, str(child["name"].value))
        kept = {key: node for key, node in options.items() if known is None or key in known}
        dropped = {key: node for key, node in options.items() if key not in kept}
        self._add(path, base, child, kept, dropped, by_override=True)
        return Node(dict(kept), base["options"].location) if kept else None

    def _add(
        self,
        path: KeyPath,
        base: Mapping[str, Node],
        child: Mapping[str, Node],
        kept: dict[str, Node],
        dropped: dict[str, Node],
        *,
        by_override: bool,
    ) -> None:
        names = str(base["name"].value), str(child["name"].value)
        self.found.append(Renamed(path, *names, kept, dropped, by_override))


def _keep_all(_: KeyPath, base: Mapping[str, Node], __: Mapping[str, Node]) -> Node | None:
    """Keep what the same layer says: an option that the new component lacks is then an error."""
    return base.get("options")


def _options(component: Mapping[str, Node]) -> dict[str, Node]:
    options = component["options"].value if "options" in component else {}
    return options if isinstance(options, dict) else {}


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


def _with_bases(
    path: Path,
    lay_over: Callable[[Node, Node], Node],
    find: Find | None,
    chain: tuple[Path, ...],
    problems: list[Problem],
) -> Node:
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
    files = [*(_with_bases(base, lay_over, find, chain, problems) for base in bases), own]
    return reduce(lay_over, files)


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
