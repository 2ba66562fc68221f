from __future__ import annotations

import json

import pytest

BROKEN = {"broken", "future", "typo", "timm", "same"}


def rows(done):
    return {row.split()[0]: row for row in done.stdout.splitlines()[1:]}


@pytest.fixture
def crowd(add_distribution, manifest):
    """Install a good plugin among plugins that fail in every way."""
    add_distribution("zoo-good", "1.1", good=manifest())
    add_distribution("zoo-broken", "2.0", broken="import not_installed_lib")
    add_distribution("zoo-future", "3.0", future=manifest(api=9))
    add_distribution("zoo-typo", "4.0", typo=manifest(hook="zoo_component"))
    add_distribution("zoo-thief", "5.0", timm=manifest())
    add_distribution("zoo-left", "6.0", same=manifest())
    add_distribution("zoo-right", "7.0", same=manifest())


def test_plugins_are_listed_with_their_distribution(zoo):
    done = zoo("plugins", check=0)
    header = "PLUGIN DISTRIBUTION VERSION API COMPONENTS HOOKS NOTE"
    assert done.stdout.splitlines()[0].split() == header.split()
    assert rows(done).keys() == {"documents", "embedding", "images", "lightning", "margin", "onnx", "timm", "torch"}
    assert rows(done)["embedding"].split()[1] == "plugzoo"
    assert rows(done)["embedding"].split()[3:] == ["1", "7", "-"]


def test_a_package_in_the_reserved_namespace_is_told_its_better_name(zoo, add_distribution, manifest):
    add_distribution("zoo-good", good=manifest())
    add_distribution("plugzoo-better", better=manifest())
    listed = rows(zoo("plugins", check=0))
    assert listed["good"].endswith(
        "names of zoo_* are reserved: rename zoo_good_good_manifest to plugzoo_good_good_manifest"
    )
    assert "reserved" not in listed["better"] + listed["timm"]


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(
    "arguments",
    [["list"], ["list", "losses", "--json"], ["list", "good/*"]],
    ids=" ".join,
)
def test_failures_stop_no_command_and_are_each_named_once(zoo, arguments):
    done = zoo(*arguments, check=0)
    assert done.stdout
    assert done.stderr.splitlines() == [
        (
            "warning: plugin broken (zoo-broken 2.0) skipped: No module named 'not_installed_lib'; "
            "zoo-broken does not require a distribution of that name: tell its author"
        ),
        "warning: plugin future (zoo-future 3.0) skipped: it is made for plugin API 9, this zoo supports 1",
        (
            "warning: plugin same (zoo-left 6.0) skipped: zoo-right 7.0 claims the id 'same' too; "
            "choose by ZOO_PLUGINS_PREFER=same=zoo-left"
        ),
        (
            "warning: plugin same (zoo-right 7.0) skipped: zoo-left 6.0 claims the id 'same' too; "
            "choose by ZOO_PLUGINS_PREFER=same=zoo-right"
        ),
        "warning: plugin timm (zoo-thief 5.0) skipped: the id 'timm' is reserved for plugzoo",
        (
            "warning: plugin typo (zoo-typo 4.0) skipped: there is no hook 'zoo_component'; "
            "did you mean 'zoo_components'?"
        ),
    ]


@pytest.mark.usefixtures("crowd")
def test_the_table_marks_failures_without_a_second_word_on_stderr(zoo):
    done = zoo("plugins", check=0)
    assert done.stderr == ""
    for distribution in ("zoo-broken", "zoo-future", "zoo-typo", "zoo-thief", "zoo-left", "zoo-right"):
        [row] = [row for row in done.stdout.splitlines() if row.split()[1] == distribution]
        assert " failed: " in row


@pytest.mark.usefixtures("crowd")
def test_json_holds_plugins_failures_and_what_is_left_out(zoo):
    done = zoo("plugins", "--json", check=0, env={"ZOO_DISABLE_PLUGINS": "typo"})
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    [good] = [plugin for plugin in document["plugins"] if plugin["id"] == "good"]
    assert good["distribution"] == "zoo-good"
    assert good["components"] == 1
    assert {failure["id"] for failure in document["failures"]} == BROKEN - {"typo"}
    assert document["disabled"] == {"typo": "ZOO_DISABLE_PLUGINS"}


@pytest.mark.usefixtures("crowd")
def test_strict_makes_a_failure_an_error(zoo):
    done = zoo("list", check=4, env={"ZOO_PLUGINS_STRICT": "1"})
    assert done.stderr.startswith("error: plugin ")
    assert "Traceback" not in done.stderr


def test_an_unreadable_preference_is_a_usage_error(zoo):
    done = zoo("list", check=2, env={"ZOO_PLUGINS_PREFER": "nonsense"})
    assert done.stderr == "error: ZOO_PLUGINS_PREFER: 'nonsense' is not of the form id=distribution\n"


PRINTS = "import os, sys\nprint('hello')\nos.write(1, b'from below')\nsys.__stdout__.write('around')\n"


