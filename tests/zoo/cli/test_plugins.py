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
    assert done.stdout.splitlines()[0].split() == ["PLUGIN", "DISTRIBUTION", "VERSION", "API", "COMPONENTS", "NOTE"]
    assert rows(done).keys() == {"documents", "embedding", "images", "margin", "onnx", "timm", "torch"}
    assert rows(done)["embedding"].split()[1] == "plugzoo"
    assert rows(done)["embedding"].split()[3:] == ["1", "5"]


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
        "warning: plugin broken (zoo-broken 2.0) skipped: No module named 'not_installed_lib'",
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
