"""Every recipe that ships, trained for sixty steps from random weights, exports."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from zoo.cli.main import cli
from zoo.recipes.loading import recipe_names

# Small, and of the shipped data set, also where the recipe is for a user's own.
SHORT = (
    "model.backbone.options.pretrained=false",
    "data.train={name: documents/synthetic, options: {split: train, templates: 64, samples_per_template: 4}}",
    "data.train_also=[]",
    "data.valid={name: documents/synthetic, options: {split: unseen, templates: 24, samples_per_template: 2}}",
    "data.valid_captures=0",
    "data.samples_per_epoch=1920",
    "data.loader={batch_size: 32, num_workers: 0}",
    "trainer.max_epochs=1",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_exports(name, tmp_path):
    run = str(tmp_path / "run")
    trained = CliRunner().invoke(cli, ["train", name, "--output", run, *SHORT])
    assert trained.exit_code == 0, trained.output
    done = CliRunner().invoke(cli, ["export", "--simplify", "--precision", "fp32", "--run", run, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)["export"]
    assert (report["verified"], report["simplified"], report["opset"]) == (True, True, 16)
