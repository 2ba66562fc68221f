from __future__ import annotations

import json
import re

import pytest


def names(done):
    return [row.split()[1] for row in done.stdout.splitlines()[1:]]


def test_a_family_is_one_line(zoo):
    done = zoo("list", check=0)
    assert done.stdout.splitlines()[0].split() == ["KIND", "NAME", "SUMMARY"]
    # Of backbones, teachers and optimizers.
    assert [name for name in names(done) if name.startswith("timm/")] == ["timm/*"] * 3
    assert {"embedding/flatten_ln", "margin/cosface", "images/capture", "onnx/WarpFeatureLearning"} <= set(names(done))
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("command", "line"), [("list", "  zoo list heads\n"), ("completion", '  bash: eval "$(zoo completion bash)" in')]
)
def test_help_shows_examples_as_they_are_typed(zoo, command, line):
    shown = zoo(command, "--help", check=0).stdout
    assert f"\n\n{line}" in shown
    assert "\\b" not in shown
    assert "\b" not in shown


@pytest.mark.parametrize("kind", ["loss", "losses", "LOSS"])
def test_a_kind_may_be_in_the_plural(zoo, kind):
    done = zoo("list", kind, check=0)
    assert {row.split()[0] for row in done.stdout.splitlines()[1:]} == {"loss"}


def test_a_kind_of_two_words_may_have_a_dash(zoo):
    assert "onnx/WarpFeatureLearning" in names(zoo("list", "export-wrappers", check=0))


def test_a_glob_looks_into_the_family_it_names(zoo):
    found = names(zoo("list", "backbone", "timm/lcnet_0*", check=0))
    assert {"timm/lcnet_050", "timm/lcnet_075"} <= set(found)
    assert all(re.fullmatch(r"timm/lcnet_0\d\d", name) for name in found)


@pytest.mark.parametrize("arguments", [["loss", "cos*"], ["margin/cos*"], ["loss", "cosface"], ["margin/cosface"]])
def test_a_glob_matches_with_and_without_the_plugin(zoo, arguments):
    assert names(zoo("list", *arguments, check=0)) == ["margin/cosface"]


def test_json_has_its_schema(zoo):
    document = json.loads(zoo("list", "loss", "cosface", "--json", check=0).stdout)
    assert document["schema"] == 1
    [component] = document["components"]
    assert component["name"] == "margin/cosface"
    assert component["distribution"] == "plugzoo"
    assert component["family"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["loss", "cosfac"], "error: no component matches 'cosfac'; did you mean 'cosface'?"),
        (["lossy", "cosface"], "error: no kind 'lossy'; did you mean 'loss'?"),
        (["margin/arcfac"], "error: no component matches 'margin/arcfac'; did you mean 'margin/arcface'?"),
    ],
)
def test_what_matches_nothing_is_an_error_with_the_nearest_name(zoo, arguments, message):
    done = zoo("list", *arguments, check=4)
    assert done.stderr == message + "\n"
    assert done.stdout == ""


def test_a_family_that_cannot_be_read_hides_nothing_else(zoo, add_distribution, manifest):
    family = "ComponentFamily('head', '*', 'not_there:names', 'not_there:build', 'many')"
    add_distribution("zoo-far", far=manifest(family))
    done = zoo("list", "head", "flatten_ln", check=0)
    assert names(done) == ["embedding/flatten_ln"]
    assert done.stderr == "warning: head far/* (zoo-far 1.0): not_there:names failed: No module named 'not_there'\n"
    assert "No module named 'not_there'" in zoo("list", "head", "far/x*", check=4).stderr
