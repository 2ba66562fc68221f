from __future__ import annotations

import io
import json
import logging
import os
import random
import signal
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch

import zoo
from zoo_core.errors import RecipeError, RunError, UsageError

SHORT = {"trainer.max_epochs": 1, "data.valid_captures": 0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def state_of_process():
    """All that a caller could notice of a call that is over."""
    loggers = [logging.getLogger(name) for name in ("", "lightning", "lightning.pytorch", "lightning.fabric")]
    backends = torch.backends
    return {
        "random": random.getstate(),
        "numpy": [str(part) for part in np.random.get_state()],  # noqa: NPY002 - the one that is seeded
        "torch": torch.get_rng_state().tolist(),
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - as a process has it
        "arguments": list(sys.argv),
        "warnings": list(warnings.filters),
        "logging": [(one.level, list(one.handlers), one.propagate, one.disabled) for one in loggers],
        "signals": {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)},
        "threads": [thread.name for thread in threading.enumerate()],
        "matplotlib": dict.__getitem__(mpl.rcParams, "backend"),
        "torch_settings": (
            torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(),
            torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(), backends.cudnn.benchmark,
            backends.cudnn.deterministic,
        ),
    }  # fmt: skip


def weights(run):
    return torch.load(run.best_checkpoint, weights_only=True)["state_dict"]


@pytest.mark.usefixtures("here")
@pytest.mark.filterwarnings("ignore:the evaluation has too few pairs")
def test_the_process_is_left_as_it_was_and_nothing_is_printed(tiny_recipe, trained_run, capfd):
    def call_all():
        zoo.train(tiny_recipe, overrides={**SHORT, "seed": 5, "trainer.deterministic": "warn"})
        zoo.evaluate(trained_run.path)
        zoo.export(trained_run.path)

    call_all()  # what imports change, they change once
    # What a first call would leave must not pass for what was there.
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002 - as above
    torch.manual_seed(3)
    torch.use_deterministic_algorithms(mode=False)
    for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "CUBLAS_WORKSPACE_CONFIG"):
        os.environ.pop(name, None)
    logging.getLogger("lightning.pytorch").setLevel(logging.INFO)
    before = state_of_process()
    call_all()
    after = state_of_process()
    assert {name: value for name, value in after.items() if value != before[name]} == {}
    assert capfd.readouterr() == ("", "")


