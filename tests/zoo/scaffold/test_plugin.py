"""A new plugin lints, type-checks, passes its own tests, and is what the project's checks find good."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zoo_core.api
from zoo.scaffold.plugin import EXAMPLES

ROOT = Path(zoo_core.api.__file__).parents[1]


@pytest.fixture
def written(zoo, tmp_path):
    """Return a function of kinds to the project that the command wrote, announced as pip would."""

    def write(*kinds, name="swatch"):
        options = [word for kind in kinds for word in ("--kind", kind)]
        done = zoo("new", "plugin", name, *options, check=0)
        folder = tmp_path / f"plugzoo-{name.replace('_', '-')}"
        files = {path.relative_to(tmp_path).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert set(done.stdout.split()) == files
        assert f"next: pip install -e ./plugzoo-{name.replace('_', '-')}'[test]'" in done.stderr
        info = folder / f"plugzoo_{name}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: plugzoo-{name.replace('_', '-')}\nVersion: 0.1.0\n"
        )
        [line] = re.findall(rf"^{name} = .*$", (folder / "pyproject.toml").read_text(), re.MULTILINE)
        (info / "entry_points.txt").write_text("[zoo.plugins]\n" + line.replace('"', "") + "\n")
        return folder

    return write


def run(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "MYPYPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_kinds_in_one_plugin_pass_their_own_tests_and_checks(written, zoo):
    folder = written(*EXAMPLES)
    done = run(folder, "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 4 * len(EXAMPLES)
    checked = zoo("plugins", "check", "plugzoo-swatch", env={"PYTHONPATH": str(folder)}, check=0)
    assert checked.stdout == "swatch (plugzoo-swatch 0.1.0): nothing to say\n"


@pytest.mark.slow
def test_all_kinds_type_check_strictly(written):
    done = run(written(*EXAMPLES), "mypy")
    assert done.returncode == 0, done.stdout


# Each is a training environment of seconds: the others are slow.
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in {"head", "optimizer"} else pytest.mark.slow) for kind in EXAMPLES]
)
def test_each_kind_alone_is_announced_and_its_recipe_is_right(written, zoo, kind):
    folder = written(kind, name="my_plugin")
    environment = {"PYTHONPATH": str(folder)}
    example = EXAMPLES[kind]
    assert f"my_plugin/{example.name}" in zoo("list", kind, env=environment, check=0).stdout
    zoo("config", "check", "--strict", folder / "my_plugin.yaml", env=environment, check=0)
    modules = {path.stem for path in (folder / "plugzoo_my_plugin").glob("*.py")}
    assert modules == {"__init__", "plugin", example.module}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Bad-Name"], "'Bad-Name' is no name for a plugin; take lower-case letters, digits and underscores"),
        (["swatch", "-o", "full"], "full: is there already; name a new folder with --output DIR"),
        (["swatch", "-o", "."], ".: is there already; name a new folder with --output DIR"),
    ],
)
def test_wrong_words_write_nothing(zoo, tmp_path, arguments, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").touch()
    done = zoo("new", "plugin", *arguments, check=2)
    assert done.stderr == f"error: {message}\n"
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine.txt"]


def test_a_recipe_begins_as_another_and_changes_what_is_uncommented(zoo, tmp_path):
    done = zoo("new", "recipe", "mine", "--from", "lcnet050_arcface_128", check=0)
    assert done.stdout == "mine.yaml\n"
    assert "next: edit mine.yaml, then: zoo check mine.yaml" in done.stderr
    shown = [zoo("config", "show", name, check=0).stdout for name in ("mine.yaml", "lcnet050_arcface_128")]
    assert shown[0] == shown[1]
    text = (tmp_path / "mine.yaml").read_text()
    changed = re.sub(r"^# (model:|  head:|    options: {embed_dim)", r"\1", text, flags=re.MULTILINE)
    changed = changed.replace("embed_dim: 256", "embed_dim: 33")
    (tmp_path / "mine.yaml").write_text(changed)
    assert "embed_dim: 33" in zoo("config", "show", "mine.yaml", check=0).stdout
    assert zoo("new", "recipe", "mine", check=2).stderr == "error: mine.yaml: is there already; choose another name\n"
    zoo("new", "recipe", "sub/other", "--from", "mine.yaml", check=0)
    assert "extends: ../mine.yaml" in (tmp_path / "sub/other.yaml").read_text()
