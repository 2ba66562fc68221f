from __future__ import annotations

import sys
from importlib.metadata import Distribution, DistributionFinder

import pytest
from packaging.utils import canonicalize_name

from zoo_core.discovery import discover, normalised, reserved_package
from zoo_core.errors import ComponentError, UsageError
from zoo_core.registry import FIRST_PARTY as DISTRIBUTION
from zoo_core.registry import Provenance

FIRST_PARTY = {"documents", "embedding", "images", "lightning", "margin", "onnx", "timm", "torch"}


def ids(registry):
    return {plugin.id for plugin in registry.plugins}


def test_first_party_plugins_come_through_entry_points():
    registry = discover({})
    assert ids(registry) == FIRST_PARTY
    assert registry.failures == ()
    assert {plugin.provenance.distribution for plugin in registry.plugins} == {DISTRIBUTION}


def test_a_good_plugin_is_found_with_its_provenance(add_distribution, manifest):
    url = {"url": "file:///src/zoo-good", "dir_info": {"editable": True}}
    add_distribution("zoo-good", "2.1", direct_url=url, good=manifest())
    registry = discover({})
    [plugin] = [plugin for plugin in registry.plugins if plugin.id == "good"]
    assert plugin.provenance.distribution == "zoo-good"
    assert plugin.provenance.version == "2.1"
    assert plugin.provenance.entry_point == "good = zoo_good_good_manifest"
    assert plugin.provenance.api_version == 1
    assert plugin.provenance.direct_url == url
    assert [component.qualified_name for component in registry.components("head") if component.plugin == "good"] == [
        "good/plain"
    ]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import not_installed_lib", "No module named 'not_installed_lib'"),
        ("raise RuntimeError('boom\\nand more')", "RuntimeError: boom and more"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("class Odd(BaseException): pass\nraise Odd('x')", "Odd: x"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("1 +", "SyntaxError: "),
        ("", "its manifest says no ZOO_API = 1"),
        ("ZOO_API = '1'", "its manifest says no ZOO_API = 1"),
        ("ZOO_API = 7", "it is made for plugin API 7, this zoo supports 1"),
    ],
)
def test_a_broken_manifest_is_named_and_harms_nobody(add_distribution, manifest, source, reason):
    add_distribution("zoo-broken", "2.0", broken=source)
    add_distribution("zoo-good", good=manifest())
    registry = discover({})
    assert ids(registry) == FIRST_PARTY | {"good"}
    [failure] = registry.failures
    assert str(failure).startswith(f"plugin broken (zoo-broken 2.0) skipped: {reason}")
    assert "\n" not in str(failure)


