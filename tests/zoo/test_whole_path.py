"""The whole path, once through: recipe, train, eval, export, push, pull in another process, predict."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors.numpy
import torch
import yaml
from PIL import Image

from zoo_documents.synthetic import SyntheticDocuments

REPO = "org/tiny"


@pytest.fixture
def pictures(tmp_path):
    """Two pictures of each of four documents that no training saw: one for the gallery, one to name."""
    documents = SyntheticDocuments(templates=4, samples_per_template=2, split="unseen", seed=5)
    for index in range(len(documents)):
        sample = documents[index]
        folder = tmp_path / ("gallery" if index % 2 == 0 else "photos")
        folder.mkdir(exist_ok=True)
        Image.fromarray(sample.image).save(folder / f"{documents.classes[sample.label].replace('/', '-')}.png")
    return tmp_path


def embeddings_by_onnxruntime_alone(model, images):
    """Read pictures, resize, scale, run: what the card tells a person without zoo to do."""
    session = onnxruntime.InferenceSession(model)
    pixels = [
        np.asarray(Image.open(path).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR), dtype=np.float32) / 255
        for path in images
    ]
    (feats,) = session.run(None, {"img": np.stack(pixels).transpose(0, 3, 1, 2)})
    return feats


def test_from_a_recipe_to_named_pictures(zoo, tiny_recipe, pictures, hub_environment, tmp_path):
    zoo("train", "--cfg", tiny_recipe, "trainer.max_epochs=6", check=0)
    zoo("eval", check=0)
    zoo("export", "--simplify", check=0)
    (run,) = tmp_path.glob("runs/tiny/*")
    artifact = run / "artifact"

    # The graph is the checkpoint's, in numbers and in weights.
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    published = safetensors.numpy.load_file(artifact / "model.safetensors")
    assert published.keys() == {key.removeprefix("model.") for key in state if key.startswith("model.")}
    assert all(np.array_equal(state[f"model.{key}"].numpy(), value) for key, value in published.items())
    report = json.loads((artifact / "onnx/export.json").read_text(encoding="utf-8"))
    assert report["opset"] == yaml.safe_load((artifact / "recipe.yaml").read_text())["onnx"]["options"]["opset_version"]

    zoo("push", "--repo", REPO, env=hub_environment, check=0)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    fresh = {**hub_environment, "HF_HOME": str(elsewhere / "cache"), "HF_HUB_OFFLINE": "0"}
    zoo("pull", REPO, "--output", elsewhere / "model", cwd=elsewhere, env=fresh, check=0)

    # An independent client gets the same bytes.
    script = f"import huggingface_hub as hub; print(hub.snapshot_download({REPO!r}))"
    snapshot = subprocess.run(
        [sys.executable, "-c", script], env={**fresh, "PATH": ""}, capture_output=True, text=True, check=True
    ).stdout.strip()
    photos = sorted((pictures / "photos").iterdir())
    before = embeddings_by_onnxruntime_alone(artifact / "onnx/model.onnx", photos)
    for folder in (elsewhere / "model", Path(snapshot)):
        assert np.array_equal(embeddings_by_onnxruntime_alone(folder / "onnx/model.onnx", photos), before)

    predict = ("predict", "--gallery", pictures / "gallery", "--threshold", "-1", "--json", *photos)
    at_home = json.loads(zoo(*predict, "--model", artifact, check=0).stdout)["predictions"]
    from_hub = json.loads(zoo(*predict, "--model", REPO, cwd=elsewhere, env=fresh, check=0).stdout)["predictions"]
    assert at_home == from_hub

    # Labels and scores are those of the nearest reference by the independent embeddings.
    references = sorted((pictures / "gallery").iterdir())
    gallery = embeddings_by_onnxruntime_alone(artifact / "onnx/model.onnx", references)
    cosines = before @ gallery.T
    assert [one["label"] for one in at_home] == [references[best].stem for best in cosines.argmax(1)]
    assert [one["score"] for one in at_home] == pytest.approx(cosines.max(1), abs=1e-5)

    unsure = zoo(
        "predict", "--gallery", pictures / "gallery", "--threshold", "1.01", "--model", artifact, *photos, check=0
    )
    assert unsure.stdout.count("unknown") == len(photos)
