from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from zoo.training.callbacks.class_table import ClassTableSteps
from zoo.training.data.residency import Residency
from zoo.training.module import EmbeddingTraining
from zoo_core.errors import RunError

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
        if name.partition(".")[0] in {"gpu", "gpu_stages", "class_table"}:
            del sys.modules[name]


@pytest.fixture
def new_session(stage_modules, tmp_path):
    """A stage's session in this process, of the smallest sizes or the full ones."""
    module, threads = stage_modules("session"), torch.get_num_threads()
    # So small batches only wait for threads, for long where other work takes the cores.
    torch.set_num_threads(1)

    def make(*, tiny=True):
        report = module.Report(tmp_path / "stage.json", {"shared_memory_mb": 64, "status": "running", "figures": {}})
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        return module.Session(device=torch.device("cpu"), tiny=tiny, work=work, report=report, seconds=500)

    yield make
    torch.set_num_threads(threads)


def unmeasured(figures, path=()):
    """Return where a figure was skipped or has failed."""
    if not isinstance(figures, dict):
        return []
    found = [path] if {"skipped", "failed"} & figures.keys() else []
    return found + [each for name, below in figures.items() for each in unmeasured(below, (*path, name))]


@pytest.mark.slow
def test_every_stage_measures_something_at_the_smallest_sizes(measured):
    out, done = measured

    assert done.returncode == 0, done.stderr
    assert {path.stem for path in out.glob("*.json")} == {*STAGES, "summary"}
    for stage in STAGES:
        document = read(out, stage)
        assert document["status"] == "measured", document
        assert document["figures"], stage
        # There is nothing that a CPU cannot do at these sizes.
        assert unmeasured(document["figures"]) == []
        assert document["device"] == "cpu"
        assert {"date", "seconds", "driver", "cuda", "versions", "device_name"} <= document.keys()


@pytest.mark.slow
def test_the_summary_and_the_table_have_each_stage(measured):
    out, done = measured
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))

    assert summary["stages"].keys() == STAGES
    assert all(stage["figures"] for stage in summary["stages"].values())
    assert all(f"{stage} " in done.stdout for stage in STAGES)


@pytest.mark.slow
def test_figures_that_the_aims_are_about(measured):
    out, _ = measured
    figures = {stage: read(out, stage)["figures"] for stage in STAGES}

    assert figures["training"]["loader"]["share_of_model_only"] > 0
    assert {
        name: figures["training"][name]["resident"] for name in ("from_memory", "loader", "device", "resident")
    } == {
        **dict.fromkeys(("from_memory", "loader", "device"), False),
        "resident": True,
    }
    for optimizer, ratios in figures["class_table"]["ratios_to_smallest"].items():
        assert ratios.keys() == {"500", "1000"}, optimizer
    assert figures["checkpoints"]["steps"] == 12
    for leg in ("leg_2", "leg_3"):
        restored = figures["checkpoints"][leg]["restored"]
        assert restored.keys() == {"model", "optimizer", "class_table"}
        assert all(part["tensors"] and part["devices"] == ["cpu"] for part in restored.values())
    assert figures["distributed"]["table_of_2"]["ranks"] == 2
    assert figures["precision"]["16-mixed"]["compiled"]["finite"]
    assert {name for name in figures["agreement"] if name.startswith("augmentation")} == {
        "augmentation, device, 96 px",
        "augmentation, resident, 48 px",
    }


@pytest.mark.slow
def test_steps_are_counted_by_their_parts(measured):
    out, _ = measured
    resident = read(out, "synchronisation")["figures"]["resident, 32-true"]

    assert resident["resident"]
    assert len(resident["by_step"]) == 6
    assert resident["by_part"].keys() == {
        *("transfer", "augmentation", "forward", "backward", "class_table", "optimizer", "rest"),
    }
    # torch reads the counter of each parameter's steps, and what logs reads the loss.
    assert resident["by_part"]["optimizer"] > 50
    assert resident["by_part"]["rest"] > 0


@pytest.mark.slow
def test_all_that_the_aim_of_quality_waits_for_counts(measured):
    out, _ = measured
    quality = read(out, "quality")["figures"]

    assert quality["run"]["resident"]
    assert len(quality["curve"]) == 2
    for row in quality["curve"]:
        # The file rounds to a tenth.
        assert row["seconds"] + 0.2 > quality["run"]["before_first_step_s"] + row["seconds_of_steps"]
        assert row["seconds"] > row["seconds_of_steps"]


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


