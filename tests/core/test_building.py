from __future__ import annotations

import sys

import pytest

from zoo_core.building import build, check_options
from zoo_core.config import load
from zoo_core.discovery import discover
from zoo_core.errors import ComponentError, RecipeError, RunError

MODULE = """
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, model_validator
from zoo_core.api import RunError

if TYPE_CHECKING:
    from nowhere import Thing


class Head:
    def __init__(
        self,
        feature_levels,
        width: int,
        scale: float = 1.0,
        size: tuple[int, int] = (1, 2),
        mode: Literal["sum", "mean"] = "sum",
        thing: Thing | None = None,
        copy: bool = None,
        *,
        names: dict[str, list[int]] = {},
    ):
        if width == 13:
            raise ValueError("13 is unlucky\\nreally")
        if width == 14:
            raise TypeError("14 is of no type")
        if width == 15:
            raise RunError("15 fails in its own words")
        if width == 16:
            import timm
        if width == 17:
            raise RuntimeError("17 is\\nno driver")
        if width == 18:
            raise SystemExit(3)
        if width == 19:
            raise KeyboardInterrupt
        print("building")
        self.embedding_dim = width
        self.seen = dict(locals())

    def forward(self, features):
        return features


class Config(BaseModel):
    width: int = Field(gt=0)
    deep: list[int] = [1]

    @model_validator(mode="after")
    def narrow(self):
        if self.width > 100:
            raise ValueError("wider than 100")
        return self


def configured(feature_levels, **options):
    return Head(feature_levels, options["width"], thing=options["deep"])


def greedy(**kwargs): ...


def empty(): return object()


def annotated_oddly(feature_levels, width: "no such type" = 3, other: (1, 2) = 4):
    return Head(feature_levels, width)


class Wrapper:
    def __init__(self, network, image_size=None):
        self.network, self.image_size = network, image_size

    def forward(self, images): ...


def family(name, /, width: int = 1):
    return Head((), width, thing=name)


def names(): return ["a", "b"]


class Augment:
    def __init__(self, image_size: tuple[int, int], strength: float = 1): ...
    def __call__(self, sample, generator): ...


NOT_A_MODEL = 3
"""
SPECS = [
    "ComponentSpec('head', 'h', 'fake_builds:Head', '')",
    "ComponentSpec('head', 'configured', 'fake_builds:configured', '', config='fake_builds:Config')",
    "ComponentSpec('head', 'misconfigured', 'fake_builds:Head', '', config='fake_builds:NOT_A_MODEL')",
    "ComponentSpec('head', 'greedy', 'fake_builds:greedy', '')",
    "ComponentSpec('head', 'empty', 'fake_builds:empty', '')",
    "ComponentSpec('head', 'odd', 'fake_builds:annotated_oddly', '')",
    "ComponentSpec('export_wrapper', 'w', 'fake_builds:Wrapper', '')",
    "ComponentSpec('augmentation', 'augment', 'fake_builds:Augment', '')",
    "ComponentFamily('head', '*', 'fake_builds:names', 'fake_builds:family', '')",
]
WIRED = {"feature_levels": (2, 3), "image_size": (96, 96)}


@pytest.fixture
def registry(add_distribution, manifest):
    add_distribution("zoo-fake", "0.4", fake=manifest(*SPECS), modules={"fake_builds": MODULE})
    return discover({"ZOO_ONLY_PLUGINS": "fake"})


@pytest.fixture
def problems(registry):
    def told(name, options, kind="head", wired=WIRED):
        with pytest.raises(RecipeError) as caught:
            build(registry, kind, name, options, wired)
        return [str(problem) for problem in caught.value.problems]

    return told


def test_options_are_passed_on_as_validation_leaves_them(registry):
    options = {"width": 8, "scale": 2, "size": [3, 4], "mode": "mean", "copy": None, "names": {"a": [1]}}
    head = build(registry, "head", "fake/h", options, WIRED)
    assert head.seen["scale"] == 2.0
    assert isinstance(head.seen["scale"], float)
    assert head.seen["size"] == (3, 4)
    assert head.seen["names"] == {"a": [1]}
    assert head.seen["feature_levels"] == (2, 3)
    assert head.seen["copy"] is None


