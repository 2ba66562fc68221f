from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_core.config import Node, dump, load
from zoo_core.config.layers import merge
from zoo_core.config.overrides import from_command_line, from_program, override
from zoo_core.errors import Location

TEXT = """\
model:
  loss: {name: margin/cosface, options: {s: 64, m: 0.4}}
data: {image_size: [96, 96], loader: {batch_size: 512}}
callbacks: [{name: a, options: {x: 1}}]
"""


def loaded(tmp_path, *overrides, environment=None):
    path = tmp_path / "r.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return load(path, overrides, environment)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("3", 3), ("null", None), ("", None), ("true", True), ("[1, 2]", [1, 2]), ("a=b=c", "a=b=c"),
     ("'3'", "3"), ("{a: 1}", {"a": 1}), ("yes", "yes"), ("00:00:03:00", "00:00:03:00")],
)  # fmt: skip
def test_values_are_read_as_in_a_file(tmp_path, text, value):
    document = loaded(tmp_path, f"new.key={text}")

    assert document.problems == ()
    assert document.value["new"]["key"] == value
    assert str(document.locate(("new", "key"))) == "<command line>: new.key"


def test_one_item_of_a_list(tmp_path):
    document = loaded(tmp_path, "data.image_size.1=64", "callbacks.0.options.x=2")

    assert document.value["data"]["image_size"] == [96, 64]
    assert document.value["callbacks"] == [{"name": "a", "options": {"x": 2}}]
    assert str(document.locate(("data", "image_size", 0))).endswith("r.yaml:3:21: data.image_size.0")
    assert str(document.locate(("data", "image_size", 1))) == "<command line>: data.image_size.1"


def test_an_item_of_a_list_that_was_overridden_before(tmp_path):
    assert loaded(tmp_path, "data.image_size=[1, 2]", "data.image_size.0=3").value["data"]["image_size"] == [3, 2]


def test_what_is_around_an_override_stays_where_it_was_written(tmp_path):
    document = loaded(tmp_path, "data.loader.batch_size=8")

    assert str(document.locate(("data", "loader"))).endswith("r.yaml:3:30: data.loader")


def test_a_new_name_drops_old_options_but_none_of_the_same_command_line(tmp_path):
    assert loaded(tmp_path, "model.loss.name=margin/arcface").value["model"]["loss"] == {"name": "margin/arcface"}
    for overrides in (
        ["model.loss.options.m=0.5", "model.loss.name=margin/arcface"],
        ["model.loss.name=margin/arcface", "model.loss.options.m=0.5"],
    ):
        loss = loaded(tmp_path, *overrides).value["model"]["loss"]
        assert loss == {"name": "margin/arcface", "options": {"m": 0.5}}


def test_the_command_line_is_stronger_than_the_environment_and_that_than_the_file(tmp_path):
    environment = {
        "ZOO_RECIPE__data__loader__batch_size": "32",
        "ZOO_RECIPE__model__loss__options__s": "30",
        "OTHER": "1",
    }

    document = loaded(tmp_path, "data.loader.batch_size=16", environment=environment)

    assert document.value["data"]["loader"]["batch_size"] == 16
    assert document.value["model"]["loss"]["options"] == {"s": 30, "m": 0.4}
    place = str(document.locate(("model", "loss", "options", "s")))
    assert place == "$ZOO_RECIPE__model__loss__options__s: model.loss.options.s"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["word"], "<command line>: 'word' is not an override; write it as key=value, such as trainer.max_epochs=5"),
        (["=3"], "<command line>: '=3' is not an override"),
        (["a..b=3"], "<command line>: 'a..b=3' is not an override"),
        (["a=["], "<command line>: a: cannot read '[': not YAML"),
        (["a={b: 1, b: 2}"], "<command line>: a: cannot read '{b: 1, b: 2}': duplicate key 'b'"),
        (
            ["data.image_size.2=3"],
            "<command line>: data.image_size.2: '2' is not an item of the list; its items are 0 to 1",
        ),
        (["data.image_size.x=3"], "<command line>: data.image_size.x: 'x' is not an item of the list"),
    ],
)
def test_what_cannot_be_read_is_a_problem_of_the_command_line(tmp_path, overrides, expected):
    (problem,) = loaded(tmp_path, *overrides).problems

    assert str(problem).startswith(expected)