def test_a_thread_trains_the_same_as_the_main_thread_after_it(tiny_recipe, here, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    runs = []
    thread = threading.Thread(target=lambda: runs.append(zoo.train(tiny_recipe, overrides=SHORT)))
    thread.start()
    thread.join()
    shown = terminal.getvalue()
    assert "validating the untrained model" in shown
    runs.append(zoo.train(tiny_recipe, overrides=["trainer.max_epochs=1", "data.valid_captures=0"], quiet=True))
    assert terminal.getvalue() == shown
    assert [run.path.parent for run in runs] == [here / "runs" / "tiny"] * 2
    first, second = map(weights, runs)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    # Another seed is another model, in the same process.
    other = weights(zoo.train(tiny_recipe, overrides={**SHORT, "seed": 1}, quiet=True))
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.usefixtures("here")
def test_a_run_is_resumed_by_folder_and_by_being_the_latest(tiny_recipe, tmp_path, monkeypatch):
    run = zoo.train(tiny_recipe, overrides=SHORT, run="runs/mine")
    steps = torch.load(run.last_checkpoint, weights_only=True)["global_step"]
    longer = {"trainer.max_epochs": 2}
    with pytest.raises(UsageError, match="seed cannot change when a run is resumed"):
        zoo.train(resume=True, overrides={**longer, "seed": 1})
    with pytest.raises(UsageError, match="leave the recipe out"):
        zoo.train(tiny_recipe, resume=True)
    with pytest.raises(UsageError, match="not empty; name a new folder, or resume that run"):
        zoo.train(tiny_recipe, overrides=SHORT, run=run)
    with pytest.warns(UserWarning, match=r"nothing is left to train after epoch 1, .*max_epochs=N \(above 1\)"):
        assert zoo.train(resume=True) == run
    # From elsewhere a run is resumed, as by the command, where its recipe's relative paths lead where they led.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match=r"changed since the start: trainer.max_epochs: 1 became 2") as warned:
        resumed = zoo.train(resume=True, run=run, overrides=longer)
    assert {one.filename for one in warned} == {__file__}
    assert resumed == run
    assert Path.cwd() == tmp_path / "elsewhere"
    assert torch.load(run.last_checkpoint, weights_only=True)["global_step"] == 2 * steps
    assert len(json.loads((run.path / "record.json").read_text(encoding="utf-8"))["resumes"]) == 1
    with (
        ThreadPoolExecutor() as threads,
        pytest.raises(UsageError, match=f"was started in {tmp_path}, and paths in its recipe are relative to that"),
    ):
        threads.submit(zoo.evaluate, run).result()


@pytest.fixture
def signalled(monkeypatch):
    """Send the process a signal in the hook of that name."""
    from zoo.training.module import EmbeddingTraining

    def at(hook, number):
        original = getattr(EmbeddingTraining, hook)

        def signalling(self, *arguments):
            os.kill(os.getpid(), number)
            return original(self, *arguments)

        monkeypatch.setattr(EmbeddingTraining, hook, signalling)

    return at


@pytest.mark.usefixtures("here")
def test_ctrl_c_saves_and_is_a_keyboard_interrupt(tiny_recipe, signalled):
    before = signal.getsignal(signal.SIGINT)
    signalled("training_step", signal.SIGINT)
    with (
        pytest.warns(UserWarning, match=r"stopped by SIGINT; go on with zoo.train\(resume=True, run='.*/mine'\)"),
        pytest.raises(KeyboardInterrupt),
    ):
        zoo.train(tiny_recipe, overrides=SHORT, run="mine")
    assert signal.getsignal(signal.SIGINT) is before
    assert zoo.Run("mine").state == "stopped"
    assert zoo.Run("mine").last_checkpoint.is_file()


def test_sigterm_is_passed_on_to_the_programs_own_handler(tiny_recipe, signalled, here, monkeypatch):
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        with monkeypatch.context():
            signalled("training_step", signal.SIGTERM)
            with pytest.warns(UserWarning, match="stopped by SIGTERM"):
                run = zoo.train(tiny_recipe, overrides=SHORT, run="late")
        assert received == [signal.SIGTERM]
        assert run.last_checkpoint.is_file()
        # Before there is anything to save, it ends the training at once, and leaves nothing.
        signalled("validation_step", signal.SIGTERM)
        with pytest.raises(RunError, match="stopped by SIGTERM before the first step"):
            zoo.train(tiny_recipe, overrides=SHORT, run="early")
        assert received == [signal.SIGTERM] * 2
        assert not (here / "early").exists()
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({}, UsageError, "which recipe\\?"),
        ({"recipe": "lcnet50_cosface_96"}, UsageError, "did you mean 'lcnet050_cosface_96'"),
        ({"overrides": "seed=1"}, UsageError, "one text, not several"),
        ({"overrides": {"seed": object()}}, RecipeError, "overrides: seed: a recipe holds no object"),
        ({"overrides": {"seed": "1"}}, RecipeError, "overrides: seed: should be a whole number, not '1'"),
        ({"overrides": {"model.loss.options.mm": 1}}, RecipeError, "overrides: model.loss.options.mm: .*'m'"),
        ({"overrides": {"lr": 1.0}}, RecipeError, "overrides: lr: unknown key; did you mean 'optimizer.options.lr'"),
        ({"overrides": ["seed"]}, RecipeError, "'seed' is not an override"),
        ({"overrides": {1: 1}}, RecipeError, "1 is no key of a recipe"),
        ({"max_time": "soon"}, UsageError, "'soon' is no duration"),
        ({"max_time": timedelta(0)}, UsageError, "0:00:00 is no duration"),
        ({"overrides": {"trainer.devices": 2}}, UsageError, "trains on one device, and the recipe on 2"),
        ({"run": "tiny.yaml"}, UsageError, "tiny.yaml is no folder"),
        ({"resume": True}, UsageError, "there is no run below"),
    ],
)
def test_what_is_wrong_is_an_error_of_zoos_and_leaves_nothing(arguments, error, says, tiny_recipe, here):
    given = (
        arguments if arguments.keys() & {"recipe", "resume"} or not arguments else {"recipe": tiny_recipe, **arguments}
    )
    with pytest.raises(error, match=says) as raised:
        zoo.train(**given)
    assert isinstance(raised.value, zoo.ZooError)
    assert [path.name for path in here.iterdir()] == ["tiny.yaml"]


@pytest.mark.usefixtures("here")
def test_a_time_limit_ends_a_training(tiny_recipe):
    run = zoo.train(tiny_recipe, overrides={"trainer.max_epochs": 100_000, "data.valid_captures": 0}, max_time="1s")
    assert "00:00:00:01" in run.recipe.read_text(encoding="utf-8")
    assert run.metrics.keys() >= {"auc", "rank1"}
