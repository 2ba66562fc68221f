from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from zoo.artifacts.manifest import write_manifest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "shipped_threshold.py"


def test_the_rate_of_an_artifact_is_compared_with_what_it_says(averages, tmp_path):
    (tmp_path / "artifact/onnx").mkdir(parents=True)
    onnx.save(averages, tmp_path / "artifact/onnx/model.onnx")
    threshold = {"fpr_target": 0.5, "value": 0.75, "expected_fpir": {"1": 0.5}}
    (tmp_path / "artifact/config.json").write_text(json.dumps({"zoo": {"threshold": threshold}}))
    graph = hashlib.sha256((tmp_path / "artifact/onnx/model.onnx").read_bytes()).hexdigest()
    (tmp_path / "artifact/onnx/export.json").write_text(json.dumps({"verified": True, "sha256": graph}))
    write_manifest(tmp_path / "artifact")
    for seed in range(4):
        coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        (tmp_path / f"photos/{seed}").mkdir(parents=True)
        for number in range(2):
            Image.fromarray(coarse).resize((96, 96 + number)).save(tmp_path / f"photos/{seed}/{number}.png")
    command = [sys.executable, SCRIPT, tmp_path / "artifact", tmp_path / "photos"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert (found["threshold"], found["said_fpr"], found["said_fpir"]) == (0.75, 0.5, {"1": 0.5})
    assert (found["classes"], found["images"], found["impostor_pairs"], found["tpr"]) == (4, 8, 24, 1)
    assert found["realised_over_said"] == found["realised_fpr"] / 0.5
    # A gallery of one reference is a pair.
    assert found["realised_fpir"]["1"] == pytest.approx(found["realised_fpr"])
