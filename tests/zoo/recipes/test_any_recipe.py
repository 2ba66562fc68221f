"""Whatever a recipe says, reading and checking it gives a recipe or its problems, never a traceback."""

from __future__ import annotations

import copy
import typing
import unicodedata
from functools import cache

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from zoo.recipes.loading import load_recipe, recipe_names, shipped
from zoo.recipes.schema import COMPONENTS, TEACHER, Recipe
from zoo_core.components import WIRED
from zoo_core.discovery import discover
from zoo_core.errors import ComponentError, RecipeError
from zoo_core.signatures import option_schema

pytestmark = pytest.mark.slow  # some minutes: 2,000 mutations and 2,000 recipes built from the schema


def fuzz(examples):
    """Try so many examples; no database, so that each run is new."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**62, 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["", "auto", "${HOME}", "${seed}", "${", "$${", "\u2029", "a\nb", "timm/resnet50.a1_in1k", "../x", "0"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("recipes")


REGISTRY = discover()


def verdict(path, overrides=()):
    """Load and check as `zoo config check` does; return the problems."""
    try:
        load_recipe(path, overrides, registry=REGISTRY)
    except (RecipeError, ComponentError) as error:
        lines = [str(problem) for problem in error.problems]
        assert lines
        assert all(line.strip() for line in lines)
        hidden = {character for line in lines for character in line if not character.isprintable()}
        # Spaces and joiners of other scripts are shown as they are: the names of classes and files have them.
        assert all(unicodedata.category(character) == "Zs" or character in "\u200c\u200d" for character in hidden)
        return lines
    return []


def leaves(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from leaves(below, (*path, key))


TREES = {name: yaml.safe_load((shipped() / f"{name}.yaml").read_text()) for name in recipe_names()}
TREES["base"] = yaml.safe_load((shipped() / "base" / "embedding.yaml").read_text())
RESOLVED = load_recipe("lcnet050_cosface_96").recipe.model_dump(mode="json")


@st.composite
def mutated(draw):
    """A shipped recipe, whole or resolved, of which one to four values or keys are others."""
    tree = copy.deepcopy(draw(st.sampled_from([*TREES.values(), RESOLVED])))
    for _ in range(draw(st.integers(1, 4))):
        paths = [path for path in leaves(tree) if path]
        if not paths:
            break
        *parents, key = draw(st.sampled_from(paths))
        parent = tree
        for step in parents:
            parent = parent[step]
        how = draw(st.sampled_from(["value", "value", "value", "remove", "rename"]))
        if how == "value":
            parent[key] = draw(values)
        elif how == "remove":
            del parent[key]
        elif isinstance(parent, dict):
            parent[draw(st.text(max_size=8))] = parent.pop(key)
    return tree


@cache
def options_of(kind):
    """The options of each component of a kind, as its schema has them."""
    found = {}
    for listed in REGISTRY.components(kind):
        component = REGISTRY.find(kind, f"{listed.plugin}/lcnet_050") if listed.is_family else listed
        schema = option_schema(component, REGISTRY.load(component), WIRED[kind])
        found[component.qualified_name] = schema
    return found


def of_annotation(annotation):  # noqa: PLR0911 - one return for each kind
    """Values that an annotation may mean, right ones mostly."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return of_annotation(arguments[0])
    if origin is typing.Literal:
        return st.sampled_from(arguments) | scalars
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return of_model(annotation)
    if origin is list:
        return st.lists(of_annotation(arguments[0]), max_size=3)
    if origin is tuple:
        return st.lists(of_annotation(arguments[0]), min_size=1, max_size=3)
    if origin is dict:
        return st.dictionaries(st.sampled_from(["img", "feats", "0", "x"]), of_annotation(arguments[1]), max_size=2)
    if arguments:
        return st.one_of([of_annotation(argument) for argument in arguments])
    simple = {
        int: st.integers(-2, 300) | st.integers(),
        float: st.floats(),
        bool: st.booleans(),
        str: st.text(max_size=8),
    }
    return simple.get(annotation, values) if isinstance(annotation, type) else values


def of_model(model):
    fields = {name: of_annotation(field.annotation) for name, field in model.model_fields.items()}
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    return st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: one for name, one in fields.items() if name not in required},
    )


@st.composite
def built(draw):
    """A recipe built from the schema, whose components exist and have options by their own schemas."""
    tree = draw(of_model(Recipe))
    for path, kind in [*COMPONENTS.items(), (TEACHER, "teacher")]:
        section = tree
        for step in path[:-1]:
            section = section.get(step) if isinstance(section, dict) else None
        if not isinstance(section, dict) or path[-1] not in section or draw(st.integers(0, 9)) == 0:
            continue
        name = draw(st.sampled_from(sorted(options_of(kind))))
        if kind == "export_wrapper":
            section[path[-1]]["name"] = name
        else:
            section[path[-1]] = {"name": name, "options": draw(of_model(options_of(kind)[name]))}
    return tree


def dumped(tree):
    return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)


@pytest.mark.parametrize(
    "trees", [pytest.param(mutated(), id="mutated"), pytest.param(built(), id="built from the schema")]
)
@fuzz(2000)
@given(st.data())
def test_a_recipe_of_any_values(folder, trees, data):
    path = folder / "any.yaml"
    path.write_text(dumped(data.draw(trees)), encoding="utf-8", errors="surrogatepass")
    verdict(path)


@fuzz(300)
@given(st.sampled_from(sorted(TREES)), st.integers(0, 4000), st.binary(max_size=6), st.integers(0, 6))
def test_a_recipe_with_other_bytes(folder, name, place, noise, removed):
    content = dumped(TREES[name]).encode()
    place %= len(content)
    path = folder / "bytes.yaml"
    path.write_bytes(content[:place] + noise + content[place + removed :])
    verdict(path)


@fuzz(300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([".".join(map(str, path)) for path in leaves(RESOLVED) if path]) | st.text(max_size=12),
            values,
        ),
        max_size=3,
    )
)
def test_any_override(pairs):
    overrides = [f"{key}={yaml.safe_dump(value, default_flow_style=True, width=10**6)}" for key, value in pairs]
    verdict("lcnet050_cosface_96", overrides)
