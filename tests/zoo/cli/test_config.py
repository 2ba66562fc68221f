from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from zoo.recipes.loading import shipped


def line(file, text):
    """Where a shipped file first has the text, as ``configs/FILE:LINE``."""
    before, found, _ = (shipped() / file).read_text(encoding="utf-8").partition(text)
    assert found
    return f"configs/{file}:{before.count(chr(10)) + 1}"


def shown(file, text):
    """The same as ``config show --origin`` shortens it."""
    return line(file, text).replace("configs/", "zoo:")


def test_show_prints_the_resolved_recipe_as_yaml_that_loads_again(zoo, tmp_path):
    shown = zoo(
        "config", "show", "--cfg", "lcnet050_cosface_96", "data.image_size=[64, 80]", "trainer.max_epochs=3", check=0
    )

    recipe = yaml.safe_load(shown.stdout)
    assert recipe["data"]["image_size"] == [64, 80]
    assert recipe["onnx"]["input_shape"]["img"]["shape"] == [1, 3, 64, 80]
    assert recipe["trainer"]["max_epochs"] == 3
    assert shown.stderr == ""

    (tmp_path / "again.yaml").write_text(shown.stdout, encoding="utf-8")
    assert zoo("config", "show", "--cfg", "again.yaml", check=0).stdout == shown.stdout


def test_show_says_where_each_value_was_written(zoo, tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: lcnet050_cosface_96\nseed: 4\n", encoding="utf-8")

    result = zoo(
        "config", "show", "--cfg", "mine.yaml", "--origin", "data.image_size.1=64",
        env={"ZOO_RECIPE__data__loader__batch_size": "8"}, check=0,
    )  # fmt: skip

    origins = {line.split()[0]: line.split(maxsplit=1)[1] for line in result.stdout.splitlines()}
    assert origins["seed"].split() == ["4", "mine.yaml:2"]
    assert origins["model.head.options.embed_dim"].endswith(shown("lcnet050_cosface_96.yaml", "embed_dim"))
    assert origins["optimizer.options.lr"].endswith(shown("base/embedding.yaml", "lr:"))
    assert origins["data.loader.batch_size"].endswith("$ZOO_RECIPE__data__loader__batch_size")
    assert origins["data.image_size"].endswith(shown("lcnet050_cosface_96.yaml", "image_size") + ", <command line>")
    assert origins["model.memory_format"].endswith("default")


def test_show_as_json(zoo):
    result = zoo("config", "show", "--cfg", "lcnet050_cosface_96", "--origin", "--json", "seed=3", check=0)

    document = json.loads(result.stdout)
    assert (document["schema"], document["name"], document["recipe"]["seed"]) == (1, "lcnet050_cosface_96", 3)
    assert document["origins"]["seed"] == "<command line>"


def test_show_needs_no_torch(tmp_path):
    # A recipe is text: showing it works in the plain install, and at once.
    code = (
        "import sys; from zoo.cli.main import cli\n"
        "cli(['config', 'show', '--cfg', 'lcnet050_cosface_96'], standalone_mode=False)\n"
        "print('heavy:', *sorted({'torch', 'timm', 'lightning', 'numpy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert result.stdout.splitlines()[-1] == "heavy:"


def test_check_passes_all_shipped_recipes(zoo):
    result = zoo("config", "check", "--all", check=0)

    lines = result.stdout.splitlines()
    assert "lcnet050_cosface_96: ok" in lines
    assert len(lines) == 11
    assert all(line.endswith(": ok") for line in lines)
    assert result.stderr == ""


def test_a_warning_shows_its_line_and_is_no_failure(zoo, tmp_path):
    text = "extends: lcnet050_cosface_96\nonnx:\n  output_names: [a]\n"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")

    result = zoo("config", "check", "--cfg", "mine.yaml", "--json", check=0)

    (report,) = json.loads(result.stdout)["recipes"]
    (warning,) = report["warnings"]
    assert report["ok"]
    assert f"{warning['file']}:{warning['line']}".endswith(line("base/embedding.yaml", "feats:"))
    assert (warning["column"], warning["key"]) == (5, "onnx.dynamic_axes.feats")
    assert warning["hint"] == "call it 'a'"
    assert "taken to mean 'a', the one output without axes" in result.stderr


@pytest.fixture
def mine(tmp_path):
    text = "extends: lcnet050_cosface_96\nmodel:\n  backbone:\n    options:\n"
    text += "      tag: none_such\n      pretrained: none_such.safetensors\n"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("mine")
def test_weights_that_timm_does_not_have_are_refused_where_they_are_written(zoo):
    result = zoo("config", "check", "mine.yaml", check=3)
    where = "error: mine.yaml:5:7: model.backbone.options.tag: "
    assert result.stderr.startswith(where + "timm's lcnet_050 has no weights 'none_such'; it has ra2_in1k")


def test_a_file_of_weights_that_is_missing_here_is_a_warning_and_by_strict_an_error(zoo, mine):
    words = ("config", "check", "mine.yaml", "model.backbone.options.tag=ra2_in1k")
    line = "mine.yaml:6:7: model.backbone.options.pretrained: there is no file 'none_such.safetensors'; give true, "
    result = zoo(*words, check=0)
    assert result.stderr.startswith(f"warning: {line}")
    assert result.stdout == "mine.yaml: ok\n"
    assert zoo(*words, "--strict", check=3).stderr.startswith(f"error: {line}")
    (mine / "none_such.safetensors").touch()
    assert zoo(*words, "--strict", check=0).stderr == ""


def test_a_check_that_fails_is_the_plugins_failure(zoo, add_distribution, manifest):
    head = "ComponentSpec('head', 'odd', 'odd_heads:Odd', 'a head', check='odd_heads:check')"
    modules = {"odd_heads": "class Odd:\n    pass\n\ndef check(name, options):\n    raise ValueError('oh')\n"}
    add_distribution("zoo-odd", odd=manifest(head), modules=modules)
    result = zoo("config", "check", "lcnet050_cosface_96", "model.head={name: odd/odd}", check=4)
    assert "odd_heads:check failed: oh" in result.stderr


def test_a_plugin_that_was_left_out_exits_4(zoo):
    result = zoo("config", "check", "--cfg", "lcnet050_cosface_96", env={"ZOO_DISABLE_PLUGINS": "margin"}, check=4)

    place = line("lcnet050_cosface_96.yaml", "margin/cosface")
    assert f"{place}:10: model.loss.name: loss 'margin/cosface' is from plugin" in result.stderr
    assert result.stdout == "lcnet050_cosface_96: 1 problem\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check"], "which recipe?; name one of those that 'zoo recipes' lists"),
        (["show"], "which recipe?"),
        (["check", "--all", "--cfg", "x"], "a recipe and --all exclude each other"),
        (["show", "--cfg", "lcnet050_cosfac_96"], "there is no recipe 'lcnet050_cosfac_96'"),
    ],
)
def test_wrong_calls_exit_2(zoo, arguments, message):
    assert message in zoo("config", *arguments, check=2).stderr


