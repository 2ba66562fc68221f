from __future__ import annotations

import json
import unicodedata

from zoo.recipes.loading import recipe_names


def test_every_recipe_has_a_line_and_those_of_the_folder_come_first(zoo, tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.yaml").write_text("\n# yaml-language-server: $schema=x\n\n# Mine.\nseed: 1\n")
    (tmp_path / "configs" / "bare.yaml").write_text("extends: lcnet050_cosface_96\nseed: 1 # no\n")
    lines = zoo("recipes", check=0).stdout.splitlines()
    assert [line.split(maxsplit=1) for line in lines[:3]] == [
        ["RECIPE", "ABOUT"],
        ["bare", "extends lcnet050_cosface_96"],
        ["mine", "Mine."],
    ]
    assert ["lcnet100_cosface_128", "Twice the width."] in [line.split(maxsplit=1) for line in lines]
    document = json.loads(zoo("recipes", "--json", check=0).stdout)
    assert document["recipes"][1] == {"name": "mine", "path": "configs/mine.yaml", "about": "Mine."}


def test_every_recipe_that_ships_says_what_it_is_for(zoo):
    listed = {recipe["name"]: recipe["about"] for recipe in json.loads(zoo("recipes", "--json").stdout)["recipes"]}
    assert list(listed) == recipe_names()
    assert all(about and not about.startswith("extends") for about in listed.values())


def test_columns_are_aligned_beside_names_that_are_twice_as_wide(zoo, tmp_path):
    (tmp_path / "configs").mkdir()
    for name in ("北京身份证", "é", "a"):
        (tmp_path / "configs" / f"{name}.yaml").write_text("# Mine.\nseed: 1\n", encoding="utf-8")
    lines = [line for line in zoo("recipes", check=0).stdout.splitlines() if line.endswith("Mine.")]
    before = [line.removesuffix("Mine.") for line in lines]
    assert len(before) == 3
    assert len({sum(1 + (unicodedata.east_asian_width(sign) == "W") for sign in text) for text in before}) == 1
