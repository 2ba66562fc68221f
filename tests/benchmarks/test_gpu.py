from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPT = BENCHMARKS / "gpu.py"
STAGES = {
    *("agreement", "training", "class_table", "synchronisation", "quality"),
    *("precision", "checkpoints", "distributed", "onnx"),
}


def command(out, *options, python=(sys.executable,)):
    return [*map(str, (*python, SCRIPT, "--out", out, "--tiny", "--device", "cpu", *options))]


def run(out, *options, **others):
    return subprocess.run(command(out, *options), capture_output=True, text=True, check=False, **others)


def read(out, stage):
    return json.loads((out / f"{stage}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    out = tmp_path_factory.mktemp("gpu")
    return out, run(out)


@pytest.fixture
def stage_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield lambda name: importlib.import_module(f"gpu_stages.{name}")
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"gpu_stages", "class_table"}:
            del sys.modules[name]


def test_every_stage_measures_something_at_the_smallest_sizes(measured):
    out, done = measured

    assert done.returncode == 0, done.stderr
    assert {path.stem for path in out.glob("*.json")} == {*STAGES, "summary"}
    for stage in STAGES:
        document = read(out, stage)
        assert document["status"] == "measured", document
        assert document["figures"], stage
        assert document["device"] == "cpu"
        assert {"date", "seconds", "driver", "cuda", "versions", "device_name"} <= document.keys()


def test_the_summary_and_the_table_have_each_stage(measured):
    out, done = measured
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))

    assert summary["stages"].keys() == STAGES
    assert all(stage["figures"] for stage in summary["stages"].values())
    assert all(f"{stage} " in done.stdout for stage in STAGES)


def test_figures_that_the_aims_are_about(measured):
    out, _ = measured

    assert read(out, "training")["figures"]["loader"]["share_of_model_only"] > 0
    assert read(out, "training")["figures"]["device"]["images_per_second"] > 0
    for optimizer, ratios in read(out, "class_table")["figures"]["ratios_to_smallest"].items():
        assert ratios.keys() == {"500", "1000"}, optimizer
    assert read(out, "synchronisation")["figures"]["step"]["per_step"]["aten::nonzero"] > 0
    assert read(out, "checkpoints")["figures"]["steps"] == 12
    assert read(out, "distributed")["figures"]["table_of_2"]["ranks"] == 2
    assert read(out, "precision")["figures"]["16-mixed"]["compiled"]["finite"]


def test_a_cut_run_keeps_what_it_had(tmp_path):
    process = subprocess.Popen(
        command(tmp_path, "--stage", "class_table", "--stage", "training"),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "training.json").exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    assert read(tmp_path, "class_table")["status"] == "measured"
    assert read(tmp_path, "training")["status"] == "running"
    assert json.loads((tmp_path / "summary.json").read_text())["stages"].keys() == {"class_table"}


def test_a_stage_that_fails_is_reported_and_the_others_are_kept(tmp_path):
    broken = tmp_path / "broken" / "onnxruntime.py"
    broken.parent.mkdir()
    broken.write_text("raise ValueError('onnxruntime is broken')")
    environment = {**os.environ, "PYTHONPATH": str(broken.parent)}

    done = run(tmp_path, "--stage", "onnx", "--stage", "class_table", env=environment)

    assert done.returncode == 1
    assert "onnx: ValueError: onnxruntime is broken" in done.stderr
    assert read(tmp_path, "onnx")["error"] == "ValueError: onnxruntime is broken"
    assert read(tmp_path, "class_table")["status"] == "measured"


def test_a_process_that_dies_or_hangs_leaves_its_figures_and_a_reason(stage_modules, tmp_path, monkeypatch):
    running = stage_modules("running")
    fake = stage_modules("precision")
    facts = {"device": "cpu", "shared_memory_mb": 64}

    def dying(session):
        session.report.add("first", 1)
        os._exit(9)

    def hanging(session):
        session.report.add("first", 1)
        time.sleep(600)

    monkeypatch.setattr(running, "GRACE", -19)
    monkeypatch.setattr(fake, "run", dying)
    died = running.run_stage("precision", tmp_path, facts, seconds=20, tiny=True)
    monkeypatch.setattr(fake, "run", hanging)
    hung = running.run_stage("precision", tmp_path, facts, seconds=20, tiny=False)
    late = running.run_stage("precision", tmp_path, facts, seconds=3, tiny=False)

    assert (died["status"], died["error"], died["figures"]) == (
        "failed",
        "its process ended with exit code 9",
        {"first": 1},
    )
    assert (hung["status"], hung["error"], hung["figures"]) == ("failed", "ran past its 20 s", {"first": 1})
    assert (late["status"], late["reason"]) == ("skipped", "the whole run's time is used up")
    assert read(tmp_path, "precision") == late


def test_the_full_sizes_are_recipes_too(stage_modules, tmp_path):
    session, recipes = stage_modules("session"), stage_modules("recipes")
    report = session.Report(tmp_path / "none.json", {"shared_memory_mb": 64})
    full = session.Session(device=torch.device("cpu"), tiny=False, work=tmp_path, report=report, seconds=500)

    for overrides in (
        stage_modules("training").overrides(full, "device"),
        stage_modules("quality").overrides(full),
    ):
        plan = recipes.planned(overrides)
        assert plan.executor is not None
        assert plan.recipe.data.loader.num_workers == 0  # what 64 MB of shared memory let it have


class TestOnABareMachine:
    def test_metadata_are_made_of_the_project(self, stage_modules, tmp_path):
        stage_modules("checkout").write_metadata(BENCHMARKS.parent, tmp_path)

        (found,) = importlib.metadata.distributions(path=[str(tmp_path)])
        assert found.name == "plugzoo"
        values = {point.name: point.value for point in found.entry_points if point.group == "zoo.plugins"}
        assert values["margin"] == "zoo_margin.plugin"

    def test_a_checkout_that_nobody_has_installed_runs(self, tmp_path):
        environment = {**os.environ, "PYTHONPATH": str(without_zoo(tmp_path / "packages"))}
        # Without `site`, as on a machine whose packages say nothing of zoo.
        line = command(tmp_path, "--stage", "class_table", "--stage", "onnx", python=(sys.executable, "-S"))

        done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)

        assert done.returncode == 0, done.stderr
        assert read(tmp_path, "onnx")["plugins_from_checkout"]
        assert read(tmp_path, "onnx")["versions"]["plugzoo"] == "0"

    def test_what_is_missing_is_named(self, tmp_path):
        packages = without_zoo(tmp_path / "packages", "pydantic", "annotated_types")
        environment = {**os.environ, "PYTHONPATH": str(packages)}

        done = subprocess.run(
            command(tmp_path / "out", python=(sys.executable, "-S")),
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )

        assert done.returncode == 1
        assert done.stderr.startswith("missing here: pydantic, annotated_types; gpu.py --help")


def without_zoo(folder, *missing):
    """Link all that is installed here into a folder, except zoo, ``missing``, and what zoo can do without there."""
    left_out = {*missing, "zoo", "onnxsim", "webdataset", "datasets", "__pycache__"}
    folder.mkdir()
    for packages in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path}:
        if not packages.endswith("site-packages"):
            continue
        for path in Path(packages).iterdir():
            if path.name in left_out or path.name.startswith(("plugzoo", "_editable_impl_plugzoo")):
                continue
            if not (folder / path.name).exists():
                (folder / path.name).symlink_to(path)
    return folder
