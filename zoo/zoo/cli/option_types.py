"""Types and defaults of options, as a person who writes YAML reads them."""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUIRED = "(required)"
COMPUTED = "(computed)"
BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def fields_of(schema: type[BaseModel], start: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Return the fields of a model by dotted name; those of a model within it stand in its place."""
    for name, field in schema.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields_of(field.annotation, f"{start}{name}.")
        else:
            yield start + name, field


def default_text(field: FieldInfo) -> str:
    """Return what an option is when a recipe does not name it, as YAML."""
    if field.is_required():
        return REQUIRED
    return COMPUTED if field.default_factory else _yaml(field.default)


def field_text(field: FieldInfo) -> str:
    """Return the type of a field with its bounds."""
    return _bounded(type_text(field.annotation), field.metadata)


def type_text(annotation: object) -> str:
    """Return a type in words: ``float, > 0, or null``; ``train | unseen``; ``list of str``."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in {None, type(None)}:
        return "null"
    if origin is typing.Annotated:
        inner = [one.metadata if isinstance(one, FieldInfo) else [one] for one in arguments[1:]]
        return _bounded(type_text(arguments[0]), [constraint for some in inner for constraint in some])
    if origin is typing.Literal:
        return " | ".join(map(_yaml, arguments))
    if origin in {typing.Union, types.UnionType}:
        members = sorted(arguments, key=lambda member: member is type(None))
        texts = [type_text(member) for member in members]
        return f"{', '.join(texts[:-1])}{',' if '>' in texts[0] or '<' in texts[0] else ''} or {texts[-1]}"
    return _container_text(origin, arguments) or inspect.formatannotation(annotation)


def _container_text(origin: object, arguments: Sequence[Any]) -> str | None:
    """Return the type of a list, tuple or mapping in words; ``None`` for anything else."""
    if not arguments:
        return None
    if origin is tuple and arguments[-1] is not ...:
        return f"[{', '.join(map(type_text, arguments))}]"
    if origin in {list, tuple, set, Sequence, Iterable}:
        return f"list of {type_text(arguments[0])}"
    if origin is dict:
        return f"mapping of {' to '.join(map(type_text, arguments))}"
    return None


def _bounded(text: str, constraints: Iterable[Any]) -> str:
    bounds = [
        f"{sign} {getattr(constraint, name):.5g}"
        for constraint in constraints
        for name, sign in BOUNDS.items()
        if hasattr(constraint, name)
    ]
    if bounds and text.endswith(" or null"):
        return f"{', '.join([text.removesuffix(' or null'), *bounds])}, or null"
    return ", ".join([text, *bounds])


def _yaml(value: object) -> str:
    if isinstance(value, str):
        return value or '""'
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)
