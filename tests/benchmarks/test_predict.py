from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "predict.py"


@pytest.mark.slow
def test_one_command_measures_all(trained_run, zoo):
    zoo("export", "--run", trained_run.path, check=0)
    command = [sys.executable, SCRIPT, "--model", trained_run.path, "--images", "50", "--rounds", "1"]
    measured = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert {"speed", "memory", "start", "turned"} < set(measured)
    small, large = measured["speed"]["320_pixels"], measured["speed"]["12_megapixels"]
    assert small["equal_for_any_number_of_workers"]
    assert large["equal_for_any_number_of_workers"]
    assert small["least_cosine_to_naive"] > 0.9999
    assert measured["memory"]["peak_mb_of_108_megapixels"] < 300
    assert set(measured["turned"]["rank1_turned"]) == {"90", "180", "270"}
