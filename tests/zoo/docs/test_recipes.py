from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from zoo.recipes.loading import load_recipe, recipe_names

PAGE = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_examples_are_recipes(zoo, tmp_path):
    examples = re.findall(r"^```yaml\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    assert examples
    for number, example in enumerate(examples):
        (tmp_path / f"my{number}.yaml").write_text(example, encoding="utf-8")
        zoo("config", "check", "--cfg", f"my{number}.yaml", check=0)


def test_the_error_is_the_one_that_is_shown(zoo, tmp_path):
    (shown,) = re.findall(r"^my\.yaml:.*$", PAGE, re.MULTILINE)
    (tmp_path / "my.yaml").write_text(
        "extends: lcnet050_cosface_96\nmodel:\n  head: {options: {embed_dimm: 64}}\n", encoding="utf-8"
    )

    assert shown in zoo("config", "check", "--cfg", "my.yaml", check=3).stderr


def test_the_commands_run(zoo):
    (commands,) = re.findall(r"^```bash\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)

    for line in commands.splitlines():
        words = shlex.split(line)
        environment = dict(word.split("=", 1) for word in words[: words.index("zoo")])
        zoo(*words[words.index("zoo") + 1 :], env=environment, check=0)


def test_the_table_names_all_recipes_with_what_they_say():
    table = {
        name.strip("` "): [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith(("| `lcnet", "| `efficientnet"))
        for name in [line.split("|")[1]]
    }

    assert set(table) == set(recipe_names())
    for name, (_, image, embedding, backbone, _head, loss) in table.items():
        recipe = load_recipe(name).recipe
        assert recipe.data.image_size == (int(image), int(image))
        assert recipe.model.head.options["embed_dim"] == int(embedding)
        assert recipe.model.backbone.name == f"timm/{backbone}"
        assert recipe.model.loss.name == f"margin/{loss.lower()}"