def test_an_interrupt_is_the_users(add_distribution):
    add_distribution("zoo-slow", slow="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        discover({})


@pytest.mark.parametrize(
    ("components", "reason"),
    [
        (["None"], "zoo_components returned a NoneType among its components"),
        (["ComponentSpec('hat', 'x', 'a:b', '')"], "component 'x' is of unknown kind 'hat'"),
        (["ComponentSpec('head', 'a/b', 'a:b', '')"], "'a/b' is no name for a head"),
        (["ComponentSpec('head', '', 'a:b', '')"], "'' is no name for a head"),
        (["ComponentSpec('head', 'x', 'a.b', '')"], "the factory of head 'x' is 'a.b', not 'module:attribute'"),
        (["ComponentSpec('head', 'x', 'a:b', '', config='c')"], "the config of head 'x' is 'c'"),
        (["ComponentSpec('head', 'x', 'a:b', '', check='c')"], "the check of head 'x' is 'c'"),
        (["ComponentFamily('head', '*', 'names', 'a:b', '')"], "the names of head '*' is 'names'"),
        (["ComponentSpec('head', 'x', 'a:b', None)"], "the summary of head 'x' is None, not a text"),
        (["ComponentSpec('head', 'x', 'a:b', '', license=2)"], "the license of head 'x' is 2, neither a text nor None"),
        (["ComponentSpec('head', 'x', 'a:b', '', tags='t')"], "the tags of head 'x' are 't', not a tuple of texts"),
        (["ComponentSpec('head', 'x', 'a:b', '', tags=(1,))"], "the tags of head 'x' are (1,), not a tuple of texts"),
        (["ComponentFamily('head', '*', 'a:n', 'a:b', '', tags=['t'])"], "the tags of head '*' are ['t'], not a"),
        (["ComponentSpec('head', 'x', 'a:b', '')"] * 2, "it has head 'x' more than once"),
    ],
)
def test_a_component_that_breaks_the_contract_fails_its_plugin(add_distribution, manifest, components, reason):
    add_distribution("zoo-odd", odd=manifest(*components))
    registry = discover({})
    assert ids(registry) == FIRST_PARTY
    assert registry.failures[0].reason.startswith(reason)


def test_one_name_may_serve_several_kinds(add_distribution, manifest):
    specs = ["ComponentSpec('head', 'x', 'a:b', '')", "ComponentSpec('loss', 'x', 'a:b', '')"]
    add_distribution("zoo-both", both=manifest(*specs))
    assert discover({}).failures == ()


def test_a_typo_in_a_hook_is_told_with_the_right_name(add_distribution, manifest):
    add_distribution("zoo-typo", typo=manifest(hook="zoo_componets"))
    [failure] = discover({}).failures
    assert failure.reason == "there is no hook 'zoo_componets'; did you mean 'zoo_components'?"


def test_a_hook_with_a_wrong_argument_fails_its_plugin(add_distribution, manifest):
    source = manifest() + "@hookimpl\ndef zoo_exported(artefact):\n    pass\n"
    add_distribution("zoo-args", args=source)
    registry = discover({})
    assert "artefact" in registry.failures[0].reason
    # A hook that pluggy refused half-way must not be called later.
    assert [plugin.__name__ for plugin in registry.hooks.get_plugins() if "args" in plugin.__name__] == []


def test_a_hook_that_raises_or_returns_no_list_fails_its_plugin(add_distribution):
    head = "from zoo_core.api import hookimpl\nZOO_API = 1\n@hookimpl\ndef zoo_components():\n    "
    add_distribution("zoo-raises", raises=head + "raise KeyError('x')\n")
    add_distribution("zoo-text", text=head + "return 'heads'\n")
    registry = discover({})
    # They were in, and must not be called later.
    assert {name for name, _ in registry.hooks.list_name_plugin()} == FIRST_PARTY
    assert {failure.id: failure.reason for failure in registry.failures} == {
        "raises": "KeyError: 'x'",
        "text": "zoo_components returned str, not a list of ComponentSpec",
    }


def test_a_plugin_may_only_listen(add_distribution):
    source = "from zoo_core.api import hookimpl\nZOO_API = 1\n@hookimpl\ndef zoo_exported(artifact):\n    pass\n"
    add_distribution("zoo-listens", listens=source)
    registry = discover({})
    assert "listens" in ids(registry)
    assert registry.failures == ()


def test_an_import_failure_of_a_plugin_for_another_zoo_names_the_requirement(add_distribution):
    add_distribution("zoo-old", "0.3", requires=["plugzoo<0.0.1"], old="from zoo_core.api import gone")
    [failure] = discover({}).failures
    assert failure.reason.startswith("it requires plugzoo<0.0.1, installed is ")
    assert "cannot import name 'gone'" in failure.reason


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        (["plugzoo>=0.0.1"], "cannot import name 'gone'"),
        (["plugzoo<0.0.1; python_version < '3'", "plugzoo<0.0.2; extra == 'old'"], "cannot import name 'gone'"),
        (["other<0.0.1"], "cannot import name 'gone'"),
        (["not a requirement !", "other<0.0.1", "plugzoo<0.0.1"], "it requires plugzoo<0.0.1, installed is "),
        (["plugzoo>=0.0.1.dev1", "plugzoo<0.0.1; python_version >= '3'"], "it requires plugzoo<0.0.1, installed is "),
    ],
)
def test_only_a_requirement_that_is_not_met_is_named(add_distribution, requires, reason):
    add_distribution("zoo-old", "0.3", requires=requires, old="from zoo_core.api import gone")
    [failure] = discover({}).failures
    assert failure.reason.startswith(reason)


def test_a_development_version_of_zoo_meets_a_requirement(add_distribution):
    add_distribution(DISTRIBUTION, "9.0.dev1")
    add_distribution("zoo-old", requires=["plugzoo>=8"], old="from zoo_core.api import gone")
    [failure] = discover({}).failures
    assert failure.reason.startswith("cannot import name 'gone'")


