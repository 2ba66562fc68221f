from __future__ import annotations

import sys

import pytest

from zoo_core.discovery import discover
from zoo_core.errors import ComponentError

ONE = "ComponentSpec('head', 'one', 'fake_zoo:one', 'first')"
TWO = "ComponentSpec('loss', 'two', 'fake_zoo:two', 'second')"
MANY = "ComponentFamily('backbone', 'm*', 'fake_zoo:names', 'fake_zoo:build', 'many')"
MODULE = """
def one(): return 1
def two(): return 2
calls = []
def names():
    calls.append(1)
    return ["m1", "m2", "m.tiny", "other"]
def build(name, size=3): return name, size
"""


@pytest.fixture
def registry(add_distribution, manifest):
    add_distribution("zoo-fake", fake=manifest(ONE, TWO, MANY), modules={"fake_zoo": MODULE})
    return discover({"ZOO_ONLY_PLUGINS": "fake"})


def message(registry, kind, name):
    with pytest.raises(ComponentError) as caught:
        registry.find(kind, name)
    return str(caught.value)


def test_components_are_listed_by_kind_without_importing_them(registry):
    assert [component.qualified_name for component in registry.components()] == ["fake/m*", "fake/one", "fake/two"]
    assert [component.name for component in registry.components("loss")] == ["two"]
    assert "fake_zoo" not in sys.modules


@pytest.mark.parametrize("name", ["one", "fake/one"])
def test_a_component_is_found_with_and_without_its_plugin(registry, name):
    component = registry.find("head", name)
    assert component.qualified_name == "fake/one"
    assert str(component) == "head fake/one (zoo-fake 1.0)"
    assert "fake_zoo" not in sys.modules
    assert registry.load(component)() == 1


@pytest.mark.parametrize("name", ["m2", "fake/m2"])
def test_a_member_of_a_family_knows_its_name(registry, name):
    component = registry.find("backbone", name)
    assert (component.name, component.qualified_name, component.is_family) == ("m2", "fake/m2", False)
    assert registry.load(component)(size=4) == ("m2", 4)


def test_a_family_may_resolve_a_name_to_a_factory_with_options_of_its_own(add_distribution, manifest):
    resolving = TWO, "ComponentFamily('loss', 'm*', 'fake_zoo:names', 'fake_zoo:resolve', 'many', resolves=True)"
    resolve = """
def one(size=3): return "m1", size
def resolve(name): return {"m1": one, "m2": dict}[name]
"""
    add_distribution("zoo-fake", fake=manifest(*resolving), modules={"fake_zoo": MODULE + resolve})
    registry = discover({"ZOO_ONLY_PLUGINS": "fake"})
    assert registry.load(registry.find("loss", "m1"))(size=4) == ("m1", 4)
    with pytest.raises(ComponentError, match=r"fake/m\.tiny \(zoo-fake 1\.0\): fake_zoo:resolve failed: KeyError"):
        registry.load(registry.find("loss", "m.tiny"))


def test_a_family_is_read_once_and_only_what_matches_its_pattern_counts(registry):
    [family] = registry.components("backbone")
    assert family.is_family
    assert [member.name for member in registry.members(family)] == ["m1", "m2", "m.tiny"]
    registry.find("backbone", "m1")
    assert sys.modules["fake_zoo"].calls == [1]
    assert message(registry, "backbone", "fake/other").startswith("there is no backbone 'fake/other'")


def test_what_a_family_prints_is_no_product(add_distribution, manifest, capsys):
    module = "print('import')\ndef names():\n    print('names')\n    return ['m1']\n"
    add_distribution("zoo-fake", fake=manifest(MANY), modules={"fake_zoo": module})
    assert discover({}).find("backbone", "fake/m1").name == "m1"
    assert capsys.readouterr() == ("", "import\nnames\n")


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("head", "ome", "there is no head 'ome'; did you mean 'one'?"),
        ("head", "fake/ome", "there is no head 'fake/ome'; did you mean 'fake/one'?"),
        ("head", "xyzzy", "there is no head 'xyzzy'; known: one"),
        ("head", "two", "there is no head 'two'; 'fake/two' is of kind loss"),
        ("backbone", "fake/m.tny", "there is no backbone 'fake/m.tny'; did you mean 'fake/m.tiny'?"),
        ("head", "fak/one", "head 'fak/one': there is no plugin 'fak'; did you mean 'fake'?"),
        ("dataset", "one", "there is no dataset 'one'; 'fake/one' is of kind head"),
        ("dataset", "", "there is no dataset ''"),
        ("head", "/", "head '/': there is no plugin ''; plugins: fake"),
    ],
)
def test_a_wrong_name_gets_the_right_one(registry, kind, name, expected):
    assert message(registry, kind, name) == expected