def test_defaults_stay_the_factorys_own(registry):
    assert build(registry, "head", "h", {"width": 8}, WIRED).seen["size"] == (1, 2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "missing key 'width'"),
        ({"width": 1, "widht": 2}, "widht: unknown key; did you mean 'width'?"),
        ({"width": "8"}, "width: should be a whole number, not '8'"),
        ({"width": True}, "width: should be a whole number, not true"),
        ({"width": 8.5}, "width: should be a whole number, not 8.5"),
        ({"width": None}, "width: should be a whole number, not null"),
        ({"width": 1, "scale": "1.0"}, "scale: should be a number, not '1.0'"),
        ({"width": 1, "scale": True}, "scale: should be a number, not true"),
        ({"width": 1, "mode": "men"}, "mode: should be 'sum' or 'mean', not 'men'; did you mean 'mean'?"),
        ({"width": 1, "size": [1, "a"]}, "size.1: should be a whole number, not 'a'"),
        ({"width": 1, "size": [1]}, "size: missing item 1"),
        ({"width": 1, "names": {"a": 1}}, "names.a: should be a list, not 1"),
        ({"width": 1, "copy": 1}, "copy: should be true or false, not 1"),
        ({"width": 1, "xyzzy": 1}, "xyzzy: unknown key; known keys: copy, mode, names, scale, size, thing, width"),
        ({"width": 13}, "fake/h: 13 is unlucky really"),
        ({"width": 14}, "fake/h: TypeError: 14 is of no type"),
    ],
)
def test_a_wrong_option_is_told(problems, options, expected):
    assert problems("fake/h", options) == [expected]


def test_all_problems_are_told_at_once_each_with_its_place(registry, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "model:\n"
        "  head:\n"
        "    name: fake/h\n"
        "    options:\n"
        "      scale: fast\n"
        "      size: [1, a]\n"
        "      witdh: 3\n"
        "      feature_levels: [7]\n"
    )
    document = load(recipe)
    options = document.value["model"]["head"]["options"]
    with pytest.raises(RecipeError) as caught:
        build(registry, "head", "fake/h", options, WIRED, lambda below: document.locate(("model", "head", *below)))
    lines = [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]
    assert lines == [
        "r.yaml:4:5: model.head.options: missing key 'width'",
        "r.yaml:5:7: model.head.options.scale: should be a number, not 'fast'",
        "r.yaml:6:17: model.head.options.size.1: should be a whole number, not 'a'",
        "r.yaml:7:7: model.head.options.witdh: unknown key; did you mean 'width'?",
        (
            "r.yaml:8:7: model.head.options.feature_levels: feature_levels is [7] here, "
            "but [2, 3] by the rest of the recipe; leave it out: zoo passes it"
        ),
    ]


