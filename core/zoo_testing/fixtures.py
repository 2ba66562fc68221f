"""Fixtures for pytest, loaded by its entry point; nothing of zoo is imported before one is used."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zoo_core.registry import Registry

# Trains in seconds: 32-pixel images, a backbone without weights, a handful of drawn documents.
RECIPE = """\
extends: lcnet050_cosface_96
model:
  backbone: {name: timm/test_resnet, options: {pretrained: false}}
  head: {options: {embed_dim: 16}}
data:
  image_size: [32, 32]
  train: {options: {templates: 12, samples_per_template: 8}}
  valid: {options: {templates: 6, samples_per_template: 3}}
  valid_captures: 1
  captures: 1
  loader: {batch_size: 16, num_workers: 0}
optimizer: {reference_batch: null}
ema: null
trainer: {max_epochs: 2, accelerator: cpu}
card: {license: apache-2.0}
"""


@dataclass(frozen=True)
class Project:
    """A folder with a small recipe, in which ``zoo`` is run as a user would."""

    folder: Path
    recipe: Path

    def run(self, *words: object, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run ``zoo`` with ``words``, offline and on one thread; the exit code must be ``check``, None for any.

        ``recipe`` among the words is the small recipe: ``run("train", "recipe", "model.head.name=swatch/pool")``.
        """
        given = [str(self.recipe) if word == "recipe" else str(word) for word in words]
        done = subprocess.run(  # noqa: S603 - zoo itself
            [sys.executable, "-m", "zoo", *given],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if check is not None:
            shown = f"zoo {' '.join(given)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
            assert done.returncode == check, shown
        return done


@pytest.fixture
def zoo_project(tmp_path: Path) -> Project:
    """A folder with the recipe ``small.yaml``, and ``run("train", "recipe", "key=value")``."""
    recipe = tmp_path / "small.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return Project(tmp_path, recipe)


@pytest.fixture
def zoo_registry() -> Callable[..., Registry]:
    """Return a function of plugin ids to a registry of these plugins and zoo's own, whatever else is installed."""
    from zoo_core.discovery import discover  # noqa: PLC0415 - pytest loads this file in every project
    from zoo_core.registry import FIRST_PARTY  # noqa: PLC0415 - as above

    def isolated(*plugins: str) -> Registry:
        everybody = discover({})
        own = [one.id for one in everybody.plugins if one.provenance.distribution == FIRST_PARTY]
        return discover({"ZOO_ONLY_PLUGINS": ",".join([*own, *plugins])})

    return isolated
