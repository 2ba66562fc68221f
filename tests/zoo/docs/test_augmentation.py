from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path

import pytest

from zoo_images.capture.augmentation import Capture

PAGE = (Path(__file__).parents[3] / "docs" / "augmentation.md").read_text(encoding="utf-8")


def test_the_example_is_a_recipe(zoo, tmp_path):
    (example,) = re.findall(r"^```yaml\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "my.yaml").write_text(example, encoding="utf-8")

    zoo("config", "check", "--cfg", "my.yaml", check=0)


@pytest.mark.slow
def test_the_command_is_a_training(zoo):
    (command,) = re.findall(r"^```bash\nzoo (.*)\n```$", PAGE, re.MULTILINE)

    zoo(*shlex.split(command), "--dry-run", check=0)


def test_the_table_names_all_options_with_their_defaults():
    table = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \| [^|]*[a-z][^|]* \|$", PAGE, re.MULTILINE))
    parameters = dict(inspect.signature(Capture).parameters)
    del parameters["image_size"]

    assert {name: float(default) for name, default in table.items()} == {
        name: parameter.default for name, parameter in parameters.items()
    }
