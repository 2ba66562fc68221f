"""What stands in more than one place says the same everywhere."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_shipped_checked_and_kept_in_its_layer():
    folders = {
        str(path.parent.relative_to(ROOT))
        for root in ("core", "plugins", "zoo")
        for path in ROOT.glob(f"{root}/*/py.typed")
    }
    names = {Path(folder).name for folder in folders}

    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == folders
    assert set(PROJECT["tool"]["mypy"]["packages"]) == names
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == names
    (layers,) = (
        one["layers"] for one in PROJECT["tool"]["importlinter"]["contracts"] if "zoo_core" in one.get("layers", ())
    )
    assert {name for layer in layers for name in layer.split(" | ")} == names


def test_every_plugin_folder_is_an_entry_point():
    points = PROJECT["project"]["entry-points"]["zoo.plugins"]

    folders = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir()}
    assert {target.partition(".")[0] for target in points.values()} == folders
    # What one folder offers of a second library is a plugin of that name.
    others = {"lightning": "zoo_torch.lightning"}
    assert points == {folder.removeprefix("zoo_"): f"{folder}.plugin" for folder in folders} | others


def test_what_the_page_for_contributors_names_is_there():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    extras = {name for group in re.findall(r"'\.\[([\w,]+)\]'", page) for name in group.split(",")}

    assert extras
    assert extras <= set(PROJECT["project"]["optional-dependencies"])
    assert {f"testenv:{name}" for name in re.findall(r"tox -e (\w+)", page)} <= set(tox.sections())
    assert all(list(ROOT.glob(f"tests/**/{name}")) for name in re.findall(r"`(test_\w+\.py)`", page))
    assert all((ROOT / path).exists() for path in re.findall(r"(?:python|pytest) ([\w./]+)", page) if "/" in path)
    # The tree: each folder, and below the application and the core each file or room.
    (tree,) = re.findall(r"^```\n(core/.*?)```$", page, re.DOTALL | re.MULTILINE)
    top = ROOT
    for indent, names in re.findall(r"^( *)((?:[\w.]+/? ?)+)(?:  |$)", tree, re.MULTILINE):
        for name in names.split():
            assert ((top if indent else ROOT) / name).exists(), name
        if not indent:
            top = ROOT / names.split()[0]
