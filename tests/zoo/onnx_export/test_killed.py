"""Exports that are killed: the pair of graph and report is the old one or the new one, whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from zoo.onnx_export.artifact import export_artifact
from zoo.recipes.loading import load_run_recipe
from zoo_core.discovery import discover

# Holds two proven exports, and writes one after the other in processes that it kills; prints what it then found.
KILLS = """
import ctypes, hashlib, json, os, random, signal, sys, time
from pathlib import Path
import yaml
from zoo.onnx_export.artifact import write_artifact
from zoo.onnx_export.run import export_run
from zoo.recipes.loading import load_run_recipe
from zoo.runs.layout import RunFolder
from zoo_core.discovery import discover

path, count, exchange = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "True"
run, registry = RunFolder.open(path), discover()
opsets = (16, 17)
changes = [[f"onnx.options.opset_version={opset}"] for opset in opsets]
exports = [export_run(run, load_run_recipe(run, change), registry, simplify=False) for change in changes]
if not exchange:
    ctypes.CDLL = lambda *_, **__: object()
begun = time.perf_counter()
for export in exports:
    write_artifact(export, run, registry)
span = 1.2 * (time.perf_counter() - begun) / 2
chance, found = random.Random(0), {"whole": 0, "old": 0, "new": 0, "left over": 0}
for number in range(count):
    wanted = number % 2
    child = os.fork()
    if not child:
        write_artifact(exports[wanted], run, registry)
        os._exit(0)
    time.sleep(chance.uniform(0, span))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    artifact = RunFolder.open(path).artifact
    report = json.loads(artifact.export_report.read_text())
    graph = hashlib.sha256(artifact.onnx.read_bytes()).hexdigest()
    (which,) = [index for index, export in enumerate(exports) if export.report["sha256"] == graph]
    opset = yaml.safe_load(artifact.recipe.read_text())["onnx"]["options"]["opset_version"]
    found["whole"] += report["sha256"] == graph and opset == opsets[which] and artifact.config.is_file()
    found["new" if which == wanted else "old"] += 1
    # A busy machine is slower: as many are to be killed before the end as after it.
    span *= 0.95 if which == wanted else 1.05
    found["left over"] += any(one.name.startswith(".") for one in path.iterdir())
    if which != wanted:
        # As the next child wants the other one, this one has to be there.
        write_artifact(exports[wanted], run, registry)
write_artifact(exports[0], run, registry)
found["names"] = sorted(one.name for one in path.rglob("*") if one.name.startswith("."))
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize("exchange", [True, False])
def test_killed_at_200_random_moments_the_artifact_is_the_old_one_or_the_new_one(trained_run, exchange):
    done = subprocess.run(
        [sys.executable, "-c", KILLS, trained_run.path, "200", str(exchange)],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert found["whole"] == 200
    assert min(found["old"], found["new"], found["left over"]) > 10
    assert found["names"] == []


@pytest.mark.slow
def test_a_command_that_is_killed_anywhere_leaves_the_pair_from_before(trained_run):
    export_artifact(trained_run, load_run_recipe(trained_run), discover(), simplify=False)
    artifact = trained_run.artifact
    pair = artifact.onnx.read_bytes(), artifact.export_report.read_bytes()
    command = [sys.executable, "-m", "zoo", "export", "--run", trained_run.path, "card.license=mit"]
    chance = np.random.default_rng(0)
    begun = time.perf_counter()
    subprocess.run([*command, "--dry-run"], check=True, capture_output=True)
    span = time.perf_counter() - begun
    for _ in range(10):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, 0.8 * span))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (artifact.onnx.read_bytes(), artifact.export_report.read_bytes()) == pair
