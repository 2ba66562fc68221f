"""The plain install, in an environment of its own: it pulls, predicts and verifies, and has no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
HEAVY = ("torch", "torchvision", "timm", "lightning", "onnx", "onnxsim", "matplotlib", "cv2", "safetensors")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh environment with the wheel and what it depends on, from the package index."""
    folder = tmp_path_factory.mktemp("light")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CHECKOUT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    install = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", wheel]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "venv"


@pytest.mark.slow
def test_the_plain_install_pulls_and_predicts_without_torch(
    environment, hub, hub_double, hub_environment, exported, picture, tmp_path
):
    missing = f"import importlib.util as u; print([n for n in {HEAVY} if u.find_spec(n)])"
    found = subprocess.run([environment / "bin/python", "-c", missing], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

    for seed in range(3):
        picture(tmp_path / "cards" / f"card{seed}.png", seed)
    picture(tmp_path / "new.png", 1, noise=20)
    artifact = exported.artifact.path
    files = {path.relative_to(artifact).as_posix(): path for path in artifact.rglob("*") if path.is_file()}
    repo = hub.repos["tester/tiny"] = hub_double.Repo(private=True)
    repo.commit("main", {name: hub_double.Blob(path.read_bytes(), lfs=False) for name, path in files.items()}, "first")

    def zoo(*arguments):
        command = [environment / "bin/zoo", *arguments]
        settings = {**os.environ, **hub_environment}
        result = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    folder = Path(zoo("pull", "tester/tiny").strip())
    assert (folder / "onnx/model.onnx").read_bytes() == exported.artifact.onnx.read_bytes()
    answers = [
        json.loads(zoo("predict", "--model", model, "--gallery", "cards", "new.png", "--json"))
        for model in (artifact, folder, "tester/tiny")
    ]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["predictions"][0]["label"] == "card1"

    # What needs torch is named with the line that installs it; all else is checked.
    checks = {(one["place"], one["claim"]): one for one in json.loads(zoo("verify", "tester/tiny", "--json"))["checks"]}
    assert checks["sample/embedding.json", "embedding"]["verdict"] == "holds"
    assert checks["config.json", "zoo.threshold.value"]["verdict"] == "holds"
    for claim in (("eval/metrics.json", "metrics.auc"), ("onnx/export.json", "verified")):
        assert checks[claim]["verdict"] == "not re-run"
        assert "pip install 'plugzoo[train]'" in checks[claim]["note"]


@pytest.mark.slow
def test_the_plain_install_evaluates_a_model_again_on_its_data(environment, own_data, tmp_path):
    command = [environment / "bin/zoo", "verify", own_data, "--data", tmp_path / "cards", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    verdicts = {(one["place"], one["claim"]): one["verdict"] for one in json.loads(done.stdout)["checks"]}
    assert verdicts["eval/metrics.json", "metrics.auc"] == "holds"
    assert verdicts["eval/metrics.json", "protocol.content"] == "holds"
    assert verdicts["onnx/export.json", "verified"] == "not re-run"
