"""Values that know where they were written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo_core.errors import Location, Problem

KeyPath = tuple[str | int, ...]
Scalar = str | int | float | bool | None


def dotted(path: KeyPath) -> str:
    """Write a path as users do: ``data.image_size.0``."""
    return ".".join(str(key) for key in path)


def leaves(value: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    """Yield path and value of each leaf of nested mappings; lists are leaves."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from leaves(below, (*path, key))
    else:
        yield path, value


@dataclass(frozen=True, slots=True)
class Node:
    """A value and the location of its key (of the item itself in a list)."""

    value: Scalar | dict[str, Node] | list[Node]
    location: Location

    def children(self) -> Iterator[tuple[str | int, Node]]:
        """Yield key or index and node of each value in a mapping or a list."""
        if isinstance(self.value, dict):
            yield from self.value.items()
        elif isinstance(self.value, list):
            yield from enumerate(self.value)

    def walk(self, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
        """Yield this node and all below it, each with its path."""
        yield path, self
        for key, node in self.children():
            yield from node.walk((*path, key))

    def plain(self) -> Any:  # noqa: ANN401 - YAML holds anything
        """Return the value alone, as new dicts and lists."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Renamed:
    """A component that a stronger layer gave another name, and what became of its options from the weaker one.

    Attributes:
        path: of the component.
        before: its name in the weaker layer.
        name: its name in the stronger layer.
        kept: the options that stay.
        dropped: the options that do not, each with where it was written.
        by_override: whether the stronger layer is an override, not a file.
    """

    path: KeyPath
    before: str
    name: str
    kept: dict[str, Node]
    dropped: dict[str, Node]
    by_override: bool


@dataclass(frozen=True)
class Document:
    """A resolved recipe: plain values, where each was written, what reading it found wrong, and renamed components."""

    value: dict[str, Any]
    marks: dict[KeyPath, Location]
    problems: tuple[Problem, ...] = ()
    renamed: tuple[Renamed, ...] = ()

    @classmethod
    def of(cls, root: Node, problems: tuple[Problem, ...] = (), renamed: tuple[Renamed, ...] = ()) -> Document:
        """Flatten a tree of nodes whose root is a mapping."""
        marks = {path: replace(node.location, key=dotted(path)) for path, node in root.walk()}
        return cls(root.plain(), marks, problems, renamed)

    def locate(self, path: KeyPath) -> Location | None:
        """Return the location of ``path``, or of its nearest parent with one; its key is ``path``."""
        for length in range(len(path), -1, -1):
            if location := self.marks.get(path[:length]):
                return replace(location, key=dotted(path))
        return None

    def get(self, path: KeyPath, default: Any = None) -> Any:  # noqa: ANN401 - YAML holds anything
        """Return the value at ``path``, ``default`` when nothing is there."""
        value: Any = self.value
        for key in path:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return default
        return value
