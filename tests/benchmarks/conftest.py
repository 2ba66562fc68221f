from __future__ import annotations

import json

import onnx
import pytest
from onnx import parser

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


@pytest.fixture
def averages():
    """Return a graph that says what images it takes."""
    model = parser.parse_model(GRAPH)
    onnx.helper.set_model_props(model, {"zoo.preprocess": json.dumps(PREPROCESS)})
    return model
