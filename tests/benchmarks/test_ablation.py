from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.recipes.loading import load_recipe
from zoo_core.discovery import discover

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ablation.py"


@pytest.fixture(scope="module")
def ablation():
    spec = importlib.util.spec_from_file_location("ablation", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["ablation"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["ablation"]


def test_every_variant_is_a_recipe_and_no_two_are_alike(ablation, tmp_path):
    registry = discover()
    seen = []
    for variant in ablation.VARIANTS + ablation.real(tmp_path):
        recipe = load_recipe(ablation.RECIPE, variant.overrides, registry=registry).recipe
        assert recipe not in seen, variant
        seen.append(recipe)


@pytest.mark.slow
def test_one_command_trains_and_writes_the_table(tmp_path):
    page = tmp_path / "ablation.md"
    command = [sys.executable, SCRIPT, "--work", tmp_path / "runs", "--samples", 512, "--only", "recipe"]

    done = subprocess.run([*map(str, command), "--write", str(page)], capture_output=True, text=True, check=True)

    (row,) = json.loads(done.stdout)["rows"]
    assert f"| recipe | as it ships | {row['tpr_at_fpr_1e-4']:.3f} |" in page.read_text()
