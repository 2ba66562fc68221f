from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from PIL import Image

from zoo.assembly import RecipeBuilder
from zoo.models.torch_model import open_checkpoint, to_pixels
from zoo.recipes.loading import load_recipe, load_run_recipe
from zoo.recipes.schema import OnnxSection, PrecisionSection
from zoo_core.discovery import discover
from zoo_core.images import read_image

PAGE = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")


def block(language, number=0):
    return re.findall(rf"^```{language}\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)[number]


def test_the_section_is_the_shipped_recipes_own():
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


@pytest.mark.slow
def test_the_commands_and_the_example_run(zoo, trained_run, tmp_path, monkeypatch):
    root = trained_run.path.parents[2]
    for line in block("bash").splitlines():
        zoo(*line.partition("#")[0].split()[1:], cwd=root, check=0)
    shutil.copytree(trained_run.artifact.path, tmp_path / "reader" / "artifact")
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "reader" / "photo.jpg")
    monkeypatch.chdir(tmp_path / "reader")

    names = {}
    for number in (0, 1):
        exec(compile(block("python", number), "export.md", "exec"), names)  # noqa: S102 - our own page

    (feats,) = onnxruntime.InferenceSession("artifact/onnx/model.onnx").get_outputs()
    assert names["embedding"].shape == (feats.shape[1],)
    assert np.linalg.norm(names["embedding"]) == pytest.approx(1, abs=1e-5)
    builder = RecipeBuilder(load_run_recipe(trained_run), discover())
    trained = open_checkpoint(builder, trained_run.best).backbone.eval()
    picture = read_image(tmp_path / "reader" / "photo.jpg", (32, 32))
    with torch.no_grad():
        wanted = trained(to_pixels(torch.from_numpy(picture[None].copy())))
    for one, other in zip(names["maps"], wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_the_base_for_transformers_js_is_that_of_the_page(tmp_path):
    (tmp_path / "mine.yaml").write_text(block("yaml", 2), encoding="utf-8")
    by_base = load_recipe(tmp_path / "mine.yaml").recipe.onnx
    command = shlex.split(block("bash", 3).replace("\\\n", " "))
    by_override = load_recipe("lcnet050_cosface_96", command[3:]).recipe.onnx
    assert command[:3] == ["zoo", "export", "--simplify"]
    without = {"name": True, "dynamic_axes": True}
    assert by_base.model_dump(exclude=without) == by_override.model_dump(exclude=without)
    assert by_base.name == f"onnx/{by_override.name}" == "onnx/TransformersJs"
    assert {name: [*axes] for name, axes in by_base.dynamic_axes.items()} == {
        name: [*axes] for name, axes in by_override.dynamic_axes.items()
    }
