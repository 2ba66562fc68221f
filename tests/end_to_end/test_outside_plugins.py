"""Packages from outside, built as wheels and installed into an environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

OUTSIDE = Path(__file__).with_name("outside")

RECIPE = """\
extends: lcnet050_cosface_96
model:
  backbone: {name: swatch/convnet, options: {width: 8}}
  head: {name: swatch/pool, options: {embed_dim: 24}}
data:
  image_size: [32, 32]
  train: {options: {templates: 12, samples_per_template: 8}}
  valid: {options: {templates: 6, samples_per_template: 3}}
  valid_captures: 1
  loader: {batch_size: 16, num_workers: 0}
trainer: {max_epochs: 2, accelerator: cpu}
onnx: {name: swatch/WarpFeatureLearning}
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh environment that sees this one's packages, torch among them, with all outside packages installed."""
    folder = tmp_path_factory.mktemp("outside")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    # A .pth line, not a copy: torch alone is gigabytes. The line below makes .pth files of that folder count too.
    here = sysconfig.get_paths()["purelib"]
    (site / "heavy.pth").write_text(f"import site; site.addsitedir({here!r})\n", encoding="utf-8")
    for project in sorted(OUTSIDE.iterdir()):
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "wheels", project],
            check=True,
            capture_output=True,
        )
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        folder / "venv/bin/python",
        "install",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*install, *sorted((folder / "wheels").glob("*.whl"))], check=True, capture_output=True)
    return folder


@pytest.fixture
def zoo(environment, tmp_path):
    def run(*arguments, check=0, **env):
        result = subprocess.run(
            [environment / "venv/bin/python", "-m", "zoo", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **env},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == check, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    return run


def test_its_components_are_listed_with_their_origin(zoo):
    listed = json.loads(zoo("list", "--json").stdout)["components"]

    swatch = {component["name"]: component for component in listed if component["plugin"] == "swatch"}
    assert set(swatch) == {"swatch/convnet", "swatch/pool", "swatch/WarpFeatureLearning"}
    assert {(component["distribution"], component["version"]) for component in swatch.values()} == {
        ("plugzoo-swatch", "0.3")
    }


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["plugins"],
        ["doctor"],
        ["show", "swatch/convnet"],
        ["config", "check", "--cfg", "lcnet050_cosface_96"],
    ],
)
def test_broken_neighbours_are_named_once_each_and_leave_every_command_working(zoo, command):
    done = zoo(*command)
    # `plugins` and `doctor` show them as what they print; everywhere else they are warnings.
    lines = (done.stdout + done.stderr).splitlines()

    for name, reason in (
        ("zoo-raises", "a_library_that_is_not_installed"),
        ("zoo-future", "99"),
        ("zoo-claims", "timm"),
    ):
        (line,) = (line for line in lines if name in line)
        assert line.startswith("warning: ") or command[0] in {"plugins", "doctor"}
        assert reason in line


def test_the_reserved_id_stays_ours(zoo):
    listed = json.loads(zoo("list", "backbone", "--json").stdout)["components"]

    assert {component["distribution"] for component in listed if component["plugin"] == "timm"} == {"plugzoo"}


def test_a_recipe_that_uses_a_failed_plugin_gets_that_failure(zoo, tmp_path):
    (tmp_path / "future.yaml").write_text(
        "extends: lcnet050_cosface_96\nmodel:\n  head: {name: future/future}\n", encoding="utf-8"
    )

    result = zoo("config", "check", "--cfg", "future.yaml", check=4)

    assert "future.yaml:3:10: model.head.name" in result.stderr
    assert "99" in result.stderr


def test_its_components_train_export_and_are_verified(zoo, tmp_path):
    (tmp_path / "swatch.yaml").write_text(RECIPE, encoding="utf-8")

    zoo("train", "--cfg", "swatch.yaml")
    zoo("export", "--simplify")

    (artifact,) = tmp_path.glob("runs/swatch/*/artifact")
    report = json.loads((artifact / "onnx/export.json").read_text(encoding="utf-8"))
    assert report["verified"] is True
    assert {batch["size"] for batch in report["batches"]} > {1, 3, 16, 65}
    record = json.loads((artifact.parent / "record.json").read_text(encoding="utf-8"))
    assert {("swatch", "plugzoo-swatch", "0.3")} <= {
        (component["plugin"], component["distribution"], component["version"]) for component in record["components"]
    }
    session = onnxruntime.InferenceSession(artifact / "onnx/model.onnx")
    (feats,) = session.run(["feats"], {"img": np.random.default_rng(0).random((5, 3, 32, 32), dtype=np.float32)})
    assert feats.shape == (5, 24)
