"""The JSON Schema of recipe files, with which an editor completes and checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.recipes.schema import COMPONENTS, Recipe

if TYPE_CHECKING:
    from zoo_core.components import Kind
    from zoo_core.registry import Registry

# A value may be left to a reference, whatever its type.
REFERENCE = {"type": "string", "pattern": r"\$\{.+\}"}
_LISTED_BY_TRAINER: tuple[Kind, Kind] = ("callback", "logger")
# Sections that are a component themselves.
_SECTIONS = {"onnx": "OnnxSection", "optimizer": "OptimizerSection", "lr_scheduler": "LrSchedulerSection"}


def json_schema(registry: Registry) -> dict[str, Any]:
    """Return the schema of a recipe's file.

    Nothing is required, because a base may set it; and a reference may stand for any value.
    """
    schema = Recipe.model_json_schema()
    for section in schema["$defs"].values():
        section.pop("required", None)
    schema.pop("required")
    _allow_references(schema)
    properties = {name: definition["properties"] for name, definition in schema["$defs"].items()}
    for path, kind in COMPONENTS.items():
        names = _names(registry, kind)
        if len(path) == 1:
            properties[_SECTIONS[path[0]]]["name"] = names
        else:
            section = properties["ModelSection" if path[0] == "model" else "DataSection"]
            section[path[1]] = {**section[path[1]], "properties": {"name": names}}
    properties["AlsoReference"]["name"] = _names(registry, "dataset")
    schema["properties"]["metrics"]["items"] = _listed(registry, "metric")
    callbacks, loggers = ({"type": "array", "items": _listed(registry, kind)} for kind in _LISTED_BY_TRAINER)
    several: list[dict[str, Any]] = [{"type": "boolean"}, loggers]
    schema["properties"]["trainer"]["properties"] = {"callbacks": callbacks, "logger": {"anyOf": several}}
    distillation = properties["DistillationSection"]
    distillation["teacher"] = {**distillation["teacher"], "properties": {"name": _names(registry, "teacher")}}
    schema["properties"] = {
        "extends": {
            "description": "a recipe or a list of them, by name or by path from this file, that this one builds on",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        },
        **schema["properties"],
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _listed(registry: Registry, kind: Kind) -> dict[str, Any]:
    """Return the schema of a component of a list."""
    properties = {"name": _names(registry, kind), "options": {"type": "object"}}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _names(registry: Registry, kind: Kind) -> dict[str, Any]:
    """Return the names of a kind: a family's members are not listed, for that would import its library."""
    components = registry.components(kind)
    bare = [component.name for component in components]
    named = [component for component in components if not component.is_family]
    names = [component.qualified_name for component in named]
    names += [component.name for component in named if bare.count(component.name) == 1]
    if len(named) == len(components):
        return {"enum": names}
    families = [component.qualified_name for component in components if component.is_family]
    return {"type": "string", "description": f"any of {', '.join(families)}", "examples": names}


def _allow_references(schema: object) -> None:
    if isinstance(schema, list):
        for item in schema:
            _allow_references(item)
    if not isinstance(schema, dict):
        return
    for below in list(schema.values()):
        _allow_references(below)
    if schema.get("type") in {"integer", "number", "boolean", "array", "null"} or "enum" in schema:
        keys = [key for key in schema if key not in {"title", "description", "default"}]
        schema["anyOf"] = [{key: schema.pop(key) for key in keys}, REFERENCE]
