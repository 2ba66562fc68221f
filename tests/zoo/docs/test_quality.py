from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from zoo_documents.synthetic import SyntheticDocuments

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_commands_behind_the_table_are_ones_that_run(zoo, tmp_path):
    documents = SyntheticDocuments(templates=16, samples_per_template=1, seed=5)
    (tmp_path / "CARDS").mkdir()
    for index in range(len(documents)):
        Image.fromarray(documents[index].image).save(tmp_path / "CARDS" / f"{index}.png")
    (block,) = re.findall(r"^```bash\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    photographs, *trainings = filter(None, map(shlex.split, block.replace("\\\n", " ").splitlines()))

    python, script, *arguments = photographs
    assert python == "python"
    subprocess.run([sys.executable, ROOT / script, *arguments, "--captures", "1"], cwd=tmp_path, check=True)

    classes = list((tmp_path / "PHOTOS").iterdir())
    assert 0 < len(classes) < 16
    assert {path.name for path in classes[0].iterdir()} == {"flat.png", "photo0.png"}
    for program, *rest in trainings:
        assert program == "zoo"
        shown = zoo(*rest, "--dry-run", check=0).stderr
        assert f"unseen, images/folder: {len(classes)} classes" in shown
