"""What becomes of a component's options when its name changes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo.recipes.schema import component_paths
from zoo_core.components import WIRED
from zoo_core.config import dotted
from zoo_core.discovery import discover
from zoo_core.errors import Problem, ZooError
from zoo_core.signatures import option_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic import BaseModel

    from zoo_core.config import Document, KeyPath, Node, Renamed
    from zoo_core.registry import Registry


class ComponentOptions:
    """The options of a recipe's components by path and name, each with its default.

    Args:
        registry: the plugins; default: those that are installed, looked up when first needed.
    """

    def __init__(self, registry: Registry | None = None) -> None:
        self._registry = registry
        self._known: dict[tuple[KeyPath, str], Mapping[str, Any] | None] = {}

    def __call__(self, path: KeyPath, name: str) -> Mapping[str, Any] | None:
        """Return the options of the component called ``name`` at ``path``; ``None`` where it is not available."""
        if (path, name) not in self._known:
            try:
                self._known[path, name] = self._find(path, name)
            except ZooError:
                # The check of the recipe says why.
                self._known[path, name] = None
        return self._known[path, name]

    def kept(self, path: KeyPath, name: str) -> Collection[str] | None:
        """Return the options that an override of the name keeps: none of a data set, for they describe other data."""
        return () if _is_dataset(path) else self(path, name)

    def _find(self, path: KeyPath, name: str) -> Mapping[str, Any] | None:
        kind = component_paths().get(path)
        if kind is None:
            return None
        self._registry = self._registry or discover()
        component = self._registry.find(kind, name)
        return _defaults(option_schema(component, self._registry.load(component), WIRED[kind]))


def renaming_warnings(document: Document, options_of: ComponentOptions) -> list[Problem]:
    """Return a warning for each option that a change of name lost, at the place where it was written.

    A file drops all options of the component that it replaces: those that the new component does not have, or has by
    default, are no loss. An override drops those that the new component does not have, and of a data set all: each is a
    warning, but what the new one has by default.
    """
    warnings: dict[KeyPath, Problem] = {}
    for renamed in document.renamed:
        path = (*renamed.path, "options")
        name = document.get((*renamed.path, "name"))
        for key, node in renamed.dropped.items():
            if (*path, key) in document.marks or not isinstance(name, str):
                continue
            # Looked up for an option that is lost alone: it may load torch.
            options = options_of(renamed.path, name)
            if options is None:
                continue
            what = f"{_value(node)} of {renamed.before} is dropped"
            if key not in options and renamed.by_override:
                message, hint = f"{what}: {name} has no such option", None
            elif key in options and options[key] != node.plain():
                message = f"{what}, and {name} has this option too"
                hint = f"write {dotted((*path, key))} beside the name"
            else:
                continue
            warnings[*path, key] = Problem(message, replace(node.location, key=dotted((*path, key))), hint)
    return list(warnings.values())


def renaming_notes(document: Document) -> list[str]:
    """Return a line for each component whose name an override changed, with the options that it kept."""
    return [_note(renamed) for renamed in document.renamed if renamed.by_override and renamed.kept]


def _note(renamed: Renamed) -> str:
    kept = ", ".join(f"{key}={_value(node)}" for key, node in renamed.kept.items())
    return f"{dotted(renamed.path)}: {renamed.name} keeps the options of {renamed.before}: {kept}"


def _is_dataset(path: KeyPath) -> bool:
    return component_paths().get(path) == "dataset"


def _defaults(schema: type[BaseModel]) -> dict[str, Any]:
    return {name: field.get_default() for name, field in schema.model_fields.items()}


def _value(node: Node) -> str:
    return json.dumps(node.plain(), ensure_ascii=False)
