"""What a factory takes, as a schema for a component's options."""

from __future__ import annotations

import inspect
import types
import typing
import warnings
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from zoo_core.components import OPEN
from zoo_core.errors import ComponentError
from zoo_core.registry import load_target

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from zoo_core.registry import Component

# Infinite numbers are errors, as in a recipe's own sections.
_CONFIG = ConfigDict(extra="forbid", protected_namespaces=(), allow_inf_nan=False)
NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


def accepted(component: Component, factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters that options and wiring may fill, by name.

    Raises:
        ComponentError: there is no telling them, because the factory takes ``**kwargs`` or has no signature.
    """
    try:
        parameters = [] if _has_bare_init(factory) else list(inspect.signature(factory).parameters.values())
    except (ValueError, TypeError) as error:
        msg = f"{component}: its factory {component.spec.factory} has no signature"
        raise ComponentError(msg) from error
    if component.kind == "export_wrapper":
        # The model, whatever the wrapper calls it.
        parameters = parameters[1:]
    open_to_more = component.kind in OPEN
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD and not (open_to_more or component.spec.config):
            msg = f"{component}: its factory {component.spec.factory} takes **{parameter.name}"
            raise ComponentError(msg, hint="the plugin must name each option, so that a wrong one can be told")
    return {parameter.name: parameter for parameter in parameters if parameter.kind in NAMED}


def _has_bare_init(factory: Callable[..., Any]) -> bool:
    """Return whether a class has the ``__init__`` of torch's Module: it takes ``**kwargs`` to refuse all of them."""
    if not inspect.isclass(factory) or factory.__new__ is not object.__new__:
        return False
    init: Any = factory.__init__
    # By name, as importing torch takes seconds.
    names = (getattr(init, "__module__", None), getattr(init, "__qualname__", None))
    return names == ("torch.nn.modules.module", "Module.__init__")


def option_schema(
    component: Component, factory: Callable[..., Any], wired_names: Collection[str] = ()
) -> type[BaseModel]:
    """Return a pydantic model of the component's options, without those that are wired; unknown ones are errors.

    Raises:
        ComponentError: the plugin breaks the contract.
    """
    if component.spec.config:
        config = load_target(component, component.spec.config)
        if not (isinstance(config, type) and issubclass(config, BaseModel)):
            msg = f"{component}: its config {component.spec.config} is no pydantic model"
            raise ComponentError(msg)
        return type(config.__name__, (config,), {"model_config": ConfigDict(extra="forbid")})
    parameters = [one for name, one in accepted(component, factory).items() if name not in wired_names]
    schema = signature_schema(component.qualified_name, factory, parameters)
    takes_more = any(
        one.kind is inspect.Parameter.VAR_KEYWORD for one in inspect.signature(factory).parameters.values()
    )
    if component.kind in OPEN and takes_more:
        return type(schema.__name__, (schema,), {"model_config": ConfigDict(extra="allow")})
    return schema


def signature_schema(
    name: str, factory: Callable[..., Any], parameters: Iterable[inspect.Parameter]
) -> type[BaseModel]:
    """Return a pydantic model called ``name`` of ``parameters`` of ``factory``; unknown ones are errors."""
    fields: dict[str, Any] = {
        one.name: (_hint(factory, one), ... if one.default is one.empty else one.default)
        for one in parameters
        if not one.name.startswith("_")
    }
    with warnings.catch_warnings():
        # A parameter may well be called `copy`, as a method of pydantic's models is.
        warnings.simplefilter("ignore")
        return create_model(name, __config__=_CONFIG, **fields)


def _hint(factory: Callable[..., Any], parameter: inspect.Parameter) -> Any:  # noqa: ANN401 - hints are of any kind
    """Return what the parameter is annotated with; ``Any`` where that cannot be resolved or validated."""
    if parameter.annotation is parameter.empty:
        return Any
    alone = SimpleNamespace(__annotations__={"hint": parameter.annotation})
    try:
        hint = typing.get_type_hints(alone, globalns=_globals(factory), include_extras=True)["hint"]
        hint = _expressible(hint)
    # Annotations for type checkers alone name what is not imported, or are no types at all.
    except (NameError, AttributeError, TypeError, SyntaxError, PydanticUserError, PydanticUndefinedAnnotation):
        return Any
    return hint | None if parameter.default is None and not _takes_none(hint) else hint


def _takes_none(hint: Any) -> bool:  # noqa: ANN401 - hints are of any kind
    try:
        TypeAdapter(hint).validate_python(None)
    except ValidationError:
        return False
    return True


def _expressible(hint: Any) -> Any:  # noqa: ANN401 - hints are of any kind
    """Return ``hint`` without those members of a union that no YAML can hold: ``float | Tensor`` is ``float``.

    Raises:
        PydanticUserError: nothing is left.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        members = []
        for argument in arguments:
            with suppress(PydanticUserError):
                members.append(_expressible(argument))
        hint = typing.Union[tuple(members)] if members else hint  # noqa: UP007 - the members are only known now
    elif origin in {tuple, list, dict}:
        hint = origin[tuple(one if one is ... else _expressible(one) for one in arguments)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        TypeAdapter(hint)
    return hint


def _globals(factory: Callable[..., Any]) -> dict[str, Any]:
    """Return the names that the factory's annotations were written among."""
    while isinstance(factory, partial):
        factory = factory.func
    function: Any = inspect.unwrap(factory)
    if inspect.isclass(function):
        function = inspect.unwrap(function.__init__)
    elif not hasattr(function, "__globals__"):
        function = type(function).__call__
    names: dict[str, Any] = getattr(function, "__globals__", {})
    return names
