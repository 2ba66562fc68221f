"""The page about Docker: its commands with a docker that only looks at them, its table against the scripts."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASH = shutil.which("bash")
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
SCRIPTS = [line for block in BLOCKS for line in block.splitlines() if " docker/" in line and "compose" not in line]


def dry(line, cwd):
    """Run a line of the page as a dry run in a folder that looks like the checkout; return the commands it prints."""
    (cwd / "docker").symlink_to(ROOT / "docker")
    run = cwd / "runs/lcnet050_cosface_96/2026-01-02_03-04-05"
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text("{}")
    settings = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(cwd), "DRY_RUN": "1"}
    result = subprocess.run([BASH, "-c", line], cwd=cwd, env=settings, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return [shlex.split(command) for command in result.stdout.splitlines()]


@pytest.mark.parametrize("line", [line for line in SCRIPTS if "sbatch" not in line])
def test_the_scripts_understand_the_pages_commands(tmp_path, line):
    for command in dry(line, tmp_path):
        assert command[:2] in (["docker", "run"], ["docker", "build"])


@pytest.mark.slow
def test_zoo_understands_what_the_scripts_hand_over(zoo, tmp_path):
    (line,) = [line for line in SCRIPTS if "--max-time" in line]
    (command,) = dry(line, tmp_path)

    zoo(*command[command.index("zoo-train") + 2 :], "--dry-run", check=0)


def test_the_table_lists_what_the_scripts_read():
    read = set()
    for script in (ROOT / "docker").glob("*.bash"):
        if script.name != "entrypoint.bash":
            text = script.read_text(encoding="utf-8")
            read |= set(re.findall(r"\$\{!?([A-Z][A-Z_]+)", text)) - {"BASH_SOURCE"}
            for names in re.findall(r"^\s*for name in ([A-Z_ ]+); do", text, re.MULTILINE):
                read |= set(names.split())
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    listed = set(
        re.findall(r"`([A-Z][A-Z_]+?)(?:\.\.\.)?`", "\n".join(row.split("|")[1] for row in table.splitlines()))
    )

    assert listed == read


def test_predicting_is_a_command_that_zoo_understands(tmp_path):
    (block,) = [block for block in BLOCKS if "zoo predict" in block]
    words = shlex.split(block.replace("\\\n", " "))

    assert words[:3] == ["docker", "run", "--rm"]
    command = words[words.index("zoo-infer") + 1 :]
    assert command[:2] == ["zoo", "predict"]
    result = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    # It got as far as looking for the references.
    assert result.stderr.startswith("error: cards: no such folder")
