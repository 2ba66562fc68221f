from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner

from zoo.cli.main import cli


def only_run(folder):
    (run,) = folder.glob("runs/tiny/*")
    return run


def test_a_run_folder_holds_all_that_was_promised(zoo, tiny_recipe, tmp_path, read_curves):
    result = zoo("train", "--cfg", tiny_recipe, "--json", check=0)

    run = only_run(tmp_path)
    outcome = json.loads(result.stdout)
    assert outcome["schema"] == 1
    assert Path(outcome["run"]) == run.relative_to(tmp_path)
    evaluation = outcome["evaluation"]
    assert set(evaluation["metrics"]) & set(evaluation["untrained"]) >= {"auc", "rank1"}
    assert yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))["trainer"]["max_epochs"] == 2
    record = json.loads((run / "record.json").read_text(encoding="utf-8"))
    names = {component["name"] for component in record["components"]}
    assert names >= {"timm/test_resnet", "embedding/flatten_bn", "margin/cosface", "documents/synthetic"}
    assert [row["epoch"] for row in read_curves(run)] == ["0", "1"]
    assert list((run / "tensorboard").glob("events*"))
    assert (run / "evaluation" / "metrics.json").is_file()
    for name in ("best", "last"):
        checkpoint = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert any(key.startswith("model.backbone.") for key in checkpoint["state_dict"])
    assert "zoo export" in result.stderr


@pytest.mark.slow
def test_the_same_seed_trains_the_same_weights(zoo, tiny_recipe, tmp_path):
    states = []
    for name in ("one", "two"):
        zoo("train", "--cfg", tiny_recipe, "--output", tmp_path / name, "trainer.max_epochs=1", check=0)
        states.append(torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])

    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.usefixtures("tiny_recipe")
def test_data_sets_are_mixed_by_their_shares(zoo, tmp_path):
    recipe = tmp_path / "mixed.yaml"
    recipe.write_text(
        "extends: tiny.yaml\n"
        "data:\n"
        "  train_also: [{name: documents/synthetic, options: {templates: 5, samples_per_template: 4}, share: 0.25}]\n"
        "  samples_per_epoch: 128\n",
        encoding="utf-8",
    )
    zoo("train", "--cfg", recipe, "--output", tmp_path / "run", "trainer.max_epochs=1", check=0)

    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert state["loss.weight"].shape == (12 + 5, 16)
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["data"]["train_also"][0]["share"] == 0.25


@pytest.mark.slow
def test_a_loss_may_contrast_the_captures_of_a_sample(zoo, tiny_recipe, tmp_path):
    states = []
    for contrast in ("0", "1"):
        options = ("data.captures=2", f"model.loss.options.contrast={contrast}", "trainer.max_epochs=1")
        result = zoo("train", "--cfg", tiny_recipe, "--output", tmp_path / contrast, *options, "--json", check=0)
        # Every sample of an epoch is shown twice, in batches of as many images as the recipe says.
        assert json.loads(result.stdout)["trained"]["images"] == 2 * 12 * 8
        checkpoint = torch.load(tmp_path / contrast / "checkpoints" / "last.ckpt", weights_only=True)
        assert checkpoint["global_step"] == 2 * 12 * 8 / 16
        states.append(checkpoint["state_dict"]["loss.weight"])
    assert not torch.equal(*states)


