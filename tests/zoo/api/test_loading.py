from __future__ import annotations

import subprocess
import sys

import pytest

import zoo
from zoo_core.errors import RemoteError, UsageError


def test_a_run_an_artifact_and_a_file_are_one_model(exported, picture, tmp_path):
    path = picture(tmp_path / "x.png", 2)
    models = [zoo.load(name) for name in (exported.path, str(exported.artifact.path), exported.artifact.onnx)]
    assert all(isinstance(model, zoo.Model) for model in models)
    assert [model.embedding_dim for model in models] == [8, 8, 8]
    assert len({model.embed(path).tobytes() for model in models}) == 1
    assert repr(models[2]) == f"<zoo.Model '{exported.artifact.onnx}': 8 numbers>"


def test_a_name_on_the_hub_is_downloaded(hub, hub_double, hub_environment, exported, picture, tmp_path):
    artifact = exported.artifact.path
    files = {path.relative_to(artifact).as_posix(): path for path in artifact.rglob("*") if path.is_file()}
    repo = hub.repos["tester/tiny"] = hub_double.Repo(private=True)
    repo.commit("main", {name: hub_double.Blob(path.read_bytes(), lfs=False) for name, path in files.items()}, "first")
    picture(tmp_path / "x.png", 2)
    script = "import sys, zoo; print(zoo.load(sys.argv[1]).embed('x.png').tobytes().hex())"
    command = [sys.executable, "-c", script, "tester/tiny"]
    found = subprocess.run(
        command, cwd=tmp_path, env={**hub_environment, "PATH": ""}, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == zoo.load(exported.path).embed(tmp_path / "x.png").tobytes().hex()


@pytest.mark.parametrize("name", ["nowhere", "./no/where", "no/such/folder", "gone.onnx", "a" * 300])
def test_what_is_neither_here_nor_a_name_on_the_hub_is_a_usage_error(name):
    with pytest.raises(UsageError, match=r"no such folder or file; give a folder, an \.onnx file, or .* ORG/NAME"):
        zoo.load(name)


def test_a_path_that_is_missing_is_not_only_blamed_on_the_hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(RemoteError, match=r"nor is there a folder missing/folder in "):
        zoo.load("missing/folder")


def test_importing_zoo_imports_nothing_else():
    script = "import sys; before = set(sys.modules); import zoo; print(sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "['__future__', 'zoo']"


def test_the_package_lists_what_it_offers():
    assert set(zoo.__all__) <= set(dir(zoo))
    assert all(getattr(zoo, name) is not None for name in zoo.__all__)
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'lode'"):
        zoo.lode  # noqa: B018
