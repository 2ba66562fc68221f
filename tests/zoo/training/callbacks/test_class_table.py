from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import zoo
from zoo_core.errors import RunError

SPARSE = "model.loss.options.class_table.negatives=4"


def rows_beside(run, name="last"):
    checkpoint = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
    folder = run / "checkpoints" / checkpoint["zoo_rows"]
    shards = [load_file(path) for path in sorted(folder.glob("*.safetensors"))]
    return {key: torch.cat([shard[key] for shard in shards]) for key in shards[0]}


@pytest.mark.slow
def test_the_command_says_what_the_table_takes_and_keeps_it_beside_the_checkpoints(zoo, tiny_recipe, tmp_path):
    run = tmp_path / "run"
    result = zoo("train", "--cfg", tiny_recipe, "--output", run, SPARSE, check=0)
    assert "class table: 12 rows of 16, 4 sampled a step, AdamW by row, 0.0 MB" in result.stderr
    named = {torch.load(path, weights_only=True)["zoo_rows"] for path in (run / "checkpoints").glob("*.ckpt")}
    # Those of checkpoints that were replaced are gone.
    assert {path.name for path in (run / "checkpoints").glob("*rows-*")} == named
    rows = rows_beside(run)
    assert rows["weight"].shape == (12, 16)
    assert rows["steps"].max() <= 12
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert [key for key in state["state_dict"] if key.startswith("loss.")] == ["loss.own_cosine"]

    resumed = zoo("train", "--resume", "--run", run, "trainer.max_epochs=3", check=0)
    assert "class table: 12 classes as they were" in resumed.stderr
    assert json.loads(next((run / "checkpoints").glob("rows-*18/table.json")).read_text(encoding="utf-8"))["step"] == 18


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(train, resume, interrupt_at):
    whole, _ = train("whole", SPARSE)
    undo = interrupt_at(9)
    folder, outcome = train("parts", SPARSE)
    undo()
    assert outcome.interrupted
    resume(folder)
    one, other = rows_beside(whole.path), rows_beside(folder.path)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_accumulated_batches_make_one_step_of_the_table(train):
    run, _ = train("run", SPARSE, "trainer.accumulate_grad_batches=2", "trainer.max_epochs=1")
    folder = next(run.checkpoints.glob("rows-*"))
    assert json.loads((folder / "table.json").read_text(encoding="utf-8"))["step"] == 3


@pytest.fixture
def spoil(monkeypatch):
    """Make an image of the batch no number in steps that a condition chooses."""
    from zoo.training.module import EmbeddingTraining

    embed = EmbeddingTraining.embed

    def spoil(condition):
        def spoiled(self, images):
            embeddings = embed(self, images)
            if self.training and condition(self.global_step):
                embeddings = embeddings.index_fill(0, torch.tensor([3, 5]), float("nan"))
            return embeddings

        monkeypatch.setattr(EmbeddingTraining, "embed", spoiled)

    return spoil


def all_finite(run):
    state = torch.load(run.last, weights_only=True)["state_dict"]
    tensors = [*rows_beside(run.path).values(), *state.values()]
    return all(tensor.isfinite().all() for tensor in tensors if tensor.is_floating_point())


def test_a_step_that_is_no_number_is_left_out_and_named(train, spoil, capsys):
    calls = []
    spoil(lambda _: calls.append(0) or len(calls) == 4)
    run, outcome = train("run", SPARSE)
    assert "is left out: the embeddings at 3 (label" in capsys.readouterr().err
    assert outcome.images == 192
    assert all_finite(run)


def test_a_step_that_is_left_out_is_a_warning_where_nothing_is_shown(tiny_recipe, spoil, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    spoil(lambda step: step == 2)
    with pytest.warns(UserWarning, match=r"step 2 is left out: the embeddings at 3 \(label"):
        zoo.train(tiny_recipe, overrides=[SPARSE, "trainer.max_epochs=1"], quiet=True)
    assert "left out" not in capfd.readouterr().err


@pytest.mark.parametrize("call", [1, 3, 4])
def test_of_a_step_of_several_batches_the_one_that_is_no_number_is_named(train, spoil, capsys, call):
    calls = []
    spoil(lambda _: calls.append(0) or len(calls) == call)
    options = ("trainer.accumulate_grad_batches=2", "trainer.max_epochs=1", "trainer.log_every_n_steps=1")
    run, _ = train("run", SPARSE, *options)
    said = capsys.readouterr().err
    assert "is left out: the embeddings at 3 (label" in said
    assert f"of batch {(call + 1) % 2 + 1} of 2 are no numbers" in said
    assert all_finite(run)


def test_running_statistics_do_not_move_in_a_step_that_is_left_out(train, monkeypatch, capsys):
    from zoo.training import module

    to_pixels, calls = module.to_pixels, []

    def overflowing(images, dtype):
        pixels = to_pixels(images, dtype).clone()
        calls.append(0)
        if len(calls) == 4:  # the first two are the untrained model's validation
            pixels[3, 0, 5, 5] = float("inf")
        return pixels

    monkeypatch.setattr(module, "to_pixels", overflowing)
    run, _ = train("run", SPARSE, "trainer.max_epochs=1")
    assert "is left out" in capsys.readouterr().err
    assert all_finite(run)


@pytest.mark.parametrize("fused", [False, True])
def test_the_scaler_of_half_precision_leaves_a_step_out(train, monkeypatch, fused):
    from lightning.pytorch.plugins.precision import MixedPrecision

    from zoo.training import run as runs

    make_trainer = runs.make_trainer
    # So large that the first gradients overflow.
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)

    def scaled(*arguments, **options):
        trainer = make_trainer(*arguments, **options)
        trainer.strategy._precision_plugin = MixedPrecision("16-mixed", "cpu", scaler=scaler)
        return trainer

    monkeypatch.setattr(runs, "make_trainer", scaled)
    options = (f"optimizer.options.fused={str(fused).lower()}", "trainer.gradient_clip_val=null")
    run, _ = train("run", SPARSE, *options)
    assert scaler.get_scale() < 2.0**120
    assert all_finite(run)


