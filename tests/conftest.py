from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from zoo_testing.fixtures import RECIPE

# The settings of who runs the tests must reach none of them; before any import, when libraries read theirs.
for _name in [name for name in os.environ if name.startswith(("HF_", "HUGGING_FACE_", "ZOO_"))]:
    del os.environ[_name]

ZOO = Path(sys.executable).with_name("zoo")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Keep what a test caches out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def zoo(tmp_path):
    """Run the installed command in an empty folder, as a user would: `zoo("list", "--json")`."""

    def run(*arguments, check=None, cwd=tmp_path, env=None, timeout=300):
        result = subprocess.run(
            [ZOO, *map(str, arguments)],
            cwd=cwd,
            # One thread: tests share the machine's cores with each other.
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check is not None:
            assert result.returncode == check, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    return run


@pytest.fixture(scope="session")
def tiny_recipe_text():
    return RECIPE


@pytest.fixture
def tiny_recipe(tmp_path):
    """Write a recipe that trains in seconds, and return its path."""
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def read_curves():
    """Read ``metrics.csv`` of a run or a folder: a dict a row."""

    def read(folder):
        with (Path(getattr(folder, "path", folder)) / "metrics.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture(scope="session")
def write_tar():
    """Write a tar archive: ``write_tar(path, {name: content})``."""

    def write(path, members):
        with tarfile.open(path, "w") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))

    return write


@pytest.fixture
def site(tmp_path):
    """Return an empty folder of distributions, and forget what was imported from it."""
    folder = tmp_path / "site"
    folder.mkdir()
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def add_distribution(site, monkeypatch):
    """Install a fake distribution in `site` and put it first on the path: `add_distribution("zoo-a", a="manifest")`.

    Each keyword is a plugin id with the source of its manifest.
    """

    def add(name, version="1.0", *, requires=(), folder=site, direct_url=None, modules=None, **manifests):
        stem = name.replace("-", "_")
        info = folder / f"{stem}-{version}.dist-info"
        info.mkdir(parents=True)
        points = []
        for plugin, source in manifests.items():
            module = f"{stem}_{plugin}_manifest"
            (folder / f"{module}.py").write_text(source, encoding="utf-8")
            points.append(f"{plugin} = {module}")
        for module, source in (modules or {}).items():
            (folder / f"{module}.py").write_text(source, encoding="utf-8")
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (info / "entry_points.txt").write_text("\n".join(["[zoo.plugins]", *points]) + "\n", encoding="utf-8")
        if direct_url:
            (info / "direct_url.json").write_text(json.dumps(direct_url), encoding="utf-8")
        # Both for this process and for those that a test starts.
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", str(folder))
        return info

    return add


@pytest.fixture
def manifest():
    """Return the source of a manifest: `manifest('ComponentSpec(...)', ...)`, or that of a head called `plain`."""

    def source(*components, api=1, hook="zoo_components"):
        components = components or ("ComponentSpec('head', 'plain', 'fake_heads:Plain', 'a head')",)
        return (
            "from zoo_core.api import ComponentFamily, ComponentSpec, hookimpl\n"
            f"ZOO_API = {api}\n"
            "@hookimpl\n"
            f"def {hook}():\n"
            f"    return [{', '.join(components)}]\n"
        )

    return source