def test_an_environment_variable_that_names_nothing(tmp_path):
    (problem,) = loaded(tmp_path, environment={"ZOO_RECIPE__": "3"}).problems

    assert str(problem) == "$ZOO_RECIPE__: names no key of a recipe; write it as ZOO_RECIPE__trainer__max_epochs=5"


keys = st.sampled_from(["a", "b", "c"])
paths = st.lists(keys, min_size=1, max_size=3).map(".".join)
values = st.integers() | st.booleans()


@settings(deadline=None)
@given(st.dictionaries(paths, values, max_size=4), st.lists(st.tuples(paths, values), max_size=5))
def test_the_last_override_wins_whatever_was_there(base, assignments):
    def tree(pairs):
        root = Node({}, Location("file"))
        parsed, problems = from_command_line(f"{key}={str(value).lower()}" for key, value in pairs)
        assert problems == []
        root, problems = override(root, parsed, merge, within=merge)
        assert problems == []
        return root

    root, problems = override(
        tree(base.items()), from_command_line(f"{k}={str(v).lower()}" for k, v in assignments)[0], merge, within=merge
    )

    assert problems == []
    for index, (key, value) in enumerate(assignments):
        later = [other for other, _ in assignments[index + 1 :]]
        if any(f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.") for other in later):
            continue
        found = root.plain()
        for part in key.split("."):
            found = found[part]
        assert found == value


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    SCALARS.filter(lambda value: "${" not in str(value)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(value=VALUES)
@settings(max_examples=200, deadline=None)
def test_a_value_of_a_program_is_what_yaml_of_it_is_read_as(value):
    assignments, problems = from_program({"a.b": value})
    changed, _ = override(Node({}, Location("r.yaml")), assignments, merge, within=merge)
    words, _ = from_command_line([f"a.b={dump({'value': value})}"])
    read, _ = override(Node({}, Location("r.yaml")), words, merge, within=merge)

    assert problems == []
    assert changed.plain() == {"a": {"b": value}}
    assert repr(read.plain()["a"]["b"]["value"]) == repr(value)


def test_values_by_key_are_laid_over_a_recipe_as_words_are(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(TEXT, encoding="utf-8")
    values = {"data.image_size.1": 64, "model.loss": {"options": {"m": 0.5}}, "new.key": "3", "data.loader": None}
    words = ["data.image_size.1=64", "model.loss={options: {m: 0.5}}", "new.key='3'", "data.loader=null"]
    by_key, by_word = load(path, values), load(path, words)

    assert by_key.value == by_word.value
    assert str(by_key.locate(("new", "key"))) == "overrides: new.key"
    reference = load(path, {"new.key": "${data.image_size.0}"})
    assert reference.value["new"]["key"] == 96


def test_numbers_of_numpy_tuples_and_paths_are_plain_values(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(TEXT, encoding="utf-8")
    values = {"new": {"a": np.int64(3), "b": np.float32(0.5), "c": (1, 2), "d": tmp_path}}
    new = load(path, values).value["new"]

    assert new == {"a": 3, "b": 0.5, "c": [1, 2], "d": str(tmp_path)}
    assert [type(one) for one in new.values()] == [int, float, list, str]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"data.root": {1, 2}}, "overrides: data.root: a recipe holds no set; give text, numbers"),
        ({"data.root": ["a", b"b"]}, "overrides: data.root: a recipe holds no bytes"),
        ({"data.root": "\ud800"}, "overrides: data.root: text with half a surrogate pair"),
        ({"data..root": 1}, "overrides: 'data..root' is no key of a recipe; write it with dots"),
        ({"data.image_size.7": 1}, "overrides: data.image_size.7: '7' is not an item of the list"),
    ],
)
def test_what_a_recipe_cannot_hold_is_a_problem_of_its_key(tmp_path, overrides, says):
    path = tmp_path / "r.yaml"
    path.write_text(TEXT, encoding="utf-8")
    (problem,) = load(path, overrides).problems

    assert str(problem).startswith(says)
