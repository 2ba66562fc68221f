"""The page about zoo in Python: what it says about using a model runs, with a folder's name for ORG/NAME."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "python.md").read_text(encoding="utf-8")
USE = PAGE.partition("## Use a model")[2].partition("\n## ")[0]
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
