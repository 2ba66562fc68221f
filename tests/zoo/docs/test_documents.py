from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path

import pytest

from zoo_documents.synthetic import SyntheticDocuments

PAGE = (Path(__file__).parents[3] / "docs" / "documents.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_is_a_recipe(zoo, tmp_path):
    (example,) = re.findall(r"^```yaml\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "my.yaml").write_text(example, encoding="utf-8")
    zoo("config", "check", "--cfg", "my.yaml", check=0)


def test_the_table_has_all_options_with_their_defaults():
    table = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE, re.MULTILINE))
    defaults = {name: parameter.default for name, parameter in inspect.signature(SyntheticDocuments).parameters.items()}
    assert table == {name: str(value) for name, value in defaults.items()} | {
        "split": "`train`",
        "seed": "the recipe's",
    }


@pytest.mark.slow
def test_the_commands_run(zoo, tmp_path):
    (commands,) = re.findall(r"^```bash\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    for line in commands.splitlines():
        zoo(*shlex.split(line)[1:], check=0)
    assert (tmp_path / "lcnet050_cosface_96-train.png").is_file()
