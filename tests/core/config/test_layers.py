from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_core.config import Node, load, merge
from zoo_core.errors import Location, RecipeError

HERE = Location("here")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write files by name into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(**texts):
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


def node(value):
    if isinstance(value, dict):
        return Node({key: node(item) for key, item in value.items()}, HERE)
    return Node([node(item) for item in value], HERE) if isinstance(value, list) else Node(value, HERE)


def merged(*layers):
    first, *rest = map(node, layers)
    for layer in rest:
        first = merge(first, layer)
    return first.plain()


def test_mappings_merge_and_lists_replace():
    assert merged({"a": {"x": 1, "y": [1, 2]}}, {"a": {"y": [3], "z": None}}) == {"a": {"x": 1, "y": [3], "z": None}}


def test_a_new_name_drops_the_options_of_the_old_one():
    base = {"loss": {"name": "margin/cosface", "options": {"s": 64, "m": 0.4}}}

    assert merged(base, {"loss": {"name": "margin/arcface"}}) == {"loss": {"name": "margin/arcface"}}
    assert merged(base, {"loss": {"name": "margin/arcface", "options": {"m": 0.5}}})["loss"]["options"] == {"m": 0.5}
    assert merged(base, {"loss": {"options": {"m": 0.3}}})["loss"]["options"] == {"s": 64, "m": 0.3}


@pytest.mark.parametrize("same", ["margin/cosface", "cosface"])
def test_the_same_name_keeps_the_options(same):
    base = {"loss": {"name": "margin/cosface", "options": {"s": 64}}}

    assert merged(base, {"loss": {"name": same}})["loss"] == {"name": same, "options": {"s": 64}}


def test_the_same_bare_name_of_another_plugin_is_another_component():
    base = {"loss": {"name": "margin/cosface", "options": {"s": 64}}}

    assert merged(base, {"loss": {"name": "mine/cosface"}})["loss"] == {"name": "mine/cosface"}


def test_what_stands_beside_the_options_stays():
    base = {"optimizer": {"name": "AdamW", "reference_batch": 256, "options": {"lr": 0.1, "betas": [0.9, 0.99]}}}

    assert merged(base, {"optimizer": {"name": "SGD"}})["optimizer"] == {"name": "SGD", "reference_batch": 256}


def test_only_components_lose_their_options():
    # The options of `onnx` are those of the exporter, whatever wrapper its name says.
    base = {"onnx": {"name": "A", "input_names": ["img"], "options": {"opset_version": 16}}}

    assert merged(base, {"onnx": {"name": "B"}})["onnx"]["options"] == {"opset_version": 16}


def test_names_of_the_graph_come_whole_from_the_strongest_file(files):
    root = files(
        mine="extends: base.yaml\nonnx: {input_shape: {image: {shape: [2]}}}\n",
        base="onnx: {input_shape: {img: {shape: [1], dtype: uint8}}, dynamic_axes: {img: {'0': n}}, options: {a: 1}}\n",
    )
    unchanged = {"dynamic_axes": {"img": {"0": "n"}}, "options": {"a": 1}}

    assert load(root / "mine.yaml").value["onnx"] == {"input_shape": {"image": {"shape": [2]}}, **unchanged}


def test_overrides_merge_into_the_names_of_the_graph(files):
    root = files(mine="onnx: {input_shape: {img: {shape: [1], dtype: uint8}}, dynamic_axes: {img: {'0': n}}}\n")
    environment = {"ZOO_RECIPE__onnx__dynamic_axes__feats": "{'0': m}"}

    document = load(root / "mine.yaml", ["onnx.input_shape.img.dtype=float32"], environment)

    assert document.value["onnx"] == {
        "input_shape": {"img": {"shape": [1], "dtype": "float32"}},
        "dynamic_axes": {"img": {"0": "n"}, "feats": {"0": "m"}},
    }


def test_an_override_that_gives_all_names_of_the_graph_replaces_them(files):
    root = files(mine="onnx: {input_shape: {img: {shape: [1]}}, dynamic_axes: {img: {'0': n}}, options: {a: 1}}\n")
    environment = {"ZOO_RECIPE__onnx__dynamic_axes": "{image: {'0': m}}"}
    given = {"onnx.input_shape": {"image": {"shape": [2]}}, "onnx.options": {"b": 2}}

    document = load(root / "mine.yaml", given, environment)

    assert document.value["onnx"] == {
        "input_shape": {"image": {"shape": [2]}},
        "dynamic_axes": {"image": {"0": "m"}},
        "options": {"a": 1, "b": 2},
    }
    assert load(root / "mine.yaml", ["onnx.input_shape=nonsense"]).value["onnx"]["input_shape"] == "nonsense"


leaves = st.integers() | st.text(max_size=3) | st.none() | st.lists(st.integers(), max_size=2)
# Each key always holds the same kind of thing: that is where merging is associative.
trees = st.recursive(
    st.fixed_dictionaries({}, optional={"p": leaves, "q": leaves}),
    lambda inner: st.fixed_dictionaries({}, optional={"p": leaves, "m": inner}),
    max_leaves=4,
)


