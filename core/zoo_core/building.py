"""A component and its options to the built object, and every wrong option to a line of the recipe."""

from __future__ import annotations

import inspect
import sys
from contextlib import redirect_stdout
from dataclasses import asdict, is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from zoo_core.config import Document, KeyPath, schema_problems, strictly
from zoo_core.errors import ComponentError, Location, Problem, RecipeError, ZooError
from zoo_core.extras import naming_missing_extras
from zoo_core.registry import describe
from zoo_core.signatures import accepted, option_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from pydantic import BaseModel

    from zoo_core.components import Kind
    from zoo_core.registry import Component, Registry

    # From a path below the component's section, such as ("options", "m"), to the location where it was written.
    Locate = Callable[[KeyPath], Location | None]

NOWHERE = Location("")


def build(
    registry: Registry,
    kind: Kind,
    name: str,
    options: Mapping[str, Any],
    wired: Mapping[str, object],
    locate: Locate = lambda _: None,
) -> Any:  # noqa: ANN401 - the kind's Protocol says what it is
    """Build the component called ``name``.

    Args:
        registry: the plugins.
        kind: the component's kind.
        name: its name, with or without the plugin's.
        options: what the recipe says; validated, and passed on as validation leaves it.
        wired: what zoo itself passes, to a factory that has a parameter of that name. The first parameter of an
            export wrapper is ``wired["model"]``, whatever it is called.
        locate: from a path below the component's section, such as ``("options", "m")``, to its location.

    Raises:
        ComponentError: the component is not available, or its plugin breaks the contract.
        RecipeError: options are wrong; all problems at once.
    """
    try:
        component = registry.find(kind, name)
        factory = registry.load(component)
        parameters = accepted(component, factory)
    except ComponentError as error:
        if location := locate(("name",)):
            error.with_problems(replace(problem, location=location) for problem in error.problems)
        raise
    passed = {key: value for key, value in wired.items() if key in parameters}
    problems = check_options(component, factory, options, passed, locate) + _contradictions(options, passed, locate)
    if problems:
        raise RecipeError(problems)
    arguments = _validated(component, factory, options, passed) | passed
    if kind == "export_wrapper":
        factory = partial(factory, wired["model"])
    built = _call(component, factory, arguments, locate)
    _check_contract(component, built)
    return built


def check_options(
    component: Component,
    factory: Callable[..., Any],
    options: Mapping[str, Any],
    wired_names: Collection[str],
    locate: Locate,
) -> list[Problem]:
    """Return all that is wrong with ``options``, judged by the component's config model or the factory's signature.

    Options of ``wired_names`` that the factory takes are left to `build`, which knows the values.

    Raises:
        ComponentError: the plugin breaks the contract.
    """
    schema = option_schema(component, factory, wired_names)
    own = _own(component, factory, options, wired_names)
    marks = {path: locate(("options", *path)) or NOWHERE for path in _paths(own)}
    return [_rebased(problem, marks[()]) for problem in schema_problems(schema, Document(own, marks))]


def _own(
    component: Component, factory: Callable[..., Any], options: Mapping[str, Any], wired_names: Collection[str]
) -> dict[str, Any]:
    wired = set(wired_names).intersection(accepted(component, factory))
    return {key: value for key, value in options.items() if key not in wired}


def _paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _paths(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _paths(below, (*path, index))


def _rebased(problem: Problem, base: Location) -> Problem:
    """Write a key below the options as a key of the whole recipe."""
    key = problem.location.key if problem.location else ""
    if base == NOWHERE:
        message = f"{key}: {problem.message}" if key else problem.message
        return Problem(message, None, problem.hint)
    location = problem.location or base
    return replace(problem, location=replace(location, key=".".join(filter(None, [base.key, key]))))


def _validated(
    component: Component, factory: Callable[..., Any], options: Mapping[str, Any], passed: Mapping[str, object]
) -> dict[str, Any]:
    own = _own(component, factory, options, passed)
    values: BaseModel = strictly(option_schema(component, factory, passed), own)
    # Of a config model the defaults count; otherwise they are the factory's own.
    names = type(values).model_fields if component.spec.config else values.model_fields_set
    return {name: getattr(values, name) for name in names}


def _contradictions(options: Mapping[str, Any], passed: Mapping[str, object], locate: Locate) -> list[Problem]:
    return [
        Problem(
            f"{name} is {_plain(options[name])} here, but {_plain(value)} by the rest of the recipe",
            locate(("options", name)),
            "leave it out: zoo passes it",
        )
        for name, value in passed.items()
        if name in options and _plain(options[name]) != _plain(value)
    ]


def _plain(value: object) -> object:
    """Return ``value`` as YAML would have it, so that a list equals a tuple."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _call(component: Component, factory: Callable[..., Any], arguments: Mapping[str, Any], locate: Locate) -> Any:  # noqa: ANN401 - as `build`
    try:
        # What a factory prints must not get into the product of a command.
        with redirect_stdout(sys.stderr), naming_missing_extras(f"{component.kind} {component.qualified_name}"):
            return factory(**arguments)
    except (ZooError, KeyboardInterrupt):
        raise
    except (ValueError, TypeError) as error:
        problem = Problem(f"{component.qualified_name}: {describe(error)}", locate(()))
        raise RecipeError([problem]) from error
    # Anything else, an attempt to exit too, is no wrong option but the plugin's failure.
    except BaseException as error:
        msg = f"{component}: {component.spec.factory} failed: {describe(error)}"
        raise ComponentError(msg, location=locate(())) from error


def _check_contract(component: Component, built: object) -> None:
    from zoo_core import contracts  # noqa: PLC0415 - needs numpy

    members = {
        "backbone": _members(contracts.Backbone),
        "head": _members(contracts.Head),
        "loss": _members(contracts.Loss),
        "dataset": _members(contracts.Dataset),
        "augmentation": _members(contracts.Augmentation),
        "export_wrapper": ["forward"],
        "teacher": _members(contracts.Teacher),
        "optimizer": ["param_groups", "step", "zero_grad"],
        "callback": ["setup", "on_train_batch_end", "state_dict"],
        "logger": ["log_metrics", "log_hyperparams", "finalize"],
        "metric": _members(contracts.Metric),
        "lr_scheduler": ["step" if hasattr(built, "step") else "__call__"],
    }
    wanted = members[component.kind]
    if component.kind == "dataset" and hasattr(built, "stream"):
        wanted = _members(contracts.StreamingDataset)
    missing = [name for name in wanted if not hasattr(built, name)]
    if missing:
        msg = f"{component} built a {type(built).__name__} without {', '.join(missing)}"
        raise ComponentError(msg, hint=f"the plugin must fit the contract of a {component.kind}")


def _members(protocol: type) -> list[str]:
    """Return the attributes and methods that a Protocol asks for."""
    special = {"__call__", "__len__", "__getitem__"}
    names = [*inspect.get_annotations(protocol), *vars(protocol)]
    return [name for name in names if name in special or not name.startswith("_")]