def test_the_schema_knows_sections_and_installed_components(zoo):
    schema = json.loads(zoo("config", "schema", check=0).stdout)

    model, data = (schema["$defs"][name]["properties"] for name in ("ModelSection", "DataSection"))
    assert {"embedding/flatten_ln", "flatten_ln"} <= set(model["head"]["properties"]["name"]["enum"])
    assert "documents/synthetic" in data["train"]["properties"]["name"]["enum"]
    assert "timm/*" in model["backbone"]["properties"]["name"]["description"]
    assert "extends" in schema["properties"]
    assert "required" not in schema
    assert json.loads(zoo("config", "schema", "--json", check=0).stdout) == {"schema": 1, **schema}


def test_recipes_are_completed(zoo):
    result = zoo(
        env={"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": "zoo config show --cfg lcnet100", "COMP_CWORD": "4"}
    )

    assert result.stdout == "plain,lcnet100_cosface_128\n"


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("model.loss=arcface", "write model.loss.name=arcface, or {name: arcface}"),
        ("data.train.options.root=${HOME}", "names a key of the recipe, never a variable of the environment"),
        ("model.backbone.name=timm/resnet50.a1_in1k", "{name: timm/resnet50, options: {tag: a1_in1k}}"),
        ("optimizer.options.lr=.nan", "should be a finite number, not nan"),
    ],
)
def test_common_mistakes_get_a_hint(zoo, override, hint):
    result = zoo("config", "check", "--cfg", "lcnet050_cosface_96", override, check=3)
    (line,) = result.stderr.splitlines()
    assert hint in line


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--epochs", "3"), "trainer.max_epochs=VALUE"),
        (("--trainer.max_epochs=3",), "trainer.max_epochs=VALUE"),
        (("--batch-size", "3"), "data.loader.batch_size=VALUE"),
    ],
)
def test_values_given_as_options_are_told_how_to_write_them(zoo, words, hint):
    result = zoo("train", "--cfg", "lcnet050_cosface_96", *words, check=2)
    assert f"the recipe's values are set without dashes: {hint}" in result.stderr
    assert json.loads(zoo("train", "--json", *words, check=2).stderr)["error"]["code"] == "usage"
