"""A document against a schema: every error at once, each where it was written."""

from __future__ import annotations

import json
import types
import typing
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from zoo_core.config.document import dotted
from zoo_core.config.overrides import COMMAND_LINE, PROGRAM
from zoo_core.config.suggestions import did_you_mean, suggest
from zoo_core.errors import Location, Problem, RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

    from zoo_core.config.document import Document, KeyPath

Schema = TypeVar("Schema", bound=BaseModel)

# pydantic's words are about Python; these are about YAML.
KINDS = {
    "bool_type": "should be true or false",
    "dict_type": "should be a mapping",
    "float_type": "should be a number",
    "int_type": "should be a whole number",
    "list_type": "should be a list",
    "model_type": "should be a mapping",
    "string_type": "should be text",
    "tuple_type": "should be a list",
}
LONGEST_VALUE = 40


def validate(schema: type[Schema], document: Document) -> Schema:
    """Build ``schema`` from the document.

    Raises:
        RecipeError: with every problem there is, those found in reading included.
    """
    if problems := schema_problems(schema, document):
        raise RecipeError(problems)
    return strictly(schema, document.value)


def strictly(schema: type[Schema], value: object) -> Schema:
    """Validate as JSON is validated: no number out of text, yet a whole number is a float and a list a tuple.

    Raises:
        pydantic.ValidationError: the value does not fit.
    """
    return schema.model_validate_json(json.dumps(value), strict=True)


def schema_problems(schema: type[BaseModel], document: Document, at: KeyPath = ()) -> list[Problem]:
    """Return all that is wrong with what stands ``at`` a path, sorted; what reading it found included."""
    problems = [problem for problem in document.problems if not at or _is_below(at, problem)]
    known = {problem.location.key for problem in problems if problem.location}
    try:
        strictly(schema, document.get(at, {}))
    except ValidationError as error:
        for path, details in _by_path(error.errors(include_url=False), document, at).items():
            # What could not be read cannot be of the right type either: report it once.
            if not path or dotted(path) not in known:
                problems += _rewritten(schema, document, at, path, details)
    return sort_problems(problems)


def sort_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Sort by file and position, each problem once."""

    def position(problem: Problem) -> tuple[str, int, int, str]:
        location = problem.location or Location("")
        return location.file, location.line or 0, location.column or 0, location.key

    return sorted(dict.fromkeys(problems), key=position)


def _is_below(at: KeyPath, problem: Problem) -> bool:
    return problem.location is not None and f"{problem.location.key}.".startswith(f"{dotted(at)}.")


def _by_path(errors: Iterable[ErrorDetails], document: Document, at: KeyPath) -> dict[KeyPath, list[ErrorDetails]]:
    """Group errors by the document's own path: pydantic adds the names of a union's members behind it."""
    grouped: dict[KeyPath, list[ErrorDetails]] = {}
    for error in errors:
        path = (*at, *(error["loc"][:-1] if error["type"] == "missing" else error["loc"]))
        while len(path) > len(at) and path not in document.marks:
            path = path[:-1]
        grouped.setdefault(path, []).append(error)
    return grouped


def _rewritten(
    schema: type[BaseModel], document: Document, section: KeyPath, path: KeyPath, errors: list[ErrorDetails]
) -> Iterable[Problem]:
    at = document.locate(path)
    wrong = []
    for error in errors:
        if error["type"] == "missing":
            missing = error["loc"][-1]
            yield Problem(f"missing key {missing!r}" if isinstance(missing, str) else f"missing item {missing}", at)
        elif error["type"] == "extra_forbidden":
            yield Problem("unknown key", at, _hint(schema, document, section, path))
        else:
            wrong.append(error)
    if wrong:
        what = _joined(wrong)
        hint = _literal_hint(wrong) or _name_hint(schema, section, path, wrong[0]["input"])
        yield Problem(what + _value(wrong[0]["input"], what), at, hint)


def _joined(errors: list[ErrorDetails]) -> str:
    """Join the messages of several members of a union."""
    messages = list(dict.fromkeys(_message(error) for error in errors if error["type"] != "literal_error"))
    if KINDS["float_type"] in messages and KINDS["int_type"] in messages:
        messages.remove(KINDS["int_type"])
    literals = [error["ctx"]["expected"].replace(" or ", ", ") for error in errors if error["type"] == "literal_error"]
    if literals:
        first, _, last = ", ".join(literals).rpartition(", ")
        messages.append("should be " + " or ".join(filter(None, [first, last])))
    return " or ".join(messages).replace(" or should be ", " or ")


def _message(error: ErrorDetails) -> str:
    if error["type"] in KINDS:
        return KINDS[error["type"]]
    message = error["msg"].removeprefix("Value error, ").partition(", unable to")[0]
    for start in ("Input should", "List should", "Tuple should", "Dictionary should", "String should"):
        message = message.replace(start, "should")
    return message.replace(" after validation", "").replace("integer", "whole number")


def _value(value: object, message: str) -> str:
    if isinstance(value, dict | list | tuple) or ", not " in message or not message.startswith("should"):
        return ""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return f", not {text}" if len(text) <= LONGEST_VALUE else ""


def _literal_hint(errors: list[ErrorDetails]) -> str | None:
    for error in errors:
        if error["type"] == "literal_error" and isinstance(error["input"], str):
            expected = error["ctx"]["expected"].replace(" or ", ", ").split(", ")
            return did_you_mean(error["input"], [name.strip("'") for name in expected])
    return None


def _name_hint(schema: type[BaseModel], section: KeyPath, path: KeyPath, value: object) -> str | None:
    """Say how to write `model.loss: arcface`: what has options is named by a key of its own."""
    model = _model_at(schema, path[len(section) :])
    if not isinstance(value, str) or model is None or "name" not in model.model_fields:
        return None
    return f"write {dotted(path)}.name={value}, or {{name: {value}}}"


def _hint(schema: type[BaseModel], document: Document, section: KeyPath, path: KeyPath) -> str | None:
    *parents, key = path
    model = _model_at(schema, parents[len(section) :])
    fields = list(model.model_fields) if model else []
    if hint := did_you_mean(str(key), fields):
        return hint
    at = document.marks.get(path)
    if at and at.file in {COMMAND_LINE, PROGRAM}:
        # `lr=1e-4`: the last segment of a longer key.
        longer = [dotted(known) for known in document.marks if known != path and known and known[-1] == key]
        if longer:
            return f"did you mean {longer[0]!r}?"
    return suggest(str(key), fields, "known keys")


def _model_at(schema: type[BaseModel], path: Iterable[str | int]) -> type[BaseModel] | None:
    """Return the schema of the section at ``path``."""
    here: Any = schema
    for key in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(key))
            here = field.annotation if field else None
        else:
            # The values of a mapping, or the items of a list: the last type argument of either.
            here = (typing.get_args(here) or (None,))[-1]
        here = _section(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _section(annotation: Any) -> Any:  # noqa: ANN401 - annotations are of any kind
    """Take the section out of ``Section | None``."""
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        members = [one for one in typing.get_args(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
        return members[0] if members else None
    return annotation
