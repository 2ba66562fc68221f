from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from zoo_margin.options import TableOptions
from zoo_margin.plugin import zoo_components

PAGE = (Path(__file__).parents[3] / "docs" / "class-table.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_commands_run(zoo):
    (commands,) = re.findall(r"^```bash\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)

    said = [zoo(*shlex.split(line)[1:], check=0).stderr for line in commands.splitlines()]

    assert "2,000 rows of 128, 2,000 sampled a step, AdamW by row" in said[0]
    assert "2,000 rows of 128, all in every step" in said[1]


def test_the_program_runs():
    (program,) = re.findall(r"^```python\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    subprocess.run([sys.executable, "-c", program], check=True)


def test_all_options_and_losses_are_there():
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(TableOptions.model_fields)
    assert set(re.findall(r"^\| `margin/(\w+)` \|", PAGE, re.MULTILINE)) == {spec.name for spec in zoo_components()}
