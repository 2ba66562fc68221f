from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "tests" / "end_to_end" / "outside" / "good"
FILES = ["pyproject.toml", "plugzoo_swatch/plugin.py", "plugzoo_swatch/networks.py", "plugzoo_swatch/export.py"]


@pytest.mark.parametrize("name", FILES)
def test_the_example_on_the_page_is_the_one_that_is_tested(name):
    (shown,) = re.findall(rf"^`{name}`:\n\n```\w+\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)

    assert shown == (EXAMPLE / name).read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_pages_recipe_is_one_of_the_pages_plugin(zoo, add_distribution, site, tmp_path):
    (recipe,) = re.findall(r"^```yaml\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "swatch.yaml").write_text(recipe, encoding="utf-8")
    shutil.copytree(EXAMPLE / "plugzoo_swatch", site / "plugzoo_swatch")
    add_distribution("plugzoo-swatch", "0.3", swatch="from plugzoo_swatch.plugin import *\n")

    zoo("config", "check", "--cfg", "swatch.yaml", check=0)
    shown = zoo("show", "swatch/convnet", check=0).stdout

    assert "plugzoo-swatch 0.3" in shown