def test_a_run_that_goes_on_from_further_back_has_rows_of_its_own(train, resume, monkeypatch, tmp_path):
    from zoo.training.callbacks.class_table import ClassTableSteps

    run, _ = train("run", SPARSE, "trainer.max_epochs=1")
    shutil.copytree(run.path, tmp_path / "control")
    shutil.copytree(run.checkpoints, tmp_path / "before")
    resume(run, "trainer.max_epochs=2")
    gone_wrong = rows_beside(run.path)
    shutil.copytree(tmp_path / "before", run.checkpoints, dirs_exist_ok=True)
    load = ClassTableSteps.on_load_checkpoint

    def with_another_rate(self, trainer, module, checkpoint):
        load(self, trainer, module, checkpoint)
        module.loss.lr_factor = 0.1

    monkeypatch.setattr(ClassTableSteps, "on_load_checkpoint", with_another_rate)
    control = type(run)(tmp_path / "control")
    for one in (run, control):
        resume(one, "trainer.max_epochs=2")
    again, expected = rows_beside(run.path), rows_beside(control.path)
    assert all(torch.equal(again[name], expected[name]) for name in expected)
    assert not torch.equal(again["weight"], gone_wrong["weight"])


def test_a_run_killed_while_it_wrote_a_checkpoint_goes_on_and_cleans_up(train, resume):
    run, _ = train("run", SPARSE, "trainer.max_epochs=1")
    half = run.last.with_name(".best.abc.ckpt")
    half.write_bytes(run.last.read_bytes()[:1000])
    run.last.with_name(".rows-000000012.part").mkdir()
    resume(run, "trainer.max_epochs=2")
    assert sorted(path.name for path in run.checkpoints.glob(".*")) == []


def test_where_a_checkpoint_is_damaged_no_rows_are_deleted(train, resume):
    run, _ = train("run", SPARSE, "trainer.max_epochs=1")
    run.checkpoints.joinpath("kept.ckpt").write_bytes(b"nothing")
    before = {path.name for path in run.checkpoints.glob("rows-*")}
    resume(run, "trainer.max_epochs=2")
    assert before < {path.name for path in run.checkpoints.glob("rows-*")}


def test_a_run_of_which_every_step_is_left_out_stops(train, spoil):
    spoil(lambda _: True)
    with pytest.raises(RunError, match="20 steps in a row"):
        train("run", SPARSE, "trainer.max_epochs=9")


def test_a_checkpoint_without_its_rows_is_refused(train, resume):
    run, _ = train("run", SPARSE, "trainer.max_epochs=1")
    shutil.rmtree(next(run.checkpoints.glob("rows-*")))
    with pytest.raises(RunError, match="rows-"):
        resume(run, "trainer.max_epochs=2")


@pytest.mark.slow
def test_two_devices_of_torchrun_share_the_table_and_one_goes_on_with_it(zoo, tiny_recipe, tmp_path):
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    program = [Path(sys.executable).with_name("zoo"), "train", "--cfg", tiny_recipe, "--output", tmp_path / "run"]
    two = ("trainer.devices=2", "trainer.strategy=ddp", "trainer.max_epochs=1")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*launched, *program, SPARSE, *two], check=True, cwd=tmp_path, env=environment)
    (folder,) = (tmp_path / "run" / "checkpoints").glob("rows-*")
    assert [path.name for path in sorted(folder.glob("*.safetensors"))] == [
        "rows-000000000000.safetensors",
        "rows-000000000006.safetensors",
    ]
    resumed = zoo(
        *("train", "--resume", "--run", tmp_path / "run", "trainer.devices=1", "trainer.max_epochs=2"), check=0
    )
    assert "class table: 12 classes as they were" in resumed.stderr


SPOILED = """
import os, sys, torch
from zoo.cli.main import main
from zoo.training.module import EmbeddingTraining
embed, calls = EmbeddingTraining.embed, []
def spoiled(self, images):
    embeddings = embed(self, images)
    calls.append(self.training)
    if sum(calls) == 2 and self.training and os.environ["LOCAL_RANK"] == "1":
        embeddings = embeddings.index_fill(0, torch.tensor([3, 5]), float("nan"))
    return embeddings
EmbeddingTraining.embed = spoiled
main()
"""


@pytest.mark.slow
def test_what_is_no_number_on_another_device_is_named_with_it(tiny_recipe, tmp_path):
    (tmp_path / "spoiled.py").write_text(SPOILED, encoding="utf-8")
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "spoiled.py"]
    program = ["train", "--cfg", tiny_recipe, "--output", "run", SPARSE]
    two = ("trainer.devices=2", "trainer.strategy=ddp", "trainer.max_epochs=1")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launched, *program, *two], check=True, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert "step 1 is left out: the embeddings at 3 (label" in done.stderr
    assert "of the batch are no numbers, on rank 1" in done.stderr
