from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml
from PIL import Image

from zoo.recipes.schema import OnnxSection, PrecisionSection

PAGE = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")


def block(language, number=0):
    return re.findall(rf"^```{language}\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)[number]


def test_the_section_is_the_shipped_recipes_own():
    from zoo.recipes.loading import load_recipe

    assert OnnxSection(**yaml.safe_load(block("yaml"))["onnx"]) == load_recipe("lcnet050_cosface_96").recipe.onnx


def test_the_budgets_are_the_defaults():
    said = PrecisionSection(**yaml.safe_load(block("yaml", 1))["onnx"]["precision"])
    assert said == PrecisionSection()


@pytest.mark.slow
def test_the_commands_about_precisions_run(zoo, trained_run, picture):
    root = trained_run.path.parents[2]
    picture(root / "photo.jpg", 1)
    picture(root / "cards" / "visa.jpg", 1)
    for line in block("bash", 1).splitlines():
        words = line.partition("#")[0].replace("--model artifact", f"--model {trained_run.artifact.path}").split()
        # Of weights that nobody has trained int8 loses more.
        lenient = ["onnx.precision.int8.mean_cosine=0.5", "onnx.precision.int8.tpr_loss=1.0"]
        more = lenient if words[1] == "export" else ["--threshold", "0.5"]
        zoo(*words[1:], *more, cwd=root, check=0)
    assert {path.name for path in trained_run.artifact.onnx.parent.glob("*.onnx")} == {
        "model.onnx", "model_fp16.onnx", "model_int8.onnx",
    }  # fmt: skip
    assert (root / "half.onnx").stat().st_size == trained_run.artifact.graph("fp16").stat().st_size


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