def test_ids_of_first_party_plugins_are_reserved(add_distribution, manifest):
    add_distribution("zoo-thief", "6.6", timm=manifest())
    registry = discover({"ZOO_PLUGINS_PREFER": "timm=zoo-thief"})
    assert ids(registry) == FIRST_PARTY
    [failure] = registry.failures
    assert str(failure) == "plugin timm (zoo-thief 6.6) skipped: the id 'timm' is reserved for plugzoo"
    [timm] = [plugin for plugin in registry.plugins if plugin.id == "timm"]
    assert timm.provenance.distribution == DISTRIBUTION
    # It was not even imported.
    assert "zoo_thief_timm_manifest" not in sys.modules


def claim_module(add_distribution, name, plugin, value):
    info = add_distribution(name, "6.6")
    (info / "entry_points.txt").write_text(f"[zoo.plugins]\n{plugin} = {value}\n", encoding="utf-8")


@pytest.mark.parametrize("plugin", ["another", "zzz"])
def test_a_manifest_belongs_to_one_plugin(add_distribution, manifest, plugin):
    add_distribution("zoo-first", middle=manifest())
    claim_module(add_distribution, "zoo-mine", plugin, "zoo_first_middle_manifest")
    registry = discover({})
    # The first by name keeps it.
    first, second = sorted(["middle", plugin])
    assert ids(registry) == FIRST_PARTY | {first}
    [failure] = registry.failures
    assert failure.id == second
    assert failure.reason == f"its manifest zoo_first_middle_manifest is that of plugin {first!r}"


def test_nobody_takes_the_manifest_of_a_first_party_plugin(add_distribution):
    # A module that is another's in disguise, under an id that comes before all others.
    add_distribution("zoo-disguise", aaa="import sys, zoo_margin.plugin\nsys.modules[__name__] = zoo_margin.plugin")
    registry = discover({})
    assert ids(registry) == FIRST_PARTY
    [failure] = registry.failures
    assert failure.id == "aaa"
    assert failure.reason == "its manifest zoo_disguise_aaa_manifest is that of plugin 'margin'"


@pytest.mark.parametrize("package", ["zoo_timm", "zoo_core", "zoo_models", "zoo"])
def test_import_packages_of_zoo_are_reserved(add_distribution, package):
    claim_module(add_distribution, "zoo-mine", "mine", f"{package}.plugin")
    registry = discover({})
    assert ids(registry) == FIRST_PARTY
    better = f"plugzoo_{package.removeprefix('zoo_')}"
    assert [str(failure) for failure in registry.failures] == [
        f"plugin mine (zoo-mine 6.6) skipped: the import package {package!r} is plugzoo's own; rename it to {better!r}"
    ]
    [timm] = [plugin for plugin in registry.plugins if plugin.id == "timm"]
    assert registry.hooks.get_plugin("timm") is timm.manifest


def test_two_distributions_that_claim_an_id_are_both_left_out(add_distribution, manifest):
    add_distribution("zoo-a", "1.0", same=manifest())
    add_distribution("zoo-b", "2.0", same=manifest())
    registry = discover({})
    assert ids(registry) == FIRST_PARTY
    lines = sorted(map(str, registry.failures))
    assert lines == [
        "plugin same (zoo-a 1.0) skipped: zoo-b 2.0 claims the id 'same' too; choose by ZOO_PLUGINS_PREFER=same=zoo-a",
        "plugin same (zoo-b 2.0) skipped: zoo-a 1.0 claims the id 'same' too; choose by ZOO_PLUGINS_PREFER=same=zoo-b",
    ]


def test_every_collision_is_told_and_harms_nobody(add_distribution, manifest):
    for distribution in ("zoo-a", "zoo-b", "zoo-c"):
        add_distribution(distribution, "1.0", one=manifest(), two=manifest())
    add_distribution("zoo-good", last=manifest())
    registry = discover({})
    assert ids(registry) == FIRST_PARTY | {"last"}
    assert [(failure.id, failure.provenance.distribution) for failure in registry.failures] == [
        (name, distribution) for name in ("one", "two") for distribution in ("zoo-a", "zoo-b", "zoo-c")
    ]
    assert str(registry.failures[1]) == (
        "plugin one (zoo-b 1.0) skipped: zoo-a 1.0 and zoo-c 1.0 claim the id 'one' too; "
        "choose by ZOO_PLUGINS_PREFER=one=zoo-b"
    )


