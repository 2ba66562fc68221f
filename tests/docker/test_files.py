"""The files of docker/ under the linters of their languages, and against each other."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
SHELL = [
    *DOCKER.glob("*.bash"),
    DOCKER / "slurm.sbatch",
    *Path(__file__).parent.glob("*.sh"),
    *Path(__file__).parent.glob("engine/*"),
    ROOT / ".ci" / "run",
]


def lint(name, *arguments):
    """Run a linter of the extra `test`, from the folder of this Python or from the path."""
    program = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    result = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_shellcheck():
    assert len(SHELL) >= 8
    lint("shellcheck", "--external-sources", *SHELL)


def test_hadolint():
    lint("hadolint", DOCKER / "Dockerfile")


def test_every_copied_file_is_in_the_context():
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [*wheel["packages"], *wheel["force-include"], project["project"]["readme"], "pyproject.toml"]
    needed += project["project"]["license-files"]
    needed += re.findall(r"^COPY (?:--chmod=\S+ )?([^-. ]\S*)", DOCKERFILE, re.MULTILINE)

    assert "docker/entrypoint.bash" in needed
    assert all((ROOT / name).exists() for name in allowed)
    for name in needed:
        assert any(name == entry or fnmatch.fnmatch(name, f"{entry}/*") for entry in allowed), name


def test_dependencies_are_installed_before_the_code():
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)$(.*?)(?=^FROM|\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL))

    for name in ("requirements", "base", "inference-dependencies", "training-dependencies"):
        copied = re.findall(r"^COPY (.*)$", stages[name], re.MULTILINE)
        assert all(line.startswith("--from=requirements ") or line == "pyproject.toml ./" for line in copied)
    for name in ("inference", "training"):
        assert "--no-deps" in stages[name]


class TestCompose:
    COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))

    def test_it_trains_a_recipe_that_ships(self):
        from zoo.recipes.loading import recipe_names

        *command, recipe = self.COMPOSE["services"]["train"]["command"]

        assert command == ["zoo", "train", "--cfg"]
        assert re.fullmatch(r"\$\{RECIPE:-(\w+)\}", recipe)[1] in recipe_names()

    def test_it_builds_a_target_that_is_there(self):
        build = self.COMPOSE["services"]["train"]["build"]

        assert (DOCKER / build["context"]).resolve() == ROOT
        assert (ROOT / build["dockerfile"]).is_file()
        assert f" AS {build['target']}\n" in DOCKERFILE
        assert all(f"\nARG {name}=" in DOCKERFILE for name in build["args"])

    def test_tensorboard_reads_what_the_training_writes(self):
        train, board = (self.COMPOSE["services"][name]["volumes"] for name in ("train", "tensorboard"))

        assert [f"{train[0]}:ro"] == board

    def test_it_trains_the_checkouts_recipes(self):
        volumes = self.COMPOSE["services"]["train"]["volumes"]
        (configs,) = [volume for volume in volumes if volume.endswith(":/workspace/configs:ro")]

        assert (DOCKER / re.match(r"\$\{CONFIGS_DIR:-(.*?)\}:", configs)[1]).resolve() == ROOT / "configs"

    def test_gpus_are_added_to_a_service_that_is_there(self):
        more = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text(encoding="utf-8"))

        assert set(more["services"]) <= set(self.COMPOSE["services"])
