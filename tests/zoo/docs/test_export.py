from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml
from PIL import Image

from zoo.recipes.schema import OnnxSection

PAGE = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")


def block(language):
    (text,) = re.findall(rf"^```{language}\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    return text


def test_the_section_is_the_shipped_recipes_own():
    from zoo.recipes.loading import load_recipe

    assert OnnxSection(**yaml.safe_load(block("yaml"))["onnx"]) == load_recipe("lcnet050_cosface_96").recipe.onnx


def test_the_commands_and_the_example_run(zoo, trained_run, tmp_path, monkeypatch):
    root = trained_run.path.parents[2]
    for line in block("bash").splitlines():
        zoo(*line.partition("#")[0].split()[1:], cwd=root, check=0)
    shutil.copytree(trained_run.artifact.path, tmp_path / "reader" / "artifact")
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "reader" / "photo.jpg")
    monkeypatch.chdir(tmp_path / "reader")

    names = {}
    exec(compile(block("python"), "export.md", "exec"), names)  # noqa: S102 - our own page

    (feats,) = onnxruntime.InferenceSession("artifact/onnx/model.onnx").get_outputs()
    assert names["embedding"].shape == (feats.shape[1],)
    assert np.linalg.norm(names["embedding"]) == pytest.approx(1, abs=1e-5)
