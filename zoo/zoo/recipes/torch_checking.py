"""The arguments of Lightning's trainer and torch's exporter in a recipe."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.recipes.schema import ComponentReference
from zoo_core.config import dotted, schema_problems
from zoo_core.errors import Problem
from zoo_core.extras import naming_missing_extras
from zoo_core.signatures import signature_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from zoo_core.config import Document, KeyPath

# Arguments of lightning.Trainer that a recipe writes as a list of components.
COMPONENT_LISTS = ("callbacks", "logger")
# What zoo itself passes to torch.onnx.export.
OWN_EXPORT = frozenset(
    {"model", "args", "kwargs", "f", "input_names", "output_names", "dynamic_axes", "dynamic_shapes", "external_data"}
)


def check_torch(document: Document) -> list[Problem]:
    """Return what is wrong with the names and options that are not zoo's own.

    Raises:
        ComponentError: torch or Lightning is not installed.
    """
    with naming_missing_extras("training"):
        # Dynamic, for the plain install has none of them and still reads recipes.
        trainer, export = import_module("lightning").Trainer, import_module("torch.onnx").export
    return [
        *_check_trainer(document, trainer),
        *_check_arguments(document, export, ("onnx", "options"), OWN_EXPORT),
    ]


def _check_trainer(document: Document, trainer: Callable[..., Any]) -> list[Problem]:
    parts = [problem for key in COMPONENT_LISTS for problem in _check_list(document, ("trainer", key))]
    own = {f"trainer.{key}" for key in COMPONENT_LISTS}
    others = [
        problem
        for problem in _check_arguments(document, trainer, ("trainer",), ())
        if problem.location is None or ".".join(problem.location.key.split(".")[:2]) not in own
    ]
    return others + parts


def _check_list(document: Document, path: tuple[str, str]) -> list[Problem]:
    """Check the shape of a list of callbacks or loggers; they themselves are components."""
    written = document.get(path)
    if written is None or (path[1] == "logger" and isinstance(written, bool)):
        return []
    if not isinstance(written, list):
        return [Problem("should be a list of {name: ..., options: {...}}", document.locate(path))]
    places = [(*path, index) for index in range(len(written))]
    return [problem for at in places for problem in schema_problems(ComponentReference, document, at)]


def _check_arguments(
    document: Document, function: Callable[..., Any], at: KeyPath, own: Collection[str]
) -> list[Problem]:
    """Check what stands ``at`` a path as arguments of ``function``; zoo gives those called ``own`` itself."""
    given = document.get(at, {})
    if not isinstance(given, dict):
        return []
    problems = [
        Problem("zoo sets this itself", document.locate((*at, name)), "leave it out") for name in given if name in own
    ]
    taken = {problem.location for problem in problems}
    parameters = [one for name, one in inspect.signature(function).parameters.items() if name not in own]
    schema = signature_schema(dotted(at), function, parameters)
    return problems + [one for one in schema_problems(schema, document, at) if one.location not in taken]
