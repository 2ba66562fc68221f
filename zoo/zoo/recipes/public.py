"""A recipe as it is published: without the paths, names and columns of data that nobody else has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from zoo_core.components import WIRED
from zoo_core.config.document import dotted
from zoo_core.errors import ComponentError, Problem
from zoo_core.provenance import recipe_sha256
from zoo_core.signatures import option_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic.fields import FieldInfo

    from zoo.recipes.schema import Recipe
    from zoo_core.config import Document
    from zoo_core.config.document import KeyPath
    from zoo_core.registry import Registry

# What stands in a published recipe for the data, and for other files, that were not published.
OWN_DATA, OWN_FILE = "<own data>", "<own file>"
# Absolute, from the home folder or from here, with a drive, a share, a scheme, or a program that reads it.
_PATH = re.compile(r"(^|[\s:=,;|\"'(\[{])(~|/|\.\.?([/\\]|$)|file:)|\\|^[A-Za-z]:|@[\w.-]+[:/]|\$\{?\w|/\.\.(/|$)")
_FILE = re.compile(
    r"\.(pth?|ckpt|bin|pkl|pickle|np[yz]|safetensors|onnx|json|ya?ml|txt|[ct]sv|parquet|tar|zip|t?gz|h5|hdf5|l?mdb|db|sqlite"
    r"|jpe?g|png|webp|bmp|tiff?)$",
    re.IGNORECASE,
)
# What a person has written for others to read.
_WORDS = ("card",)


def public_recipe(recipe: Recipe, registry: Registry, *, strict: bool = True) -> Recipe:
    """Return the recipe as it is published.

    A data set's texts are replaced, unless its factory gives them a choice (``Literal``) or has them by default, or
    ``card.datasets`` names the data; so are paths and files anywhere else. ``hub`` is left at its defaults: the reader
    has found the model already.

    Args:
        recipe: resolved.
        registry: what knows the options of its components.
        strict: replace the texts of a data set that cannot be loaded, too; else only paths.
    """
    document = recipe.model_dump(mode="json")
    document.pop("hub")
    named = set(recipe.card.datasets)
    for path, kind in recipe.component_paths().items():
        if kind == "dataset":
            reference = _at(document, path)
            told = bool(named & set(_texts(reference["options"])))
            options = None if told else _choices(registry, reference["name"])
            if options is not None or (strict and not told):
                reference["options"] = {
                    key: _replaced_option(value, _hides(options or {}, key))
                    for key, value in reference["options"].items()
                }
    document = {
        key: value if key in _WORDS else _replaced(value, OWN_DATA if key == "data" else OWN_FILE, _is_local)
        for key, value in document.items()
    }
    return type(recipe).model_validate(document)


def published_sha256(document: Mapping[str, Any]) -> str:
    """Return the hash of a published recipe, by which an export names it; the card may change after an export."""
    return recipe_sha256({key: value for key, value in document.items() if key not in {"card", "hub"}})


def unset_data(document: Document, below: KeyPath = ()) -> list[Problem]:
    """Return the one problem of a published recipe whose data are somebody else's: all keys that have to be set."""
    found = unset_keys(document, below)
    if not found:
        return []
    keys = ", ".join(f"{dotted(path)}=..." for path in found)
    value = document.get(found[0])
    message = f"{value} stands for what its author has not published"
    return [Problem(message, document.locate(found[0]), f"set {keys}")]


def unset_keys(document: Document, below: KeyPath = ()) -> list[KeyPath]:
    """Return the keys of a published recipe whose values were not published."""
    value = document.get(below, {})
    paths = [path for path in document.marks if path[: len(below)] == below] if is_unset(value) else []
    return [path for path in paths if document.get(path) in (OWN_DATA, OWN_FILE)]


def is_unset(value: object) -> bool:
    """Return whether options hold a placeholder of what was not published."""
    return any(text in {OWN_DATA, OWN_FILE} for text in _texts(value))


def _choices(registry: Registry, name: str) -> Mapping[str, FieldInfo] | None:
    """Return the options of a data set; None where it is not available."""
    try:
        component = registry.find("dataset", name)
        return option_schema(component, registry.load(component), WIRED["dataset"]).model_fields
    except ComponentError:
        return None


def _hides(options: Mapping[str, FieldInfo], key: str) -> Callable[[str], bool]:
    field = options.get(key)
    if field is None:
        return lambda _text: True
    choices = {*_literals(field.annotation), field.get_default()} if _is_hashable(field) else set()
    return lambda text: text not in choices


def _is_hashable(field: FieldInfo) -> bool:
    return isinstance(field.get_default(), str | int | float | bool | None)


def _literals(annotation: Any) -> Iterator[object]:  # noqa: ANN401 - any annotation
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
        return
    for below in get_args(annotation):
        yield from _literals(below)


def _is_local(text: str) -> bool:
    return text not in {OWN_DATA, OWN_FILE} and bool(_PATH.search(text) or _FILE.search(text))


def _replaced(value: Any, marker: str, hides: Callable[[str], bool]) -> Any:  # noqa: ANN401 - JSON
    """Replace texts; a list of some, or a mapping whose keys are some, whole."""
    if isinstance(value, dict):
        if any(_is_local(key) for key in value):
            return marker
        return {key: _replaced(below, marker, hides) for key, below in value.items()}
    if isinstance(value, list):
        found = [_replaced(below, marker, hides) for below in value]
        return marker if marker in found else found
    return marker if isinstance(value, str) and hides(value) else value


def _replaced_option(value: Any, hides: Callable[[str], bool]) -> Any:  # noqa: ANN401 - JSON
    """Replace what an option of a data set says of it: the keys of a mapping may be the names of its classes."""
    return OWN_DATA if isinstance(value, dict) and value else _replaced(value, OWN_DATA, hides)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for below in value.values():
            yield from _texts(below)
    elif isinstance(value, list):
        for below in value:
            yield from _texts(below)


def _at(document: Any, path: KeyPath) -> dict[str, Any]:  # noqa: ANN401 - JSON
    for key in path:
        document = document[key]
    return document  # type: ignore[no-any-return]