@pytest.mark.parametrize("arguments", [["plugins"], ["list"], ["show", "noisy/plain"]], ids=" ".join)
def test_json_stays_clean_whatever_a_plugin_prints(zoo, add_distribution, manifest, arguments):
    heads = f"{PRINTS}class Plain:\n    def __init__(self, feature_levels):\n        print('built')\n"
    add_distribution("zoo-noisy", noisy=PRINTS + manifest(), modules={"fake_heads": heads})
    done = zoo(*arguments, "--json", check=0)
    assert json.loads(done.stdout)["schema"] == 1
    assert "from below" in done.stderr


def test_only_allowed_distributions_are_imported(zoo, add_distribution, manifest):
    add_distribution("zoo-trusted", trusted=manifest())
    add_distribution("zoo-unknown", unknown="raise SystemExit('imported')")
    allowed = {"ZOO_PLUGINS_ALLOW": "Zoo_Trusted"}
    shown = zoo("plugins", env=allowed, check=0).stdout
    assert "imported" not in shown
    assert rows(zoo("plugins", env=allowed, check=0))["unknown"].split()[1:] == [
        *["-"] * 5, "left", "out", "by", "ZOO_PLUGINS_ALLOW",
    ]  # fmt: skip
    listed = json.loads(zoo("list", "heads", "--json", env=allowed, check=0).stdout)
    assert any(one["name"] == "trusted/plain" for one in listed["components"])
    nobody = zoo("plugins", env={"ZOO_PLUGINS_ALLOW": ""}, check=0)
    assert rows(nobody)["trusted"].endswith("left out by ZOO_PLUGINS_ALLOW")
    assert rows(nobody)["timm"].split()[1] == "plugzoo"


def test_hooks_are_listed(zoo, add_distribution, manifest):
    hook = "@hookimpl\ndef zoo_exported(artifact):\n    pass\n"
    add_distribution("zoo-hooked", hooked=manifest() + hook)
    assert rows(zoo("plugins", check=0))["hooked"].split()[4:6] == ["1", "exported"]


HEADS = """\
class Plain:
    def __init__(self, feature_levels, width, depth: int = 3):
        pass

def any_options(**kwargs):
    pass
"""
BAD = {
    "heavy": ("import numpy\nprint('ready')\n", (), 0, ["warning", "heavy_manifest.py:1: its manifest imports numpy"]),
    "printing": ("print('ready')\n", (), 0, ["warning", "its manifest prints 'ready'; print nothing when imported"]),
    "unmarked": (None, (), 4, ["error", "unmarked = zoo_unmarked_unmarked_manifest: zoo_components has no @hookimpl"]),
    "silent": (None, (), 4, ["error", "zoo_components returned None: is its return missing?"]),
    "attribute": (None, (), 4, ["error", "its entry point names zoo_components of its manifest: write attribute ="]),
    "future": (None, (), 4, ["error", "it is made for plugin API 9, this zoo supports 1"]),
    "bare": ("", ("ComponentSpec('head', 'plain', 'fake_heads:Plain', 'a head')",), 0,
             ["warning", "fake_heads.py:1: head plain: width without annotation take any value"]),
    "keywords": ("", ("ComponentSpec('head', 'any', 'fake_heads:any_options', 'a head')",), 4,
                 ["error", "its factory fake_heads:any_options takes **kwargs; the plugin must name each option"]),
    "gone": ("", ("ComponentSpec('head', 'gone', 'fake_heads:Gone', 'a head')",), 4,
             ["error", "fake_heads:Gone failed: AttributeError: module 'fake_heads' has no attribute 'Gone'"]),
    "clash": ("", ("ComponentSpec('loss', 'cosface', 'fake_heads:Plain', 'a loss')",), 0,
              ["warning", "loss 'cosface' is also margin/cosface; recipes must write clash/cosface"]),
}  # fmt: skip


def source_of(name, manifest):
    before, components, *_ = BAD[name]
    text = (before or "") + manifest(*components, api=9 if name == "future" else 1)
    if name == "unmarked":
        return text.replace("@hookimpl\n", "")
    return text.replace("return [", "[") if name == "silent" else text


@pytest.mark.parametrize("name", BAD)
def test_check_tells_an_author_what_is_wrong(zoo, add_distribution, manifest, name):
    *_, code, words = BAD[name]
    info = add_distribution(f"zoo-{name}", **{name: source_of(name, manifest)}, modules={"fake_heads": HEADS})
    if name == "attribute":
        points = info / "entry_points.txt"
        points.write_text(points.read_text().replace("_manifest", "_manifest:zoo_components"))
    done = zoo("plugins", "check", f"zoo-{name}", check=code)
    assert any(all(word in line for word in words) for line in done.stdout.splitlines()), done.stdout
    found = json.loads(zoo("plugins", "check", "--json", check=code).stdout)
    assert found["ok"] is (code == 0)
    assert [*found["plugins"]] == [f"{name} (zoo-{name} 1.0)"]


def test_check_of_a_plugin_that_is_not_there_lists_those_that_are(zoo):
    done = zoo("plugins", "check", "zoo-nowhere", check=2)
    assert done.stderr == "error: no plugin is of a distribution 'zoo-nowhere'; there are: plugzoo\n"


def test_own_plugins_pass_the_check(zoo):
    found = json.loads(zoo("plugins", "check", "plugzoo", "--json", check=0).stdout)
    assert len(found["plugins"]) >= 6
    assert [finding for findings in found["plugins"].values() for finding in findings] == []
