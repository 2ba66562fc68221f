"""Clients in JavaScript on exported models: `pytest -m npm -s tests/zoo/readers` installs them and prints figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from zoo.models.model import Model
from zoo.publish.card.snippets import transformers_js_snippet
from zoo_core.images import read_image

pytestmark = pytest.mark.npm
PAGE = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")
PRECISIONS = {"fp32": "model.onnx", "fp16": "model_fp16.onnx", "int8": "model_int8.onnx"}


def unit(rows):
    return rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)


def pixels_for(session, paths):
    """Image files as a graph's float32 input, one a run where it takes any size."""
    size = session.get_inputs()[0].shape[2:]
    fixed = tuple(size) if all(isinstance(side, int) for side in size) else None
    images = [read_image(path, fixed) if fixed else read_image(path) for path in paths]
    rows = [
        np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255) for image in images
    ]
    return [np.concatenate(rows)] if fixed else rows


@pytest.mark.parametrize("runtime", ["onnxruntime-node", "onnxruntime-web"])
@pytest.mark.parametrize("wrapper", ["plain", "for_transformers_js"])
def test_node_and_web_give_the_numbers_of_python(request, node, documents, tmp_path, figure, wrapper, runtime):
    artifact = request.getfixturevalue(wrapper)
    jobs, wanted = [], {}
    for precision, name in PRECISIONS.items():
        session = onnxruntime.InferenceSession(artifact / "onnx" / name)
        (taken,), (given, *_) = session.get_inputs(), session.get_outputs()
        for batch in pixels_for(session, documents):
            stem = tmp_path / f"{len(jobs)}"
            batch.tofile(stem.with_suffix(".in"))
            wanted.setdefault(precision, []).append((stem, session.run([given.name], {taken.name: batch})[0]))
            jobs.append(
                {
                    "model": str(artifact / "onnx" / name), "input": taken.name, "dtype": "float32",
                    "dims": batch.shape, "pixels": str(stem.with_suffix(".in")), "output": given.name,
                    "embeddings": str(stem.with_suffix(".out")),
                }
            )  # fmt: skip
    node("infer.mjs", runtime, input=json.dumps(jobs))
    for precision, pairs in wanted.items():
        expected = np.concatenate([rows for _, rows in pairs])
        found = np.concatenate([np.fromfile(stem.with_suffix(".out"), np.float32) for stem, _ in pairs])
        found = found.reshape(expected.shape)
        difference, cosine = np.abs(found - expected).max(), (unit(found) * unit(expected)).sum(1).min()
        figure(f"{wrapper} {runtime} {precision}: largest difference {difference:.1e}, lowest cosine {cosine:.7f}")
        assert difference <= (1e-6 if precision == "fp32" else 1e-2)
        assert cosine >= (0.9999 if precision != "int8" else 0.99)


@pytest.mark.parametrize("dtype", ["auto", "fp16", "int8"])
def test_the_pipeline_of_transformers_js_embeds_files_as_zoo_does(node, for_transformers_js, documents, figure, dtype):
    models, name = for_transformers_js.parent, for_transformers_js.name
    found = np.array(json.loads(node("embed.mjs", models, name, dtype, *documents).stdout))
    expected = Model.open(for_transformers_js, precision={"auto": "fp32"}.get(dtype, dtype)).embed(documents)
    cosines = (unit(found) * unit(expected)).sum(1)
    figure(f"transformers.js {dtype}: lowest cosine {cosines.min():.7f}, of the JPEG file {cosines[-1]:.7f}")
    assert cosines.min() >= 0.9999
    if dtype == "auto":
        assert np.abs(found - expected)[:-1].max() <= 1e-6


def test_a_browser_loads_the_float32_graph_and_asks_for_no_other(node, for_transformers_js):
    done = node("files.mjs", for_transformers_js.parent, for_transformers_js.name, "wasm")
    asked = json.loads(done.stdout)
    assert sorted(asked) == ["config.json", "onnx/model.onnx", "preprocessor_config.json"]
    assert all((for_transformers_js / name).is_file() for name in asked)


def test_of_the_plain_artifact_the_pipeline_says_what_is_missing(node, plain, documents):
    done = node("embed.mjs", plain.parent, plain.name, "auto", documents[0], check=False)
    assert done.returncode == 1
    assert "No `image_processor_type`" in done.stderr


def local(code, models):
    """A program that takes models from a folder, where the page's takes them from the Hub."""
    head = "import { env } from '@huggingface/transformers';"
    return f"{head}\nenv.allowRemoteModels = false;\nenv.localModelPath = {json.dumps(str(models))};\n{code}"


def test_the_cards_example_runs(node, npm, for_transformers_js, documents, tmp_path):
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "tiny").symlink_to(for_transformers_js)
    code = transformers_js_snippet("org/tiny", "v1.0").replace("picture.png", str(documents[0]))
    (npm / "card.mjs").write_text(local(code, tmp_path), encoding="utf-8")
    dimension = Model.open(for_transformers_js).embedding_dim
    assert node("card.mjs").stdout.split() == ["[", "1,", str(dimension), "]"]


def test_the_pages_examples_give_the_embedding_of_zoo(node, npm, for_transformers_js, documents, tmp_path):
    (tmp_path / "ORG").mkdir()
    (tmp_path / "ORG" / "NAME").symlink_to(for_transformers_js)
    (expected,) = Model.open(for_transformers_js).embed([documents[0]])
    in_browser, in_node = re.findall(r"^```js\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    in_node = in_node.replace("artifact/onnx", str(for_transformers_js / "onnx"))
    for number, code in enumerate((in_node, local(in_browser, tmp_path))):
        program = f"{code}\nconsole.log(JSON.stringify(Array.from(embedding)));\n"
        (npm / f"page{number}.mjs").write_text(program.replace("photo.png", str(documents[0])), encoding="utf-8")
        found = json.loads(node(f"page{number}.mjs").stdout)
        np.testing.assert_allclose(found, expected, atol=1e-6)
