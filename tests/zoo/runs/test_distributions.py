"""A run whose plugins are gone, or of another version, says so; weights that do not fit name keys and components."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from zoo.runs.distributions import require_plugins
from zoo.runs.layout import RunFolder
from zoo_core.discovery import discover
from zoo_core.errors import ComponentError

HEAD = """
import torch
from torch import nn

class Tiny(nn.Module):
    def __init__(self, feature_levels):
        super().__init__()
        self.embedding_dim = 16
        self.{name} = nn.Linear(feature_levels[-1].channels, 16)

    def forward(self, features):
        return self.{name}(features[-1].mean((2, 3)))
"""


@pytest.fixture
def install(add_distribution, manifest, tmp_path):
    """Install version of zoo-lite0 (with a head whose layer is called name), in place of any other."""
    folder = tmp_path / "plugins"

    def put(version, name="project", direct_url=None):
        shutil.rmtree(folder, ignore_errors=True)
        spec = "ComponentSpec('head', 'tiny', 'lite0_heads:Tiny', 'a head')"
        modules = {"lite0_heads": HEAD.format(name=name)}
        add_distribution(
            "zoo-lite0", version, folder=folder, modules=modules, direct_url=direct_url, lite0=manifest(spec)
        )

    put.remove = lambda: shutil.rmtree(folder)
    return put


@pytest.fixture
def lite_run(install, tiny_recipe, zoo, tmp_path):
    install("0.1.0")
    zoo("train", "--cfg", tiny_recipe, "-o", "run", "model.head={name: lite0/tiny}", "trainer.max_epochs=1", check=0)
    return tmp_path / "run"


def test_another_version_is_told_and_a_missing_one_gets_its_pip_line(lite_run, install, zoo):
    assert "zoo-lite0" not in zoo("eval", "--run", lite_run, check=0).stderr
    install("0.2.0")
    line = f"{lite_run}: zoo-lite0: trained with 0.1.0, 0.2.0 is installed; figures may differ"
    assert f"warning: {line}" in zoo("eval", "--run", lite_run, check=0).stderr
    for command in ("eval", "export"):
        done = zoo(command, "--run", lite_run, "--strict", check=4)
        assert done.stderr.splitlines()[-1] == f"error: {line}"
    resumed = zoo("train", "--resume", "--run", lite_run, "trainer.max_epochs=2", check=0)
    assert "changed since the start: zoo-lite0: 0.1.0 became 0.2.0" in resumed.stderr

    install("0.3.0", name="renamed")
    done = zoo("eval", "--run", lite_run, check=1)
    assert done.stderr.splitlines()[-1] == (
        f"error: {lite_run}/checkpoints/best.ckpt: its weights do not fit the model of head lite0/tiny "
        "(zoo-lite0 0.3.0): "
        "2 missing (head.renamed.weight, head.renamed.bias), 2 unknown (head.project.weight, head.project.bias); "
        "it must come from this recipe, and from these versions of the plugins"
    )

    install.remove()
    for command in (["eval"], ["export"], ["train", "--resume"]):
        done = zoo(*command, "--run", lite_run, check=4)
        assert done.stderr.splitlines() == [
            f"error: {lite_run}: plugin 'lite0' of zoo-lite0 0.1.0 is not installed; pip install zoo-lite0==0.1.0"
        ]


def test_all_missing_plugins_are_named_at_once_with_where_they_came_from(tmp_path):
    run = RunFolder(tmp_path)
    sources = [
        ("a", "1", None),
        ("b", "2", {"url": "https://example.org/b.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}),
        ("c", "3", {"url": "file:///home/me/my c", "dir_info": {}}),
        ("d", "4", {"url": "https://example.org/d.whl", "archive_info": {}}),
    ]
    rows = [
        {"plugin": f"id-{name}", "distribution": name, "version": version, "direct_url": source}
        for name, version, source in sources
    ]
    run.record.write_text(json.dumps({"components": rows}), encoding="utf-8")
    with pytest.raises(ComponentError) as caught:
        require_plugins(run, discover())
    assert [problem.message.split("plugin ")[1] for problem in caught.value.problems] == [
        f"'id-{name}' of {name} {version} is not installed" for name, version, _ in sources
    ]
    assert caught.value.problems[-1].hint == (
        "pip install a==1 'b @ git+https://example.org/b.git@abc' '/home/me/my c' 'd @ https://example.org/d.whl'"
    )


def test_an_artifact_folder_tells_by_its_config(tmp_path):
    document = {"zoo": {"plugins": {"lite0": {"distribution": "zoo-lite0", "version": "0.1.0"}}}}
    (tmp_path / "config.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ComponentError, match=re.escape("pip install zoo-lite0==0.1.0")):
        require_plugins(RunFolder(tmp_path), discover())
