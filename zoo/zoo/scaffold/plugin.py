"""A project of a plugin: one whole component for each kind that was asked for, a recipe that uses them, and tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from zoo import __version__
from zoo.artifacts.swap import replacing_folder
from zoo_core.components import Kind
from zoo_core.errors import UsageError
from zoo_core.manifest import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True)
class Example:
    """One component of the templates.

    Attributes:
        module: where it is written; plural of the kind.
        target: class or function in it.
        name: in recipes.
        summary: for ``zoo list``.
        suite: of ``zoo_testing``.
        recipe: what the recipe of the project says of it; ``$component`` stands for its name.
    """

    module: str
    target: str
    name: str
    summary: str
    suite: str
    recipe: str


EXAMPLES: dict[Kind, Example] = {
    "backbone": Example(
        "backbones", "ConvNet", "convnet", "three strided convolutions", "BackboneSuite",
        "model.backbone: {name: $component, options: {width: 8}}",
    ),
    "head": Example(
        "heads", "PoolHead", "pool", "mean and maximum over positions, linear", "HeadSuite",
        "model.head: {name: $component, options: {embed_dim: 32}}",
    ),
    "loss": Example(
        "losses", "NormalizedSoftmax", "normalized_softmax", "scaled cosines to one proxy per class", "LossSuite",
        "model.loss: {name: $component}",
    ),
    "dataset": Example(
        "datasets", "Stripes", "stripes", "drawn stripes, each class its own", "DatasetSuite",
        "data.train: {name: $component}\ndata.valid: {name: $component, options: {split: valid}}",
    ),
    "augmentation": Example(
        "augmentations", "Jitter", "jitter", "random crop and brightness", "AugmentationSuite",
        "data.augmentation: {name: $component}",
    ),
    "export_wrapper": Example(
        "export_wrappers", "Normalized", "Normalized", "backbone and head, unit length", "ExportWrapperSuite",
        "onnx: {name: $component}",
    ),
    "teacher": Example(
        "teachers", "ColourGrid", "colour_grid", "mean colours of a grid", "TeacherSuite",
        "model.distillation: {teacher: {name: $component}}",
    ),
    "optimizer": Example(
        "optimizers", "SignMomentum", "sign_momentum", "the sign of a momentum", "OptimizerSuite",
        "optimizer: {name: $component, options: {lr: 1.0e-3, weight_decay: 1.0e-3}}",
    ),
    "lr_scheduler": Example(
        "lr_schedulers", "triangle", "triangle", "up and down in lines", "LrSchedulerSuite",
        "lr_scheduler: {name: $component}",
    ),
}  # fmt: skip


def write_plugin(folder: Path, name: str, kinds: Sequence[Kind]) -> list[Path]:
    """Write the project ``plugzoo-NAME`` into the new or empty ``folder``; return its files.

    Args:
        folder: where; it is made.
        name: the plugin's id: lower-case letters, digits and underscores.
        kinds: one example of each is written.

    Raises:
        UsageError: the name is no id, a kind has no example, or the folder is not empty.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a plugin", hint="take lower-case letters, digits and underscores")
    unknown = [kind for kind in kinds if kind not in EXAMPLES]
    if unknown:
        known = [kind for kind in get_args(Kind) if kind in EXAMPLES]
        raise UsageError(f"there is no example of kind {unknown[0]!r}", hint=f"there are: {', '.join(known)}")
    if folder.resolve() == Path.cwd() or folder.is_symlink() or (folder.exists() and not _is_empty(folder)):
        raise UsageError(f"{folder}: is there already", hint="name a new folder with --output DIR")
    package = f"plugzoo_{name}"
    examples = {kind: EXAMPLES[kind] for kind in dict.fromkeys(kinds)}
    contents = {
        "pyproject.toml": _pyproject(name, package),
        "README.md": _readme(name, examples),
        ".gitignore": "__pycache__/\n*.egg-info/\n.mypy_cache/\n.pytest_cache/\n.ruff_cache/\ndist/\nruns/\n",
        f"{name}.yaml": _recipe(name, examples),
        f"{package}/__init__.py": f'"""Components of the plugin {name}."""\n',
        f"{package}/py.typed": "",
        f"{package}/plugin.py": _manifest(package, examples),
        "tests/test_components.py": _tests(name, examples),
        "tests/test_training.py": _training(name),
    }
    templates = files("zoo.scaffold") / "templates/plugin"
    for example in examples.values():
        text = (templates / f"{example.module}.py.txt").read_text(encoding="utf-8")
        contents[f"{package}/{example.module}.py"] = text
    with replacing_folder(folder) as staged:
        for file, text in contents.items():
            (staged / file).parent.mkdir(parents=True, exist_ok=True)
            (staged / file).write_text(text, encoding="utf-8")
    return [folder / file for file in contents]


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _pyproject(name: str, package: str) -> str:
    return f"""\
[build-system]
build-backend = "hatchling.build"
requires = ["hatchling"]

[project]
name = "plugzoo-{name.replace("_", "-")}"
version = "0.1.0"
description = "Components for zoo."
readme = "README.md"
# License expression of SPDX: 'zoo list' and model cards show it.
license = "Apache-2.0"
requires-python = ">=3.11"
dependencies = ["plugzoo[train]>={__version__}"]

[project.optional-dependencies]
test = ["mypy", "pytest", "ruff"]

# Left of = is the plugin's id, the namespace of its components.
[project.entry-points."zoo.plugins"]
{name} = "{package}.plugin"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]

[tool.mypy]
packages = ["{package}"]
strict = true

[tool.pytest.ini_options]
testpaths = ["tests"]

[tool.ruff]
line-length = 120

[tool.ruff.lint]
select = ["ANN", "B", "D", "E", "F", "I", "N", "RUF", "UP", "W"]
ignore = ["ANN401", "D105", "D107"]
pydocstyle.convention = "google"

[tool.ruff.lint.per-file-ignores]
"tests/**" = ["ANN", "D", "RUF012"]
"""


