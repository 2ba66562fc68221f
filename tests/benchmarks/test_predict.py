from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "predict.py"


@pytest.mark.slow
def test_one_command_measures_all(averages, tmp_path):
    onnx.save(averages, tmp_path / "averages.onnx")
    command = [sys.executable, SCRIPT, "--model", tmp_path / "averages.onnx", "--images", "50", "--rounds", "1"]
    measured = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert {"speed", "memory", "start", "turned"} < set(measured)
    for size in ("320_pixels", "12_megapixels"):
        assert measured["speed"][size]["equal_for_any_number_of_workers"]
        assert measured["speed"][size]["least_cosine_to_naive"] > 0.9999
    assert measured["memory"]["peak_mb_of_108_megapixels"] < 300
    assert set(measured["turned"]["rank1_turned"]) == {"90", "180", "270"}