def test_an_unknown_component_is_told_with_its_place(registry, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("head: {name: fake/g}\n")
    document = load(recipe)
    with pytest.raises(ComponentError, match=r"r.yaml:1:8: head.name: there is no head 'fake/g'"):
        build(registry, "head", "fake/g", {}, WIRED, lambda below: document.locate(("head", *below)))


def test_wiring_that_is_repeated_correctly_is_fine(registry):
    head = build(registry, "head", "fake/h", {"width": 1, "feature_levels": [2, 3]}, WIRED)
    assert head.seen["feature_levels"] == (2, 3)


def test_options_can_be_checked_before_the_wiring_is_known(registry):
    component = registry.find("head", "fake/h")
    options = {"width": "x", "feature_levels": [9]}
    found = check_options(
        component, registry.load(component), options, ("feature_levels", "image_size"), lambda _: None
    )
    assert list(map(str, found)) == ["width: should be a whole number, not 'x'"]


def test_a_config_model_validates_and_its_defaults_count(registry, problems):
    head = build(registry, "head", "fake/configured", {"width": 3}, {"feature_levels": ()})
    assert head.embedding_dim == 3
    assert head.seen["thing"] == [1]
    # The model forgot to forbid what it does not know.
    assert problems("fake/configured", {"width": 3, "depe": [1]}) == ["depe: unknown key; did you mean 'deep'?"]
    assert problems("fake/configured", {"width": 0}) == ["width: should be greater than 0, not 0"]
    assert problems("fake/configured", {"width": 101}) == ["wider than 100"]


def test_a_plugin_that_breaks_the_contract_is_named(registry):
    with pytest.raises(ComponentError, match=r"head fake/greedy \(zoo-fake 0.4\): its factory .* takes \*\*kwargs"):
        build(registry, "head", "fake/greedy", {}, WIRED)
    with pytest.raises(ComponentError, match="fake_builds:NOT_A_MODEL is no pydantic model"):
        build(registry, "head", "fake/misconfigured", {}, WIRED)
    with pytest.raises(ComponentError, match=r"\(zoo-fake 0.4\) built a object without embedding_dim, forward"):
        build(registry, "head", "fake/empty", {}, WIRED)


def test_annotations_that_cannot_be_resolved_accept_anything(registry):
    assert build(registry, "head", "fake/h", {"width": 1, "thing": [1]}, WIRED).seen["thing"] == [1]
    assert build(registry, "head", "fake/odd", {"width": 5, "other": "x"}, WIRED).embedding_dim == 5


def test_a_wrapper_takes_the_model_whatever_it_calls_it(registry):
    model = object()
    wrapper = build(registry, "export_wrapper", "w", {}, {"model": model, "image_size": (1, 2)})
    assert wrapper.network is model
    assert wrapper.image_size == (1, 2)


def test_a_member_of_a_family_gets_its_name(registry, problems):
    head = build(registry, "head", "fake/b", {"width": 2}, WIRED)
    assert (head.embedding_dim, head.seen["thing"]) == (2, "b")
    assert problems("fake/b", {"name": "a"}) == ["name: unknown key; known keys: width"]


def test_a_callable_object_fits_a_protocol_of_calls(registry):
    assert callable(build(registry, "augmentation", "augment", {"strength": 2}, {"image_size": (1, 2)}))


def test_an_error_in_zoos_words_passes(registry):
    with pytest.raises(RunError, match="15 fails in its own words"):
        build(registry, "head", "fake/h", {"width": 15}, WIRED)


def test_a_factory_that_misses_an_extra_says_the_pip_line(registry, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ComponentError, match=r"head fake/h needs timm, .* pip install 'plugzoo\[train\]'"):
        build(registry, "head", "fake/h", {"width": 16}, WIRED)


@pytest.mark.parametrize(("width", "expected"), [(17, "RuntimeError: 17 is no driver"), (18, "SystemExit: 3")])
def test_any_other_failure_of_a_factory_is_its_plugins(registry, width, expected):
    with pytest.raises(ComponentError) as caught:
        build(registry, "head", "h", {"width": width}, WIRED)
    assert str(caught.value) == f"head fake/h (zoo-fake 0.4): fake_builds:Head failed: {expected}"


def test_an_interrupt_is_the_users(registry):
    with pytest.raises(KeyboardInterrupt):
        build(registry, "head", "h", {"width": 19}, WIRED)


def test_what_a_factory_prints_is_no_product(registry, capsys):
    build(registry, "head", "h", {"width": 1}, WIRED)
    assert capsys.readouterr() == ("", "building\n")


def test_a_torch_module_without_its_own_init_takes_no_options(add_distribution, manifest):
    pytest.importorskip("torch")
    spec = "ComponentSpec('head', 'bare', 'fake_torch:Bare', '')"
    module = (
        "from torch import nn\nclass Bare(nn.Module):\n    embedding_dim = 3\n    def forward(self, features): ...\n"
    )
    add_distribution("zoo-torch", bare=manifest(spec), modules={"fake_torch": module})
    registry = discover({"ZOO_ONLY_PLUGINS": "bare"})
    assert build(registry, "head", "bare", {}, WIRED).embedding_dim == 3
    with pytest.raises(RecipeError, match="width: unknown key"):
        build(registry, "head", "bare", {"width": 3}, WIRED)


@pytest.mark.parametrize(
    ("kind", "name", "wired"),
    [
        ("head", "embedding/flatten_ln", ["feature_levels"]),
        ("loss", "margin/cosface", ["embedding_dim", "num_classes"]),
    ],
)
def test_first_party_factories_are_checked_by_their_signatures(kind, name, wired):
    registry = discover({})
    component = registry.find(kind, name)
    found = check_options(component, registry.load(component), {"nonsense": 1}, wired, lambda _: None)
    assert any("nonsense: unknown key" in str(problem) for problem in found)