@pytest.mark.slow
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
        try:
            session.attempt("endless", lambda: time.sleep(600))
        finally:
            session.report.add("last", 2)

    monkeypatch.setattr(fake, "run", dying)
    died = running.run_stage("precision", tmp_path, facts, seconds=20, limit=None, tiny=True)
    monkeypatch.setattr(fake, "run", hanging)
    hung = running.run_stage("precision", tmp_path, facts, seconds=20, limit=1, tiny=False)
    late = running.run_stage("precision", tmp_path, facts, seconds=3, limit=18, tiny=False)

    assert (died["status"], died["error"], died["figures"]) == (
        "failed",
        "its process ended with exit code 9",
        {"first": 1},
    )
    # It was told to end, and ended what it had begun.
    assert (hung["status"], hung["error"], hung["figures"]) == ("failed", "ran past its 20 s", {"first": 1, "last": 2})
    assert (late["status"], late["reason"]) == ("skipped", "the whole run's time is used up")
    assert read(tmp_path, "precision") == late


def test_a_figure_that_fails_fails_its_stage_and_no_other_figure(stage_modules, tmp_path, monkeypatch):
    def stage(session):
        session.attempt("broken", lambda: {}["no such key"])
        session.attempt("too_large", too_large)
        session.attempt("sound", lambda: {"value": 1})

    def too_large():
        # As a training reports it.
        raise RunError("the device ran out of memory") from torch.OutOfMemoryError("CUDA out of memory: 1 TB\nmore")

    monkeypatch.setattr(stage_modules("precision"), "run", stage)
    facts = {"device": "cpu", "shared_memory_mb": 64}
    done = stage_modules("running").run_stage("precision", tmp_path, facts, seconds=20, limit=None, tiny=True)

    assert (done["status"], done["error"]) == ("failed", "broken: KeyError: 'no such key'")
    assert done["figures"] == {
        "broken": {"failed": "KeyError: 'no such key'"},
        "too_large": {"skipped": "does not fit: CUDA out of memory: 1 TB"},
        "sound": {"value": 1},
    }


class TestTime:
    @pytest.fixture
    def given(self, stage_modules, tmp_path, monkeypatch):
        """Run the script with stages that take no time, on a clock of its own; return what each was given."""
        script, running = importlib.import_module("gpu"), stage_modules("running")

        def run(*options, imports=0.0, stages=0.0):
            clock, given = [1000.0], {}

            def importing(_):
                clock[0] += imports
                return False

            def running_stage(stage, _out, _facts, *, seconds, limit, **_):
                given[stage] = seconds, limit
                clock[0] += stages * seconds
                return {"stage": stage, "status": "skipped", "reason": "", "seconds": 0.0, "figures": {}}

            monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path), "--device", "cpu", *options])
            monkeypatch.setattr(script, "time", SimpleNamespace(monotonic=lambda: clock[0]))
            monkeypatch.setattr(script, "make_importable", importing)
            monkeypatch.setattr(running, "start_together", lambda: None)
            monkeypatch.setattr(running, "run_stage", running_stage)
            assert script.main() == 0
            return given

        return run

    def test_all_stages_fit_with_what_starts_them(self, given):
        assert {stage: seconds for stage, (seconds, _) in given(imports=15, stages=1).items()} == self.budgets()

    def test_imports_count(self, given):
        # What is left of nine minutes, but for ten seconds that are kept.
        assert given("--stage", "quality", imports=470)["quality"] == (45, 60)
        assert given("--stage", "quality", imports=541)["quality"][0] < 0

    def test_the_tests_sizes_have_no_limit(self, given):
        seconds = given("--tiny", imports=10_000)

        assert seconds == {stage: (budget, None) for stage, budget in self.budgets().items()}

    @pytest.mark.usefixtures("stage_modules")
    def test_the_page_says_the_same(self):
        page = (BENCHMARKS.parent / "docs" / "gpu.md").read_text(encoding="utf-8")
        rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]

        assert {row[0].strip("`"): int(row[-1]) for row in rows} == self.budgets()

    @staticmethod
    def budgets():
        return importlib.import_module("gpu").BUDGETS