@settings(deadline=None)
@given(trees, trees, trees)
def test_merging_is_associative_where_kinds_agree(a, b, c):
    assert merge(merge(node(a), node(b)), node(c)).plain() == merge(node(a), merge(node(b), node(c))).plain()


@settings(deadline=None)
@given(trees)
def test_merging_with_itself_or_nothing_changes_nothing(a):
    assert merged(a, a) == merged(a, {}) == merged({}, a) == a


def test_bases_come_from_beside_the_file_that_names_them(files):
    root = files(
        recipes__mine="extends: [../a.yaml, below/b.yaml]\nx: 3\n",
        a="x: 1\ny: 1\nz: 1\n",
        recipes__below__b="extends: c.yaml\ny: 2\n",
        recipes__below__c="z: 2\nw: 2\n",
    )
    document = load(root / "recipes" / "mine.yaml")

    assert document.value == {"x": 3, "y": 2, "z": 2, "w": 2}
    assert {key[0]: str(place) for key, place in document.marks.items() if key} == {
        "x": "recipes/mine.yaml:2:1: x",
        "y": "recipes/below/b.yaml:2:1: y",
        "z": "recipes/below/c.yaml:1:1: z",
        "w": "recipes/below/c.yaml:2:1: w",
    }


def test_a_base_that_two_bases_share_is_no_circle(files):
    root = files(
        top="extends: [left.yaml, right.yaml]\n",
        left="extends: base.yaml\nl: 1\n",
        right="extends: base.yaml\n",
        base="b: 1\n",
    )

    assert load(root / "top.yaml").value == {"b": 1, "l": 1}


def test_a_base_is_found_by_name(files):
    root = files(mine="extends: shipped\nb: 2\n", elsewhere__shipped="a: 1\nb: 1\n")

    document = load(root / "mine.yaml", find=lambda name: [root / "elsewhere" / f"{name}.yaml"])

    assert document.value == {"a": 1, "b": 2}


def test_a_recipe_may_extend_the_shipped_one_of_its_own_name(files):
    root = files(configs__same="extends: same\nb: 2\n", shipped__same="a: 1\nb: 1\n")
    places = [root / "configs" / "same.yaml", root / "shipped" / "same.yaml"]

    assert load(root / "configs" / "same.yaml", find=lambda _: places).value == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (
            {"a": "x: 1\nextends: b.yaml\n", "b": "extends: [c.yaml]\n", "c": "extends: a.yaml\n"},
            "c.yaml:1:1: extends: bases extend each other in a circle: a.yaml -> b.yaml -> c.yaml -> a.yaml",
        ),
        ({"a": "extends: a.yaml\n"}, "a.yaml:1:1: extends: bases extend each other in a circle: a.yaml -> a.yaml"),
        ({"a": "extends: none.yaml\n"}, "a.yaml:1:1: extends: there is no base 'none.yaml'; looked for none.yaml"),
        ({"a": "extends: b.yaml\n", "b": "x: [\n"}, "b.yaml:2:1: not YAML: "),
    ],
)
def test_bases_that_cannot_be_had_are_told_with_their_place(files, texts, expected):
    root = files(**texts)

    with pytest.raises(RecipeError) as caught:
        load(root / "a.yaml")

    assert str(caught.value).startswith(expected)


def test_extends_of_another_kind_is_a_problem_like_any(files):
    document = load(files(a="extends: [3, {b: c}]\nx: 1\n") / "a.yaml")

    assert [str(problem) for problem in document.problems] == [
        "a.yaml:1:11: extends: should be a file or a list of files",
        "a.yaml:1:14: extends: should be a file or a list of files",
    ]


def test_locate_falls_back_to_what_is_around(files):
    document = load(files(a="x:\n  y: 1\n") / "a.yaml")

    assert str(document.locate(("x", "z", 3))) == "a.yaml:1:1: x.z.3"
    assert str(document.locate(("q",))) == "a.yaml:1:1: q"


def test_an_override_of_a_name_keeps_the_options_that_both_have_and_a_file_none(files):
    root = files(
        base="loss: {name: a, options: {x: 1, y: 2}}\n",
        mine="extends: base.yaml\nloss: {name: b}\n",
    )
    overridden = load(root / "base.yaml", ["loss.name=b"], options_of=lambda _, name: {"y"} if name == "b" else ())

    assert overridden.value == {"loss": {"name": "b", "options": {"y": 2}}}
    (renamed,) = overridden.renamed
    assert (renamed.path, renamed.before, renamed.name) == (("loss",), "a", "b")
    assert (list(renamed.kept), list(renamed.dropped)) == (["y"], ["x"])
    assert str(renamed.dropped["x"].location) == "base.yaml:1:27"

    document = load(root / "mine.yaml", options_of=lambda *_: {"y"})
    assert document.value == {"loss": {"name": "b"}}
    assert list(document.renamed[0].dropped) == ["x", "y"]


def test_what_cannot_be_known_is_kept(files):
    root = files(base="loss: {name: a, options: {x: 1}}\n")

    assert load(root / "base.yaml", ["loss.name=b"], options_of=lambda *_: None).value["loss"]["options"] == {"x": 1}
