"""The page about zoo in Python: what it says runs, with other names for ORG/NAME."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import zoo

PAGE = (Path(__file__).parents[3] / "docs" / "python.md").read_text(encoding="utf-8")
USE = PAGE.partition("## Use a model")[2].partition("\n## ")[0]
TRAIN = PAGE.partition("## Train, evaluate, export, publish")[2].partition("\n## ")[0]
COMMANDS = PAGE.partition("## Predict and embed from the command line")[2].partition("\n## ")[0]


@pytest.fixture
def files(exported, picture, tmp_path):
    for name in ("photo.jpg", "scan.png", "scans/1.jpg", "scans/2.jpg", "more/a/3.jpg", "cards/visa.jpg"):
        picture(tmp_path / name, len(name))
    (tmp_path / "broken.jpg").write_bytes(b"bad")
    return exported


def test_the_examples_run_one_after_the_other(files, tmp_path):
    examples = re.findall(r"^```python\n(.*?)```$", USE, re.DOTALL | re.MULTILINE)
    assert len(examples) == 3
    script = "\n".join(examples).replace('"ORG/NAME"', f"{str(files.path)!r}")
    script += "\nassert one.shape == (8,) and several.shape == (2, 8) and vectors.shape == (2, 8)\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "broken.jpg failed"


def test_the_commands_run(files, tmp_path):
    (block,) = re.findall(r"^```bash\n(.*?)```$", COMMANDS, re.DOTALL | re.MULTILINE)
    outputs = []
    for line in block.splitlines():
        command = line.replace("ORG/NAME", str(files.path)).replace("zoo ", f"{Path(sys.executable).parent}/zoo ")
        done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S602 - our own page
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout.splitlines())
    assert [len(lines) for lines in outputs] == [5, 2, 0]
    with np.load(tmp_path / "scans.npz") as found:
        assert found["paths"].tolist() == ["scans/1.jpg", "scans/2.jpg"]


def test_the_examples_from_training_to_publishing_run_as_they_stand(tiny_recipe_text, hub, hub_environment, tmp_path):
    # A recipe of that name in ./configs comes before the one that ships.
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "lcnet050_cosface_96.yaml").write_text(tiny_recipe_text, encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)```$", TRAIN, re.DOTALL | re.MULTILINE)
    assert len(examples) == 3
    environment = {**os.environ, **hub_environment, "OMP_NUM_THREADS": "1", "ZOO_RECIPE__trainer__max_epochs": "8"}
    command = [sys.executable, "-c", "\n".join(examples).replace("ORG/NAME", "org/tiny")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (shown,) = re.findall(r"print\(error\)  # (.*)", TRAIN)
    lines = done.stdout.splitlines()
    assert lines[-1] == shown
    assert lines[-2] == f"{hub.url}/org/tiny"
    assert (tmp_path / "model" / "onnx" / "model.onnx").is_file()
    assert (tmp_path / "mine" / "checkpoints" / "best.ckpt").is_file()
    assert len(list((tmp_path / "runs" / "lcnet050_cosface_96").iterdir())) == 3


def test_the_table_names_what_the_functions_return():
    rows = re.findall(r"^\| `zoo\.(\w+)\(.*?\| `(\w+)`(.*) \|$", TRAIN, re.MULTILINE)
    assert [name for name, _, _ in rows] == [
        "train",
        "evaluate",
        "compare",
        "export",
        "push",
        "pull",
        "verify",
        "bench",
    ]
    for name, kind, rest in rows:
        assert getattr(zoo, name).__annotations__["return"] == kind
        bases = getattr(zoo, kind).__mro__
        attributes = {name for base in bases for name in (*vars(base), *vars(base).get("__annotations__", ()))}
        assert set(re.findall(r"`(\w+)`", rest)) <= attributes
