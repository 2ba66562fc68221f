from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import parser

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "predict.py"
# Its embedding is the image at 4x4 pixels.
GRAPH = """\
<ir_version: 8, opset_import: ["": 17]>
averages (float[N, 3, 96, 96] img) => (float[N, 48] feats) {
  small = AveragePool <kernel_shape = [24, 24], strides = [24, 24]> (img)
  feats = Flatten (small)
}
"""
PREPROCESS = {
    "layout": "NCHW",
    "dtype": "float32",
    "size": [96, 96],
    "color": "RGB",
    "range": [0, 1],
    "resample": "bilinear",
    "antialias": True,
    "normalization": "in graph",
}


@pytest.mark.slow
def test_one_command_measures_all(tmp_path):
    model = parser.parse_model(GRAPH)
    onnx.helper.set_model_props(model, {"zoo.preprocess": json.dumps(PREPROCESS)})
    onnx.save(model, tmp_path / "averages.onnx")
    command = [sys.executable, SCRIPT, "--model", tmp_path / "averages.onnx", "--images", "50", "--rounds", "1"]
    measured = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert {"speed", "memory", "start", "turned"} < set(measured)
    for size in ("320_pixels", "12_megapixels"):
        assert measured["speed"][size]["equal_for_any_number_of_workers"]
        assert measured["speed"][size]["least_cosine_to_naive"] > 0.9999
    assert measured["memory"]["peak_mb_of_108_megapixels"] < 300
    assert set(measured["turned"]["rank1_turned"]) == {"90", "180", "270"}