def test_a_preference_settles_a_collision(add_distribution, manifest):
    add_distribution("zoo-a", same=manifest())
    add_distribution("zoo-b", same=manifest())
    registry = discover({"ZOO_PLUGINS_PREFER": "same=Zoo_B"})
    assert registry.failures == ()
    [plugin] = [plugin for plugin in registry.plugins if plugin.id == "same"]
    assert plugin.provenance.distribution == "zoo-b"


@pytest.mark.parametrize("text", ["same", "=zoo-a", "same="])
def test_an_unreadable_preference_is_an_error(text):
    with pytest.raises(UsageError, match="ZOO_PLUGINS_PREFER"):
        discover({"ZOO_PLUGINS_PREFER": text})


def test_an_id_declared_twice_by_one_distribution_fails_once(add_distribution, manifest):
    info = add_distribution("zoo-twice", twice=manifest())
    points = info / "entry_points.txt"
    points.write_text(points.read_text() + "twice = elsewhere\n", encoding="utf-8")
    [failure] = discover({}).failures
    assert failure.id == "twice"
    assert failure.provenance.entry_point == "twice = zoo_twice_twice_manifest"
    assert failure.reason == "its distribution declares the id 'twice' more than once"


def test_a_distribution_seen_twice_on_the_path_is_no_collision(add_distribution, manifest, tmp_path):
    add_distribution("zoo-dev", "1.0", dev=manifest())
    # An editable install that shadows an older one: the first on the path is what imports find.
    add_distribution("Zoo_Dev", "2.0", folder=tmp_path / "editable", dev=manifest())
    registry = discover({})
    assert registry.failures == ()
    [plugin] = [plugin for plugin in registry.plugins if plugin.id == "dev"]
    assert plugin.provenance.version == "2.0"


def test_metadata_that_cannot_be_read_is_a_failure(add_distribution, manifest):
    info = add_distribution("zoo-torn", torn=manifest())
    (info / "entry_points.txt").write_text("[zoo.plugins]\ntorn\n", encoding="utf-8")
    [failure] = discover({}).failures
    assert str(failure).startswith("plugin zoo-torn (zoo-torn 1.0) skipped: its metadata cannot be read")


@pytest.mark.parametrize(
    ("file", "content", "failure"),
    [
        ("METADATA", b"Name: other\nVersion: 1.0\n", "plugin other (other 1.0) skipped: {} it is called 'other', but"),
        ("METADATA", b"Name: zoo-bad\nSummary: \xff\n", "plugin zoo_bad (zoo_bad 1.0) skipped: {} 'utf-8' codec"),
        ("entry_points.txt", b"[zoo.plugins]\nb\xff = b\n", "plugin zoo-bad (zoo-bad 1.0) skipped: {} 'utf-8' codec"),
        ("direct_url.json", b"\xff", "plugin zoo-bad (zoo-bad 1.0) skipped: {} 'utf-8' codec"),
    ],
)
def test_a_bad_distribution_harms_nobody(add_distribution, manifest, file, content, failure):
    add_distribution("zoo-good", good=manifest())
    info = add_distribution("zoo-bad", bad=manifest())
    (info / file).write_bytes(content)
    registry = discover({})
    assert ids(registry) == FIRST_PARTY | {"good"}
    [told] = registry.failures
    assert str(told).startswith(failure.format("its metadata cannot be read:"))
    assert isinstance(told.exception, ValueError)


class Nameless(Distribution):
    """A distribution of another finder, in no folder, whose metadata cannot be read."""

    def read_text(self, filename):
        if filename == "entry_points.txt":
            return "[zoo.plugins]\na = b\n"
        raise OSError(f"no {filename}")

    def locate_file(self, path):
        raise OSError(f"no {path}")


class Finder(DistributionFinder):
    def find_distributions(self, _context=None):
        return [Nameless()]

    @staticmethod
    def find_spec(*_arguments):
        return None


