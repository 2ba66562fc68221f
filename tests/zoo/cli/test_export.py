from __future__ import annotations

import hashlib
import io
import json
import pathlib
import re

import pytest
import torch
from click.testing import CliRunner

from zoo.cli.main import cli

MIXING = """
import torch

class Mixing(torch.nn.Module):
    # Torch and the graph agree on it, and an embedding still depends on the image's neighbours.
    def __init__(self, model):
        super().__init__()
        self.backbone, self.head = model.backbone, model.head

    def forward(self, img):
        embeddings = self.head(self.backbone(img))
        return embeddings + embeddings[:1]
"""
HEARING = """
from pathlib import Path
from zoo_core.api import ComponentSpec, hookimpl
ZOO_API = 1

@hookimpl
def zoo_components():
    return [ComponentSpec("export_wrapper", "Mixing", "mixing:Mixing", "mixes rows")]

@hookimpl
def zoo_exported(artifact):
    Path("heard").write_text(str(artifact))
"""


@pytest.fixture
def here(trained_run, monkeypatch):
    """Run the command in this process, in the folder that holds a trained run: `here("export", "--json")`."""
    monkeypatch.chdir(trained_run.path.parents[2])

    def run(*arguments, check):
        result = CliRunner().invoke(cli, list(map(str, arguments)))
        assert result.exit_code == check, result.output
        return result

    return run


@pytest.fixture
def outside(add_distribution):
    add_distribution("zoo-outside", modules={"mixing": MIXING}, outside=HEARING)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("outside")
def test_the_latest_run_is_exported_and_plugins_hear_of_it(zoo, here, trained_run, tmp_path):
    done = zoo("export", "--simplify", check=0)
    artifact = trained_run.artifact
    assert artifact.onnx.is_file()
    assert "opset 16" in done.stdout
    assert "largest difference from the evaluated model" in done.stdout
    assert "there is no evaluation" in done.stderr
    assert "next: zoo predict --model runs/small/1/artifact" in done.stderr
    assert "legacy" not in done.stderr
    assert (tmp_path / "heard").read_text() == "runs/small/1/artifact"
    for elsewhere in ("--dry-run", "--output=other.onnx"):
        here("export", "onnx.name=Mixing", elsewhere, check=1)
        assert artifact.onnx.is_file()
    # A later check that fails leaves the older artifact whole, and says so in its line.
    before = contents(artifact.path)
    failed = here("export", "onnx.name=Mixing", check=1)
    assert failed.stdout == ""
    assert "error: parity failed: the wrapper lets an image's embedding depend on the others" in failed.stderr
    assert failed.stderr.endswith("runs/small/1/artifact still holds the export from before\n")
    assert "Traceback" not in failed.stderr
    assert contents(artifact.path) == before
    assert [path.name for path in trained_run.path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.usefixtures("outside")
def test_a_check_that_fails_leaves_no_file(here, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    here("export", "onnx.name=outside/Mixing", check=1)
    here("export", "onnx.name=outside/Mixing", "--output", "model.onnx", check=1)
    assert sorted(path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts) == before


def test_output_writes_the_graph_alone_and_a_dry_run_nothing(here, trained_run, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    dry = json.loads(here("export", "--run", trained_run.path, "--dry-run", "--json", check=0).stdout)
    assert sorted(tmp_path.rglob("*")) == before
    assert (dry["schema"], dry["written"], dry["export"]["verified"]) == (1, [], True)
    done = here("export", "-o", "here/model.onnx", "--json", check=0)
    assert json.loads(done.stdout)["written"] == ["here/model.onnx"]
    assert not trained_run.artifact.path.exists()
    digest = hashlib.sha256((tmp_path / "here/model.onnx").read_bytes()).hexdigest()
    assert digest == json.loads(done.stdout)["export"]["sha256"] == dry["export"]["sha256"]


def test_wrong_options_and_missing_runs_are_said(here, tmp_path, monkeypatch):
    wrong = here("export", "onnx.options.opset=16", check=3)
    assert "onnx.options.opset: " in wrong.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert "there is no run below" in here("export", check=2).stderr


def pickled():
    file = io.BytesIO()
    torch.save({"state_dict": {"model.x": pathlib.PurePosixPath("x")}}, file)
    return file.getvalue()


@pytest.mark.parametrize("content", [b"", b"hello world", pickled()], ids=["empty", "text", "objects"])
def test_a_checkpoint_that_does_not_load_is_one_line(here, trained_run, content):
    trained_run.best.write_bytes(content)
    failed = here("export", check=1)
    assert re.search(r"best\.ckpt: .*no checkpoint of tensors alone; ", failed.stderr)
    assert "weights_only" not in failed.stderr
    assert len(failed.stderr.splitlines()) == 2


@pytest.mark.parametrize("epoch", ["yesterday", "1e9", "9" * 30])
def test_a_source_date_that_is_no_time_is_said_before_the_work(here, trained_run, monkeypatch, epoch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    trained_run.artifact.onnx.parent.mkdir(parents=True)
    trained_run.artifact.onnx.touch()
    failed = here("export", check=2)
    assert f"error: SOURCE_DATE_EPOCH={epoch!r} is no time; give whole seconds" in failed.stderr
    assert trained_run.artifact.onnx.exists()


def test_an_error_as_json_is_all_there_is_on_stderr(here, trained_run):
    trained_run.best.unlink()
    for command in ("export", "eval"):
        failed = here(command, "--json", check=1)
        assert failed.stdout == ""
        assert json.loads(failed.stderr)["error"]["code"] == "run"


def test_a_folder_with_a_space_is_quoted_where_it_is_typed_again(here, trained_run):
    trained_run.path.rename(trained_run.path.with_name("my run"))
    done = here("export", "--run", "my run", check=0)
    assert "next: zoo predict --model 'runs/small/my run/artifact' --gallery" in done.stderr
    assert done.stderr.endswith("zoo push --run 'runs/small/my run'\n")
    assert "run: zoo eval --run 'runs/small/my run'" in done.stderr