class TestTrainings:
    @pytest.mark.slow
    def test_the_full_sizes_are_recipes_too(self, stage_modules, new_session):
        full, recipes = new_session(tiny=False), stage_modules("recipes")
        workers = {}
        for name, overrides in {
            "device": stage_modules("training").overrides(full, "device"),
            "resident": stage_modules("training").overrides(full, "resident"),
            "quality": stage_modules("quality").overrides(full),
        }.items():
            plan = recipes.planned(overrides)
            assert plan.executor is not None
            workers[name] = plan.recipe.data.loader.num_workers

        # What 64 MB of shared memory let them have; of resident samples no pixels travel.
        assert workers == {"device": 0, "resident": min(2, len(os.sched_getaffinity(0))), "quality": 0}

    @pytest.mark.parametrize("tiny", [True, False])
    def test_a_step_takes_a_sample_of_the_class_table(self, stage_modules, new_session, tiny):
        recipes, session = stage_modules("recipes"), new_session(tiny=tiny)
        plan = recipes.planned_sparse(session, recipes.overrides_for(session, batch=16))

        assert len(plan.data.classes) + plan.loss.table.negatives < plan.loss.table.num_classes

    def test_samples_that_are_not_where_they_are_meant_to_be_fail(self, stage_modules, new_session, monkeypatch):
        monkeypatch.setattr(Residency, "load", lambda *_, **__: None)
        session, training = new_session(), stage_modules("training")

        figure = session.attempt("resident", lambda: training._end_to_end(session, "resident"))

        assert "data.resident is True in the recipe, and False in the record" in figure["failed"]

    def test_a_wait_is_counted_where_it_is(self, stage_modules, new_session, monkeypatch):
        augment = EmbeddingTraining.on_after_batch_transfer

        def waiting(module, batch, index):
            for _ in range(40):
                batch["labels"].sum().item()
            return augment(module, batch, index)

        monkeypatch.setattr(EmbeddingTraining, "on_after_batch_transfer", waiting)
        found = stage_modules("synchronisation")._counted(new_session(), "device", "32-true")

        assert 40 <= found["by_part"]["augmentation"] < 80
        assert found["by_part"]["forward"] < 40
        assert min(found["by_step"]) >= 40

    def test_a_device_that_augments_otherwise_disagrees(self, stage_modules, new_session, monkeypatch):
        augment, trainings = EmbeddingTraining.on_after_batch_transfer, []

        def brighter(module, batch, index):
            batch = augment(module, batch, index)
            trainings.append(module)
            return batch if len(trainings) == 1 else {**batch, "images": batch["images"] // 2}

        monkeypatch.setattr(EmbeddingTraining, "on_after_batch_transfer", brighter)
        found = stage_modules("agreement")._augmentation(new_session(), "resident", 48)

        assert not found["agrees"]
        assert found["largest_grey_difference"] > 50

    def test_a_class_table_that_is_not_restored_fails(self, stage_modules, new_session, monkeypatch):
        monkeypatch.setattr(ClassTableSteps, "on_load_checkpoint", lambda *_: None)
        session = new_session()

        stage_modules("checkpoints").run(session)

        figures = session.report.document["figures"]
        assert [*figures] == ["leg_1", "steps", "leg_2"]
        assert "class_table: not as in the checkpoint: " in figures["leg_2"]["failed"]


def test_lines_that_wait_are_those_that_torch_warns_of(stage_modules):
    def warning(text, path, line):
        return warnings.WarningMessage(UserWarning(text), UserWarning, str(path), line)

    of_torch = "called a synchronizing CUDA operation (Triggered internally at CUDAFunctions.cpp:120.)"
    seen = stage_modules("synchronisation").lines(
        [
            *[warning(of_torch, BENCHMARKS.parent / "zoo" / "zoo" / "one.py", 3)] * 2,
            warning(of_torch, "/site-packages/torch/nn/functional.py", 8),
            warning("Synchronization debug mode is a prototype", "/site-packages/torch/cuda/__init__.py", 1),
        ]
    )

    assert seen == {"zoo/zoo/one.py:3": 2, "torch/nn/functional.py:8": 1}


def test_what_a_compilation_lacks_is_named(stage_modules, new_session, tmp_path, monkeypatch):
    precision = stage_modules("precision")
    monkeypatch.setattr(precision.shutil, "which", lambda _: None)
    monkeypatch.setattr(precision.sysconfig, "get_path", lambda _: str(tmp_path))
    session = new_session(tiny=False)

    figure = session.attempt("compiled", lambda: precision._compiled(session, "bf16-mixed"))

    assert figure["skipped"].startswith(f"torch.compile wants what is not here: a C compiler, {tmp_path}/Python.h")


class TestOnABareMachine:
    def test_metadata_are_made_of_the_project(self, stage_modules, tmp_path):
        stage_modules("checkout").write_metadata(BENCHMARKS.parent, tmp_path)

        (found,) = importlib.metadata.distributions(path=[str(tmp_path)])
        assert found.name == "plugzoo"
        values = {point.name: point.value for point in found.entry_points if point.group == "zoo.plugins"}
        assert values["margin"] == "zoo_margin.plugin"

    @pytest.mark.slow
    def test_a_checkout_that_nobody_has_installed_runs(self, tmp_path):
        environment = {**os.environ, "PYTHONPATH": str(without_zoo(tmp_path / "packages"))}
        # Without `site`, as on a machine whose packages say nothing of zoo.
        line = command(tmp_path, "--stage", "class_table", "--stage", "onnx", python=(sys.executable, "-S"))

        done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)

        assert done.returncode == 0, done.stderr
        assert read(tmp_path, "onnx")["plugins_from_checkout"]
        assert read(tmp_path, "onnx")["versions"]["plugzoo"] == "0"

    def test_what_is_missing_is_named(self, tmp_path):
        packages = without_zoo(tmp_path / "packages", "huggingface_hub", "pydantic", "annotated_types")
        environment = {**os.environ, "PYTHONPATH": str(packages)}

        done = subprocess.run(
            command(tmp_path / "out", python=(sys.executable, "-S")),
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )

        assert done.returncode == 1
        assert done.stderr.startswith("missing here: huggingface_hub, pydantic, annotated_types; gpu.py --help")


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