def test_a_bare_name_that_several_plugins_have_is_ambiguous(add_distribution, manifest):
    add_distribution("zoo-fake", fake=manifest(ONE, MANY), modules={"fake_zoo": MODULE})
    add_distribution("zoo-copy", copy=manifest(ONE, "ComponentSpec('backbone', 'm1', 'fake_zoo:one', '')"))
    registry = discover({"ZOO_ONLY_PLUGINS": "fake,copy"})
    expected = "head 'one' is ambiguous: copy/one, fake/one; write the name with its plugin"
    assert message(registry, "head", "one") == expected
    assert message(registry, "backbone", "m1").startswith("backbone 'm1' is ambiguous: copy/m1, fake/m1")
    assert registry.find("backbone", "fake/m1").plugin == "fake"


def test_a_bare_name_that_zoo_has_stays_its_own_whatever_is_installed(add_distribution, manifest):
    add_distribution("zoo-fake", fake=manifest("ComponentSpec('loss', 'cosface', 'fake_zoo:one', '')"))
    registry = discover()
    assert registry.find("loss", "cosface").qualified_name == "margin/cosface"
    assert registry.find("loss", "fake/cosface").plugin == "fake"


def test_a_family_that_cannot_be_read_hides_no_other_name(add_distribution, manifest):
    broken = "ComponentFamily('backbone', '*', 'not_there:names', 'not_there:build', '')"
    add_distribution("zoo-broken", broken=manifest(broken))
    add_distribution("zoo-fake", fake=manifest("ComponentSpec('backbone', 'one', 'fake_zoo:one', '')"))
    registry = discover({"ZOO_ONLY_PLUGINS": "fake,broken"})
    assert registry.find("backbone", "one").plugin == "fake"
    assert message(registry, "backbone", "two") == (
        "backbone broken/* (zoo-broken 1.0): not_there:names failed: No module named 'not_there'"
    )


def test_a_component_of_a_failed_plugin_gets_that_failure(add_distribution, manifest):
    add_distribution("zoo-broken", "2.0", broken="import not_installed_lib")
    add_distribution("zoo-fake", fake=manifest(ONE))
    registry = discover({"ZOO_ONLY_PLUGINS": "fake,broken"})
    assert message(registry, "head", "broken/net") == (
        "head 'broken/net' is from plugin 'broken', which failed to load: "
        "zoo-broken 2.0: No module named 'not_installed_lib'; "
        "zoo-broken does not require a distribution of that name: tell its author"
    )
    assert message(registry, "head", "net") == (
        "there is no head 'net'; did you mean 'one'?; plugins that failed to load: broken"
    )


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("", "module 'fake_zoo' has no attribute 'one'"),
        ("import not_installed_lib", "No module named 'not_installed_lib'"),
        ("raise RuntimeError('no driver')", "RuntimeError: no driver"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("class Odd(BaseException): pass\nraise Odd('x')", "Odd: x"),
    ],
)
def test_a_factory_that_cannot_be_imported_names_its_plugin(add_distribution, manifest, module, expected):
    add_distribution("zoo-fake", fake=manifest(ONE), modules={"fake_zoo": module})
    registry = discover({})
    with pytest.raises(ComponentError) as caught:
        registry.load(registry.find("head", "fake/one"))
    assert str(caught.value).startswith("head fake/one (zoo-fake 1.0): fake_zoo:one failed: ")
    assert expected in str(caught.value)


def test_an_interrupt_is_the_users(add_distribution, manifest):
    add_distribution("zoo-fake", fake=manifest(ONE), modules={"fake_zoo": "raise KeyboardInterrupt"})
    registry = discover({})
    with pytest.raises(KeyboardInterrupt):
        registry.load(registry.find("head", "fake/one"))


def test_a_factory_that_needs_an_extra_says_the_pip_line(add_distribution, manifest, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    add_distribution("zoo-fake", fake=manifest(ONE), modules={"fake_zoo": "import timm.models"})
    registry = discover({})
    with pytest.raises(ComponentError) as caught:
        registry.load(registry.find("head", "fake/one"))
    assert str(caught.value) == (
        "head fake/one needs timm, which is not installed; get it by pip install 'plugzoo[train]'"
    )
