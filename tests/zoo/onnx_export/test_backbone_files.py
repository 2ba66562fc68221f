"""``backbone/``: what a backbone offers, and what becomes of one that fails to."""

from __future__ import annotations

import json

import pytest
from torch import nn

from zoo.artifacts.manifest import check, write_manifest
from zoo.onnx_export.artifact import write_artifact
from zoo.onnx_export.backbone_files import backbone_files
from zoo.onnx_export.run import export_run
from zoo.recipes.loading import load_run_recipe
from zoo_core.discovery import discover
from zoo_core.errors import ComponentError, RunError

FILES = {"config.json": b"{}", "model.safetensors": b"weights"}


class Backbone(nn.Module):
    def __init__(self, returned):
        super().__init__()
        self.returned = returned

    def library_files(self, image_size):
        assert image_size == (32, 48)
        if isinstance(self.returned, Exception):
            raise self.returned
        return self.returned


def test_a_backbone_may_offer_files_or_none():
    assert backbone_files(Backbone(FILES), (32, 48)) == (FILES, ())
    assert backbone_files(nn.Identity(), (32, 48)) == ({}, ())


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (ComponentError("timm reads it back as another model"), "timm reads it back as another model"),
        (ZeroDivisionError("oh"), "oh"),
        (None, "no mapping of names to bytes"),
        ({"config.json": "{}"}, "no mapping of names to bytes"),
        ({**FILES, "run.py": b"evil"}, "no artifact holds backbone/run.py"),
        ({**FILES, "../config.json": b"{}"}, "no artifact holds backbone/../config.json"),
    ],
)
def test_one_that_fails_to_is_left_out_with_a_warning(returned, said):
    files, (warning,) = backbone_files(Backbone(returned), (32, 48))
    assert files == {}
    assert warning.startswith("backbone/ is left out: ")
    assert said in warning


def test_one_of_another_export_is_refused_though_the_manifest_names_it(trained_run):
    write_artifact(
        export_run(trained_run, load_run_recipe(trained_run), discover(), simplify=False), trained_run, discover()
    )
    artifact = trained_run.artifact
    check(artifact.path)
    report = json.loads(artifact.export_report.read_text())
    assert report["backbone"].keys() == FILES.keys()
    weights = artifact.backbone / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    write_manifest(artifact.path)
    with pytest.raises(RunError, match=r"is of another backbone/model\.safetensors than the one beside it"):
        check(artifact.path)
