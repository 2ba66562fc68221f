from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from zoo_core.errors import RunError

SPARSE = "model.loss.options.class_table.negatives=4"


def rows_beside(run, name="last"):
    checkpoint = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
    folder = run / "checkpoints" / checkpoint["zoo_rows"]
    pieces = [load_file(path) for path in sorted(folder.glob("*.safetensors"))]
    return {key: torch.cat([piece[key] for piece in pieces]) for key in pieces[0]}


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


def test_a_step_that_is_no_number_is_left_out_and_named(train, spoil, capsys):
    calls = []
    spoil(lambda _: calls.append(0) or len(calls) == 4)
    run, outcome = train("run", SPARSE)
    assert "is left out: the embeddings at 3 (label" in capsys.readouterr().err
    assert outcome.images == 192
    assert all(tensor.isfinite().all() for tensor in rows_beside(run.path).values())
    state = torch.load(run.last, weights_only=True)["state_dict"]
    assert all(tensor.isfinite().all() for tensor in state.values() if tensor.is_floating_point())


def test_a_run_of_which_every_step_is_left_out_stops(train, spoil):
    spoil(lambda _: True)
    with pytest.raises(RunError, match="20 steps in a row"):
        train("run", SPARSE, "trainer.max_epochs=9")


def test_a_checkpoint_without_its_rows_is_refused(train, resume):
    import shutil

    run, _ = train("run", SPARSE, "trainer.max_epochs=1")
    shutil.rmtree(next(run.checkpoints.glob("rows-*")))
    with pytest.raises(RunError, match="rows-"):
        resume(run, "trainer.max_epochs=2")


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