def _readme(name: str, examples: dict[Kind, Example]) -> str:
    rows = "\n".join(f"| {kind} | `{name}/{example.name}` | {example.summary} |" for kind, example in examples.items())
    return f"""\
# plugzoo-{name.replace("_", "-")}

Components for [zoo](https://pypi.org/project/plugzoo/):

| kind | name | |
|---|---|---|
{rows}

```bash
pip install -e '.[test]'
ruff check . && ruff format --check . && mypy && pytest   # its own tests
zoo plugins check plugzoo-{name.replace("_", "-")}                # what others would meet
zoo check {name}.yaml                                # one real batch through the recipe
zoo train --cfg {name}.yaml
```
"""


def _manifest(package: str, examples: dict[Kind, Example]) -> str:
    specs = "".join(
        f"""\
        ComponentSpec(
            kind="{kind}",
            name="{example.name}",
            factory="{package}.{example.module}:{example.target}",
            summary="{example.summary}",
        ),
"""
        for kind, example in examples.items()
    )
    return f'''\
"""What this plugin provides: zoo lists it without importing anything else."""

from __future__ import annotations

from zoo_core.api import ComponentSpec, hookimpl

ZOO_API = {API_VERSION}


@hookimpl
def zoo_components() -> list[ComponentSpec]:
    """Return the components of this plugin."""
    return [
{specs}    ]
'''


def _tests(name: str, examples: dict[Kind, Example]) -> str:
    suites = ", ".join(sorted(example.suite for example in examples.values()))
    line = f"from zoo_testing import {suites}"
    if len(line) > 120:  # noqa: PLR2004 - the project's line length
        names = "".join(f"    {suite},\n" for suite in sorted(example.suite for example in examples.values()))
        line = f"from zoo_testing import (\n{names})"
    classes = "\n".join(
        f"\nclass Test{example.target[0].upper()}{example.target[1:]}({example.suite}):\n"
        f'    component = "{name}/{example.name}"\n'
        for example in examples.values()
    )
    return f"from __future__ import annotations\n\n{line}\n\n{classes}"


def _training(name: str) -> str:
    return f"""\
from __future__ import annotations

from pathlib import Path

RECIPE = Path(__file__).parents[1] / "{name}.yaml"


def test_the_recipe_trains_and_exports(zoo_project):
    zoo_project.run("train", "--cfg", RECIPE, "-o", "run", "--max-time", "10s")
    zoo_project.run("export", "--run", "run", "--dry-run")
"""


def _recipe(name: str, examples: dict[Kind, Example]) -> str:
    lines = [line for kind, example in examples.items() for line in _said(name, example)]
    sections: dict[str, list[str]] = {}
    for line in lines:
        key, _, value = line.partition(": ")
        section, dot, below = key.partition(".")
        sections.setdefault(section, []).append(f"  {below}: {value}" if dot else value)
    small = {
        "model": ["backbone: {name: timm/test_resnet, options: {pretrained: false}}"],
        "data": [
            "image_size: [32, 32]",
            "train: {options: {templates: 12, samples_per_template: 8}}",
            "valid: {options: {templates: 6, samples_per_template: 3}}",
            "valid_captures: 1",
            "loader: {batch_size: 16, num_workers: 0}",
        ],
        "trainer": ["max_epochs: 30"],
    }
    for section, defaults in small.items():
        said = sections.setdefault(section, [])
        keys = {line.strip().partition(":")[0] for line in said}
        said += [f"  {line}" for line in defaults if line.partition(":")[0] not in keys]
    text = "\n".join(
        f"{section}: {values[0]}" if not values[0].startswith(" ") else f"{section}:\n" + "\n".join(values)
        for section, values in sections.items()
    )
    head = "# Small, so that a training takes seconds: raise the sizes, and leave `trainer` out, to train for real."
    return f"{head}\nextends: lcnet050_cosface_96\n{text}\n"


def _said(name: str, example: Example) -> list[str]:
    return example.recipe.replace("$component", f"{name}/{example.name}").splitlines()
