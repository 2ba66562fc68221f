"""What an artifact says to Transformers.js, and of which graphs alone."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest

from zoo.models.model import Model
from zoo.onnx_export.artifact import write_artifact
from zoo.onnx_export.pixels import PixelInput
from zoo.onnx_export.run import export_run
from zoo.onnx_export.transformers_js import is_readable
from zoo.recipes.loading import load_recipe, load_run_recipe
from zoo_core.discovery import discover
from zoo_core.errors import RecipeError
from zoo_core.images import read_image

# What docs/export.md gives for a model that is trained already.
NAMES = (
    "onnx.name=TransformersJs",
    "onnx.input_shape={pixel_values: {shape: [1, 3, 32, 32], dtype: float32}}",
    "onnx.input_names=[pixel_values]",
    "onnx.output_names=[image_embeds]",
    'onnx.dynamic_axes={pixel_values: {"0": n, "2": height, "3": width}, image_embeds: {"0": n}}',
)
ANY_SIZE = {0: "n", 2: "height", 3: "width"}


def test_pixels_of_any_size_give_the_embeddings_of_prediction_and_the_files_say_so(trained_run, picture, tmp_path):
    loaded = load_run_recipe(trained_run, NAMES)
    verified = export_run(trained_run, loaded, discover(), simplify=True)
    write_artifact(verified, trained_run, discover())
    artifact = trained_run.artifact

    config, processor = (json.loads(path.read_text()) for path in (artifact.config, artifact.preprocessor))
    assert config["model_type"] == "custom"
    # A browser would take an int8 file otherwise, which need not be there.
    assert config["transformers.js_config"] == {"dtype": "fp32"}
    assert processor["image_processor_type"] == "ImageFeatureExtractor"
    said = [processor[key] for key in ("do_resize", "do_rescale", "rescale_factor", "do_normalize")]
    assert said == [False, True, 1 / 255, False]

    session, model = onnxruntime.InferenceSession(artifact.onnx), Model.open(artifact.path)
    for seed, size in enumerate(((320, 240), (1600, 1250))):
        path = picture(tmp_path / f"{seed}.png", seed, size, noise=20)
        pixels = read_image(path).astype(np.float32).transpose(2, 0, 1)[None] * np.float32(1 / 255)
        (found,) = session.run(["image_embeds"], {"pixel_values": pixels})[0]
        np.testing.assert_allclose(found, model.embed(path), atol=1e-6)
    assert [one["image"] for one in verified.report["sizes"]][-2] == (4000, 3000)


def test_a_recipe_chooses_it_by_a_second_base(tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: [lcnet050_cosface_128, base/transformers_js]\n", encoding="utf-8")
    section = load_recipe(tmp_path / "mine.yaml").recipe.onnx
    axes = {int(axis): name for axis, name in section.dynamic_axes["pixel_values"].items()}
    (shape,) = section.input_shape.values()
    assert shape.shape == [1, 3, 128, 128]
    assert is_readable(PixelInput(*section.input_names, tuple(shape.shape), shape.dtype, axes), section.output_names)
    assert section.options["opset_version"] == 16


@pytest.mark.parametrize(
    ("change", "readable"),
    [
        ({}, True),
        ({"outputs": ["last_hidden_state"]}, True),
        ({"outputs": ["image_embeds", "quality"]}, True),
        ({"name": "img"}, False),
        ({"dtype": "uint8"}, False),
        ({"shape": (1, 32, 32, 3), "axes": {0: "n", 1: "height", 2: "width"}}, False),
        ({"axes": {0: "n"}}, False),
        ({"axes": {2: "height", 3: "width"}}, False),
        ({"outputs": ["feats"]}, False),
        # The pipeline would return the logits.
        ({"outputs": ["image_embeds", "logits"]}, False),
    ],
)
def test_only_a_graph_that_the_pipeline_can_run_is_said_to_be_one(change, readable):
    given = {"name": "pixel_values", "shape": (1, 3, 32, 32), "dtype": "float32", "axes": ANY_SIZE, **change}
    outputs = given.pop("outputs", ["image_embeds"])
    assert is_readable(PixelInput(**given), outputs) is readable


def test_its_wrapper_with_other_names_is_refused_with_the_line(trained_run):
    overrides = [one.replace("image_embeds", "feats") for one in NAMES]
    with pytest.raises(
        RecipeError, match=r"wants one input 'pixel_values'.*first output named 'image_embeds'"
    ) as error:
        export_run(trained_run, load_run_recipe(trained_run, overrides), discover(), simplify=False)
    (problem,) = error.value.problems
    assert problem.location.key == "onnx.input_names"
    assert "base/transformers_js" in problem.hint