def test_a_distribution_that_is_in_no_folder_is_told_without_a_name(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    registry = discover({})
    assert ids(registry) == FIRST_PARTY
    [failure] = registry.failures
    assert failure.reason == "its metadata cannot be read: OSError: no METADATA"
    assert failure.provenance == Provenance("unknown", "", "", None)


@pytest.mark.parametrize("name", ["zoo_b", "Zoo.B", "zoo-_.b", "ZOO", "zoo--b-C"])
def test_distributions_are_compared_as_packaging_compares_them(name):
    assert normalised(name) == canonicalize_name(name)


def test_a_package_in_the_reserved_namespace_gets_a_better_name(add_distribution, manifest):
    add_distribution("zoo-good", good=manifest())
    add_distribution("plugzoo-better", better=manifest())
    add_distribution("zoological", zoological=manifest())
    found = {plugin.id: reserved_package(plugin.provenance) for plugin in discover({}).plugins}
    assert found == {
        **dict.fromkeys([*FIRST_PARTY, "better", "zoological"]),
        "good": ("zoo_good_good_manifest", "plugzoo_good_good_manifest"),
    }


@pytest.mark.parametrize(
    ("points", "metadata"),
    [(b"[console_scripts]\n\xff = b\n", b"Name: other\n"), (b"[console_scripts]\nb = b\n", b"Name: another\n")],
    ids=["not text", "another name"],
)
def test_a_bad_distribution_without_plugins_is_no_failure(add_distribution, points, metadata):
    info = add_distribution("other")
    (info / "entry_points.txt").write_bytes(points)
    (info / "METADATA").write_bytes(metadata)
    registry = discover({})
    assert ids(registry) == FIRST_PARTY
    assert registry.failures == ()


def test_what_a_broken_uninstall_left_behind_is_passed_over(add_distribution, manifest):
    info = add_distribution("zoo-gone", gone=manifest())
    (info / "METADATA").unlink()
    assert ids(discover({})) == FIRST_PARTY


def test_an_id_that_cannot_stand_before_a_slash_is_refused(add_distribution):
    info = add_distribution("zoo-odd")
    (info / "entry_points.txt").write_text("[zoo.plugins]\na/b = nowhere\n", encoding="utf-8")
    [failure] = discover({}).failures
    assert failure.reason.startswith("'a/b' is no plugin id")


def test_plugins_can_be_left_out(add_distribution):
    add_distribution("zoo-broken", broken="raise RuntimeError")
    registry = discover({"ZOO_DISABLE_PLUGINS": "broken, timm"})
    assert registry.failures == ()
    assert ids(registry) == FIRST_PARTY - {"timm"}
    with pytest.raises(ComponentError, match="left out by ZOO_DISABLE_PLUGINS"):
        registry.find("backbone", "timm/lcnet_050")


def test_only_some_plugins_can_be_asked_for():
    registry = discover({"ZOO_ONLY_PLUGINS": "margin,embedding"})
    assert ids(registry) == {"margin", "embedding"}
    assert registry.disabled["timm"] == "ZOO_ONLY_PLUGINS"


def test_strict_discovery_raises(add_distribution):
    add_distribution("zoo-broken", "2.0", broken="raise RuntimeError('boom')")
    with pytest.raises(ComponentError, match=r"plugin broken \(zoo-broken 2.0\) skipped: RuntimeError: boom") as caught:
        discover({"ZOO_PLUGINS_STRICT": "1"})
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert [problem.hint for problem in caught.value.problems] == ["ZOO_PLUGINS_STRICT is set"]
    assert discover({"ZOO_PLUGINS_STRICT": "0"}).failures


def test_without_an_environment_that_of_the_process_counts(monkeypatch):
    monkeypatch.setenv("ZOO_ONLY_PLUGINS", "margin")
    assert ids(discover()) == {"margin"}


def test_what_a_manifest_prints_is_no_product(add_distribution, manifest, capsys):
    add_distribution("zoo-chatty", chatty="print('hello')\n" + manifest())
    discover({})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "hello\n"


def test_a_missing_requirement_gets_its_pip_line(add_distribution):
    wanted = ["not-installed-lib[fast]>=2; python_version > '3'", "is no requirement !"]
    add_distribution("zoo-broken", "2.0", requires=wanted, broken="import not_installed_lib.below")
    [failure] = discover().failures
    assert failure.reason == "No module named 'not_installed_lib'; pip install 'not-installed-lib[fast]>=2'"
