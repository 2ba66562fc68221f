from __future__ import annotations

import shutil
import subprocess

import pytest

from zoo_core.components import KINDS


@pytest.fixture
def complete(zoo):
    """Complete the last word of a line, as bash would: `complete("zoo show cosf")`."""

    def completed(line, **environment):
        position = str(len(line.split(" ")) - 1)
        done = zoo(env={"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": position, **environment})
        assert done.stderr == ""
        return [row.partition(",")[2] for row in done.stdout.split()]

    return completed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(zoo, shell):
    script = zoo("completion", shell, check=0).stdout
    assert f"_ZOO_COMPLETE={shell}_complete" in script


def test_bash_accepts_the_script(zoo):
    script = zoo("completion", "bash", check=0).stdout
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    done = subprocess.run([bash, "-c", script + "complete -p zoo"], capture_output=True, text=True, check=True)
    assert "_zoo_completion zoo" in done.stdout


def test_an_unknown_shell_is_a_usage_error(zoo):
    assert "powershell" in zoo("completion", "powershell", check=2).stderr


def test_commands_are_completed(complete):
    assert complete("zoo p") == ["push", "pull", "predict", "plugins"]


def test_components_are_completed_with_and_without_their_plugin(complete):
    assert complete("zoo show cosf") == ["cosface"]
    assert complete("zoo show margin/c") == ["margin/combined", "margin/cosface", "margin/curricularface"]
    # Members of a family are not: that would import it at every key.
    assert complete("zoo show timm/") == []


def test_kinds_are_completed(complete):
    assert complete("zoo list los") == ["loss"]
    assert set(KINDS) <= set(complete("zoo list "))
    assert complete("zoo show x --kind ba") == ["backbone"]


def test_recipes_are_completed(complete, tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "my_recipe.yaml").write_text("{}")
    assert complete("zoo train --cfg my_") == ["my_recipe"]
    assert "lcnet050_cosface_96" in complete("zoo train --cfg ")


def test_overrides_are_completed(complete):
    assert complete("zoo train data.loa") == ["data.loader.batch_size=", "data.loader.num_workers="]
    assert "model.loss.options.m=" in complete("zoo train --cfg lcnet050_cosface_96 model.loss.options.")
    assert complete("zoo train model.loss.name=margin/cos") == ["model.loss.name=margin/cosface"]
    assert complete("zoo train --cfg nosuch data.loa") == []


def test_a_failing_plugin_does_not_disturb_the_line_that_is_typed(complete, add_distribution):
    add_distribution("zoo-broken", broken="raise RuntimeError")
    assert complete("zoo show cosf") == ["cosface"]
    assert complete("zoo show cosf", ZOO_PLUGINS_STRICT="1") == []
