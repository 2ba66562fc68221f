from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)```$", README, re.DOTALL | re.MULTILINE)
LOOKING_AROUND = BLOCKS[-1].splitlines()


def test_what_ci_runs_is_what_the_readme_says():
    command = BLOCKS[1].strip()

    assert command == "pip install tox && tox"
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_first_command_is_one_that_zoo_understands(zoo):
    install, train = BLOCKS[0].strip().split(" && ")

    assert install == "pip install '.[train]'"
    zoo(*shlex.split(train)[1:], "--dry-run", check=0)


@pytest.mark.parametrize("line", LOOKING_AROUND)
def test_looking_around_works(zoo, line):
    words = shlex.split(line, comments=True)

    assert words[0] == "zoo"
    assert zoo(*words[1:], check=0).stdout


@pytest.mark.slow
def test_own_documents_are_a_data_set_as_they_are(zoo, tmp_path):
    from PIL import Image

    from zoo_documents.synthetic import SyntheticDocuments

    documents = SyntheticDocuments(templates=24, samples_per_template=1)
    (tmp_path / "cards").mkdir()
    for index in range(len(documents)):
        Image.fromarray(documents[index].image).save(tmp_path / "cards" / f"{index}.png")
    words = shlex.split(BLOCKS[3].replace("\\\n", " "))

    shown = zoo(*words[1:], "--dry-run", check=0).stderr

    assert "images/instances" in shown


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"