@pytest.mark.usefixtures("a_second_a_step")
def test_a_time_limit_ends_at_a_decayed_learning_rate(tiny_recipe, read_curves, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", "--cfg", str(tiny_recipe), "--max-time", "20s", "trainer.max_epochs=100000"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output

    last = read_curves(only_run(tmp_path))[-1]
    assert int(last["step"]) == 20
    assert float(last["progress"]) == pytest.approx(19 / 20)
    assert float(last["lr"]) == pytest.approx(4e-3 * (1 / 20) / 0.9)


def test_ctrl_c_keeps_the_last_step_and_resume_goes_on(zoo, tiny_recipe, tmp_path, read_curves):
    process = subprocess.Popen(
        [Path(sys.executable).with_name("zoo"), "train", "--cfg", tiny_recipe, "trainer.max_epochs=100000"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/tiny/*/checkpoints/last.ckpt")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == 130, stderr
    assert "zoo train --resume" in stderr
    assert "Traceback" not in stderr
    run = only_run(tmp_path)
    stopped_at = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    epochs = stopped_at["epoch"] + 2
    zoo("train", "--resume", f"trainer.max_epochs={epochs}", check=0)
    finished = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert finished["global_step"] == epochs * 6
    assert [int(row["epoch"]) for row in read_curves(run)] == list(range(epochs))


def test_a_second_ctrl_c_does_not_wait_for_the_step(tiny_recipe, tmp_path, monkeypatch):
    from zoo.cli.main import main
    from zoo.training.module import EmbeddingTraining

    reached = []

    def pressing(*_):
        for press in ("first", "second"):
            os.kill(os.getpid(), signal.SIGINT)
            reached.append(press)
            # Signals that arrive at once may be one request, which others have passed on.
            time.sleep(1.1)
        raise AssertionError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(EmbeddingTraining, "training_step", pressing)
    monkeypatch.setattr(sys, "argv", ["zoo", "train", "--cfg", str(tiny_recipe)])
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as caught:
            main()
    finally:
        signal.signal(signal.SIGINT, handler)
    assert reached == ["first"]
    assert caught.value.code == 130


def test_a_limit_of_steps_within_the_first_epoch_ends_with_a_validation(zoo, tiny_recipe, tmp_path, read_curves):
    zoo("train", "--cfg", tiny_recipe, "trainer.max_steps=2", check=0)

    run = only_run(tmp_path)
    assert [row["step"] for row in read_curves(run)] == ["2"]
    assert torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["global_step"] == 2


def test_a_run_folder_is_never_reused(zoo, tiny_recipe, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine", encoding="utf-8")

    result = zoo("train", "--cfg", tiny_recipe, "--output", tmp_path / "taken", check=2)

    assert "not empty" in result.stderr
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["notes.txt"]


def test_what_lightning_refuses_leaves_no_run(zoo, tiny_recipe, tmp_path):
    result = zoo("train", "--cfg", tiny_recipe, "trainer.devices=abc", check=3)

    assert "lightning" in result.stderr
    assert not list(tmp_path.glob("runs/*/*"))


def test_a_dry_run_builds_everything_and_writes_nothing(zoo, tiny_recipe, tmp_path):
    result = zoo("train", "--cfg", tiny_recipe, "--dry-run", check=0)

    assert "12 classes" in result.stderr
    assert list(tmp_path.iterdir()) == [tiny_recipe]


def test_what_made_a_checkpoint_cannot_change_on_resume(zoo, tiny_recipe, tmp_path):
    zoo("train", "--cfg", tiny_recipe, "trainer.max_epochs=1", check=0)
    run = only_run(tmp_path)
    before = (run / "recipe.yaml").read_bytes()

    result = zoo("train", "--resume", "model.head.options.embed_dim=8", check=2)

    assert "model.head.options.embed_dim" in result.stderr
    assert (run / "recipe.yaml").read_bytes() == before


def test_a_run_that_was_never_validated_still_ends_with_checkpoints(zoo, tiny_recipe, tmp_path):
    zoo("train", "--cfg", tiny_recipe, "trainer.check_val_every_n_epoch=9", check=0)

    run = only_run(tmp_path)
    for name in ("best", "last"):
        assert torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["global_step"] == 12


def test_an_unreadable_picture_in_a_loader_process_is_one_line(zoo, tiny_recipe, tmp_path):
    (tmp_path / "cards").mkdir()
    for name in "abc":
        (tmp_path / "cards" / f"{name}.png").write_bytes(b"no picture")

    result = zoo(
        *("train", "--cfg", tiny_recipe, "data.loader.num_workers=1", "data.train.name=images/instances"),
        *("data.train.options={root: cards}", "trainer.num_sanity_val_steps=0"),
        check=1,
    )

    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error:"))
    assert "cards/" in line
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("time", ["", "5", "0s", "3x", "m3"])
def test_a_wrong_duration_is_a_usage_error(zoo, tiny_recipe, time):
    assert "duration" in zoo("train", "--cfg", tiny_recipe, "--max-time", time, check=2).stderr


@pytest.mark.slow
def test_two_devices_train_through_lightning_untouched(zoo, tiny_recipe, tmp_path, read_curves):
    zoo(
        *("train", "--cfg", tiny_recipe, "trainer.devices=2", "trainer.strategy=ddp", "trainer.max_epochs=1"),
        check=0,
    )

    run = only_run(tmp_path)
    # 96 samples on two devices, 16 each a step.
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 3
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["counts"]["images"] == 36
    assert len(read_curves(run)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", ["trainer.devices=1", "data.loader.batch_size=8"], ids=["one device", "half a batch"]
)
def test_a_run_goes_on_with_other_batches(zoo, tiny_recipe, tmp_path, change, read_curves):
    two = ("trainer.devices=2", "trainer.strategy=ddp", "trainer.max_epochs=1")
    zoo("train", "--cfg", tiny_recipe, "--output", tmp_path / "run", *two, check=0)
    zoo("train", "--resume", "--run", tmp_path / "run", change, "trainer.max_epochs=2", check=0)

    # Three steps of 32 images, then six of 16: the second epoch is a whole one.
    curves = read_curves(tmp_path / "run")
    assert [row["step"] for row in curves] == ["3", "9"]
    assert float(curves[-1]["progress"]) > 0.9


@pytest.mark.parametrize(
    ("every", "reason"),
    [
        (1, r"the loss became (nan|inf) by step [2-6]; lower optimizer\.options\.lr"),
        # The loss is not looked at before the validation.
        (50, r"36 of 36 embeddings are not finite .*; the model has diverged: lower the learning rate"),
    ],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_to_do(zoo, tiny_recipe, every, reason):
    options = ("optimizer.options.lr=1e30", "trainer.gradient_clip_val=null", f"trainer.log_every_n_steps={every}")
    result = zoo("train", "--cfg", tiny_recipe, *options, check=1)

    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error:"))
    assert re.search(reason, line)
    assert "Traceback" not in result.stderr
