"""The whole path in Python, and that it makes what the commands make: the Hub finds nothing to change."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.numpy

SCRIPT = """\
import json, os, sys
import zoo
OVERRIDES = {
    "trainer.max_epochs": 6,
    "seed": 3,
    # 12,640 pairs of strangers and more: enough for a threshold at a false positive rate of 1e-3.
    "data.valid.options.templates": 40,
    "data.valid.options.samples_per_template": 4,
}

run = zoo.train(sys.argv[1], overrides=OVERRIDES, run="run")
last_validation = run.metrics
evaluation = zoo.evaluate(run)
artifact = zoo.export(run, simplify=True)
planned = zoo.push(os.fspath(run), "org/tiny", dry_run=True)
pushed = zoo.push(artifact, "org/tiny")
pulled = zoo.pull("org/tiny", output="model")
facts = {
    "shown": [repr(one) for one in (run, evaluation, artifact, pushed)],
    "run": [os.fspath(run), run.name, run.state, run.metrics, last_validation, run.untrained],
    "evaluation": [dict(evaluation), evaluation.metrics, os.fspath(evaluation), evaluation.thresholds[1e-3]],
    "planned": [planned.url, planned.commit, planned.plan.exists, planned.plan.card],
    "pushed": [pushed.url, pushed.commit, pushed.plan.repo_id, len(pushed.plan.files)],
    "equal": artifact.onnx.read_bytes() == pulled.onnx.read_bytes(),
    "report": pulled.report["verified"],
}
print(json.dumps(facts))
"""


@pytest.mark.slow
def test_the_functions_make_what_the_commands_make(zoo, tiny_recipe, hub, hub_environment, tmp_path):
    by_api, by_command = tmp_path / "api", tmp_path / "command"
    by_api.mkdir()
    by_command.mkdir()
    environment = {**hub_environment, "SOURCE_DATE_EPOCH": "1700000000", "OMP_NUM_THREADS": "1"}
    called = subprocess.run(
        [sys.executable, "-c", SCRIPT, tiny_recipe],
        cwd=by_api, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert called.stderr == ""
    facts = json.loads(called.stdout)
    changed = ("trainer.max_epochs=6", "seed=3")
    valid = ("data.valid.options.templates=40", "data.valid.options.samples_per_template=4")
    zoo("train", tiny_recipe, *changed, *valid, "-o", "run", cwd=by_command, env=environment, check=0)
    zoo("export", "--simplify", "--run", "run", cwd=by_command, env=environment, check=0)

    files = {path.relative_to(by_command) for path in (by_command / "run/evaluation").iterdir()}
    files |= {path.relative_to(by_command) for path in (by_command / "run/artifact").rglob("*") if path.is_file()}
    assert len(files) > 12
    # The report of the export holds times, and the manifest its hash.
    timed = {Path("run/artifact/onnx/export.json"), Path("run/artifact/manifest.json")}
    files -= timed
    different = [file for file in files if (by_api / file).read_bytes() != (by_command / file).read_bytes()]
    assert different == []
    again = zoo("push", "--run", "run", "--repo", "org/tiny", cwd=by_api, env=environment, check=0)
    assert "nothing has changed" in again.stderr

    metrics = json.loads((by_command / "run/evaluation/metrics.json").read_text(encoding="utf-8"))
    path, name, state, evaluated, validated, untrained = facts["run"]
    assert (path, name, state) == (str(by_api / "run"), "tiny", "exported")
    assert evaluated == metrics["metrics"]
    with (by_api / "run/metrics.csv").open(encoding="utf-8", newline="") as file:
        epochs = [
            {name.removeprefix("valid/"): float(value) for name, value in row.items() if name.startswith("valid/")}
            for row in csv.DictReader(file)
        ]
    assert validated == epochs[-1]
    # Training knows no interval and names rates of any number of pairs; what both know of the best epoch is the same.
    best = max(epochs, key=lambda figures: figures["tpr_at_fpr_1e-3"])
    both = evaluated.keys() & best.keys()
    assert {"auc", "rank1", "tpr_at_fpr_1e-1"} <= both
    assert {name: evaluated[name] for name in both} == {name: best[name] for name in both}
    assert untrained == metrics["untrained"]
    (threshold,) = (point["threshold"] for point in metrics["thresholds"] if point["fpr_target"] == 1e-3)
    where = str(by_api / "run/evaluation/metrics.json")
    assert facts["evaluation"][:2] == [metrics["metrics"]] * 2
    assert facts["evaluation"][3] == threshold
    assert where.endswith(facts["evaluation"][2])
    assert facts["planned"][:3] == [f"{hub.url}/org/tiny", None, False]
    assert facts["planned"][3] == (by_api / "run/artifact/README.md").read_text(encoding="utf-8")
    commit = hub.repos["org/tiny"].history[0]
    assert facts["pushed"][:3] == [f"{hub.url}/org/tiny", commit.oid, "org/tiny"]
    assert {file for file in commit.files if file != ".gitattributes"} == {
        str(path.relative_to(by_api / "model")) for path in (by_api / "model").rglob("*") if path.is_file()
    } - {".gitattributes"}
    assert facts["equal"]
    assert facts["report"]
    assert safetensors.numpy.load_file(by_api / "model/model.safetensors")
    assert facts["shown"][0] == f"Run({str(by_api / 'run')!r})"
    assert facts["shown"][1].startswith("Evaluation(tpr_at_fpr_1e-")
    assert facts["shown"][3] == f"Pushed('{hub.url}/org/tiny', commit='{commit.oid}')"
