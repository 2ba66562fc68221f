"""The names and options of torch and Lightning in a recipe: schedule, optimizer, trainer and exporter."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.recipes.schema import SCHEDULES, NamedSection
from zoo_core.config import dotted, schema_problems
from zoo_core.config.suggestions import suggest
from zoo_core.errors import Problem
from zoo_core.extras import naming_missing_extras
from zoo_core.signatures import signature_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import ModuleType

    from zoo_core.config import Document, KeyPath

# Arguments of lightning.Trainer that a recipe writes as a list of names with options, and where Lightning has them.
LIGHTNING_PARTS = {"callbacks": "lightning.pytorch.callbacks", "logger": "lightning.pytorch.loggers"}
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
        optim, trainer, export = (
            import_module("torch.optim"),
            import_module("lightning").Trainer,
            import_module("torch.onnx").export,
        )
    return [
        *_check_optimizer(document, optim),
        *_check_trainer(document, trainer),
        *_check_arguments(document, export, ("onnx", "options"), OWN_EXPORT),
    ]


def check_schedule(document: Document) -> list[Problem]:
    """Return what is wrong with the learning rate schedule."""
    path = ("lr_scheduler",)
    name = document.get((*path, "name"))
    if not isinstance(name, str):
        return []
    if name not in SCHEDULES:
        hint = suggest(name, SCHEDULES, "known")
        return [Problem(f"there is no schedule {name!r}", document.locate((*path, "name")), hint)]
    return schema_problems(SCHEDULES[name], document, (*path, "options"))


def optimizer_options(name: str) -> dict[str, Any] | None:
    """Return the options of an optimizer of torch, each with its default; ``None`` if there is none of that name.

    Raises:
        ComponentError: torch is not installed.
    """
    with naming_missing_extras("training"):
        known = _optimizers(import_module("torch.optim"))
    if name not in known:
        return None
    parameters = inspect.signature(known[name]).parameters
    return {key: one.default for key, one in parameters.items() if key != "params"}


def _optimizers(optim: ModuleType) -> dict[str, type]:
    return {
        key: value
        for key, value in vars(optim).items()
        if isinstance(value, type) and issubclass(value, optim.Optimizer) and value is not optim.Optimizer
    }


def _check_optimizer(document: Document, optim: ModuleType) -> list[Problem]:
    path = ("optimizer",)
    name = document.get((*path, "name"))
    if not isinstance(name, str):
        return []
    known = _optimizers(optim)
    if name not in known:
        hint = suggest(name, known, "known")
        return [Problem(f"there is no optimizer {name!r} in torch.optim", document.locate((*path, "name")), hint)]
    return _check_arguments(document, known[name], (*path, "options"), {"params"})


def _check_trainer(document: Document, trainer: Callable[..., Any]) -> list[Problem]:
    parts = [problem for key in LIGHTNING_PARTS for problem in _check_parts(document, ("trainer", key))]
    own = {f"trainer.{key}" for key in LIGHTNING_PARTS}
    others = [
        problem
        for problem in _check_arguments(document, trainer, ("trainer",), ())
        if problem.location is None or ".".join(problem.location.key.split(".")[:2]) not in own
    ]
    return others + parts


def _check_parts(document: Document, path: tuple[str, str]) -> list[Problem]:
    """Check a list of callbacks or loggers, each with a name and options."""
    written = document.get(path)
    if written is None or (path[1] == "logger" and isinstance(written, bool)):
        return []
    if not isinstance(written, list):
        return [Problem("should be a list of {name: ..., options: {...}}", document.locate(path))]
    module = import_module(LIGHTNING_PARTS[path[1]])
    known = {name: getattr(module, name) for name in module.__all__ if name not in {"Callback", "Logger"}}
    problems = []
    for index, entry in enumerate(written):
        at = (*path, index)
        if found := schema_problems(NamedSection, document, at):
            problems += found
        elif entry["name"] not in known:
            hint = suggest(entry["name"], known, "known")
            message = f"{module.__name__} has no {entry['name']!r}"
            problems.append(Problem(message, document.locate((*at, "name")), hint))
        elif not _takes_anything(known[entry["name"]]):
            problems += _check_arguments(document, known[entry["name"]], (*at, "options"), ())
    return problems


def _takes_anything(function: Callable[..., Any]) -> bool:
    return any(one.kind is inspect.Parameter.VAR_KEYWORD for one in inspect.signature(function).parameters.values())


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
