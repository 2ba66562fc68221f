from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_examples_are_recipes(zoo, tmp_path):
    examples = re.findall(r"^```yaml\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    assert len(examples) == 5
    for number, example in enumerate(examples):
        (tmp_path / f"my{number}.yaml").write_text(example, encoding="utf-8")
        zoo("config", "check", "--cfg", f"my{number}.yaml", check=0)


@pytest.mark.slow
def test_the_commands_run(zoo):
    commands, *_ = re.findall(r"^```bash\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)

    said = [zoo(*shlex.split(line)[1:], check=0).stderr for line in commands.splitlines()]

    # Four times the reference: twice the learning rate.
    assert "learning rate: 2 of the recipe's, for 512 images a step" in said[1]
