from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "class_table.py"


@pytest.mark.slow
def test_it_writes_a_row_for_each_combination_and_a_plot(tmp_path):
    command = [sys.executable, SCRIPT, "--classes", "500", "1000", "--negatives", "64", "--modes", "sampled", "dense"]
    options = [
        "--optimizers",
        "adamw",
        "--steps",
        "2",
        "--rounds",
        "2",
        "--json",
        tmp_path / "out.json",
        "--plot",
        tmp_path / "out.png",
    ]
    subprocess.run([*command, *options], check=True)
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]
    combinations = [(row["classes"], row["mode"], row["optimizer"]) for row in rows]
    assert combinations == [(classes, mode, "adamw") for classes in (500, 1000) for mode in ("sampled", "dense")]
    assert all(row["step_ms"] > 0 and row["products_ms"] > 0 and row["peak_mb"] >= 0 for row in rows)
    assert (tmp_path / "out.png").stat().st_size > 1000
