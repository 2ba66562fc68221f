from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from zoo.cli.main import cli

MODULE = """
from typing import Annotated
from pydantic import BaseModel, Field

class Config(BaseModel):
    width: int
    names: list[str] = Field(default_factory=list)

def plain(feature_levels, width: int = 3, share: Annotated[float, Field(ge=0, lt=1)] = 0.5, mode="a"): ...

def configured(feature_levels, **options): ...
"""


@pytest.fixture
def show():
    """Run in this process, where torch has to be imported but once."""

    def shown(*arguments, code=0):
        done = CliRunner().invoke(cli, ["show", *arguments])
        assert done.exit_code == code, done.stderr
        return done

    return shown


def test_a_component_is_shown_with_options_and_source(zoo, add_distribution, manifest):
    spec = "ComponentSpec('head', 'plain', 'fake_shown:plain', 'a head')"
    add_distribution("zoo-shown", shown=manifest(spec), modules={"fake_shown": MODULE})
    lines = [re.split(r"\s{2,}", line) for line in zoo("show", "plain", check=0).stdout.splitlines()]
    source = lines[4].pop()
    assert lines == [
        ["kind", "head"],
        ["name", "shown/plain"],
        ["summary", "a head"],
        ["plugin", "shown (zoo-shown 1.0)"],
        ["source"],
        [""],
        ["OPTION", "DEFAULT", "TYPE"],
        ["width", "3", "int"],
        ["share", "0.5", "float, >= 0, < 1"],
        ["mode", "a", "Any"],
        [""],
        ["passed by zoo, not by a recipe: feature_levels"],
    ]
    assert source.endswith("fake_shown.py:9")


def test_first_party_components_are_shown(show):
    loss = json.loads(show("margin/cosface", "--json").stdout)["component"]
    assert {"s", "m"} < {option["name"] for option in loss["options"]}
    backbone = json.loads(show("lcnet_050", "--json").stdout)["component"]
    assert backbone["name"] == "timm/lcnet_050"
    assert "pretrained" in {option["name"] for option in backbone["options"]}


def test_options_read_as_yaml_and_fit_a_terminal(show):
    lines = [re.split(r"\s{2,}", line) for line in show("margin/cosface").stdout.splitlines()]
    assert ["initial_s", "null", "float, > 0, or null"] in lines
    # The options of an option stand in its place, named as in an override.
    assert ["class_table.mode", "auto", "auto | dense | sparse"] in lines
    assert ["class_table.optimizer_options.betas", "[0.9, 0.999]", "[float, >= 0, < 1, float, >= 0, < 1]"] in lines
    assert all(len(line) <= 100 for line in show("margin/cosface").stdout.splitlines() if not line.startswith("source"))


def test_a_config_model_gives_the_options(zoo, add_distribution, manifest):
    about = "config='fake_shown:Config', license='MIT', tags=('t',)"
    spec = f"ComponentSpec('head', 'c', 'fake_shown:configured', 's', {about})"
    add_distribution("zoo-conf", conf=manifest(spec), modules={"fake_shown": MODULE})
    component = json.loads(zoo("show", "conf/c", "--json", check=0).stdout)["component"]
    assert component["options"] == [
        {"name": "width", "type": "int", "default": "(required)"},
        {"name": "names", "type": "list of str", "default": "(computed)"},
        {"name": "feature_levels", "type": "Any", "default": "(passed by zoo)"},
    ]
    assert (component["license"], component["tags"]) == ("MIT", ["t"])


def test_a_name_of_several_kinds_asks_which(zoo, add_distribution, manifest):
    specs = [f"ComponentSpec('{kind}', 'same', 'fake_shown:plain', 's')" for kind in ("head", "loss")]
    add_distribution("zoo-twin", twin=manifest(*specs), modules={"fake_shown": MODULE})
    done = zoo("show", "same", check=4)
    assert done.stderr == "error: 'same' is ambiguous: head twin/same, loss twin/same; add the plugin or --kind\n"
    assert json.loads(zoo("show", "same", "--kind", "losses", "--json", check=0).stdout)["component"]["kind"] == "loss"


def test_a_factory_that_cannot_be_imported_still_has_its_manifest_shown(zoo, add_distribution, manifest):
    add_distribution("zoo-far", far=manifest("ComponentSpec('head', 'h', 'not_there:h', 'far away')"))
    done = zoo("show", "far/h", check=0)
    assert "far away" in done.stdout
    assert done.stderr == "warning: head far/h (zoo-far 1.0): not_there:h failed: No module named 'not_there'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cosfac"], "error: there is no component 'cosfac'; did you mean 'cosface'?"),
        (["margin/cosfac"], "error: there is no component 'margin/cosfac'; did you mean 'margin/cosface'?"),
        (["timm/lcnt_050"], "error: there is no backbone 'timm/lcnt_050'; did you mean 'timm/lcnet_050'?"),
        (["margn/cosface"], "error: 'margn/cosface': there is no plugin 'margn'; did you mean 'margin'?"),
        (["cosface", "--kind", "had"], "error: no kind 'had'; did you mean 'head'?"),
        (["cosface", "--kind", "head"], "error: there is no head 'cosface'; 'margin/cosface' is of kind loss"),
    ],
)
def test_a_wrong_name_gets_the_right_one(show, arguments, message):
    assert show(*arguments, code=4).stderr == message + "\n"


def test_a_component_of_a_failed_plugin_gets_that_failure(zoo, add_distribution):
    add_distribution("zoo-broken", "2.0", broken="import not_installed_lib")
    done = zoo("show", "broken/net", check=4)
    assert done.stderr.splitlines()[-1] == (
        "error: 'broken/net' is from plugin 'broken', which failed to load: "
        "zoo-broken 2.0: No module named 'not_installed_lib'; "
        "zoo-broken does not require a distribution of that name: tell its author"
    )
