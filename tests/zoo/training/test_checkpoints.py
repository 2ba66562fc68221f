from __future__ import annotations

import os
import signal

import pytest
import torch

from zoo.training.checkpoints import AtomicCheckpointIO
from zoo_core.errors import RunError


def test_a_checkpoint_that_does_not_fit_on_the_disk_leaves_the_one_before(tmp_path, full_disk):  # noqa: ARG001 - it limits
    path = tmp_path / "last.ckpt"
    files = AtomicCheckpointIO()
    files.save_checkpoint({"step": 1}, path)
    before = path.read_bytes()

    with pytest.raises(RunError, match=r"last\.ckpt: the checkpoint cannot be written: File too large"):
        files.save_checkpoint({"step": 2, "weights": torch.zeros(100_000)}, path)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


DAMAGED = {
    "empty": b"",
    "text": b"no checkpoint at all\n" * 100,
    "a list": [1],
    "weights alone": {"state_dict": {}},
    "code": {"state_dict": os.getcwd},
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_what_is_no_checkpoint_of_a_training_is_refused_with_what_to_do(tmp_path, content):
    path = tmp_path / "last.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)

    with pytest.raises(RunError, match=r"last\.ckpt: it is .*checkpoint") as caught:
        AtomicCheckpointIO().load_checkpoint(path)
    assert "copy best.ckpt over last.ckpt" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_half_a_checkpoint_is_one_line(zoo, train):
    folder, _ = train("run", "trainer.max_epochs=1")
    whole = folder.last.read_bytes()
    folder.last.write_bytes(whole[: len(whole) // 2])

    result = zoo("train", "--resume", "--run", folder.path, check=1)

    (line,) = (line for line in result.stderr.splitlines() if "error" in line)
    assert "last.ckpt" in line
    assert "best.ckpt" in line
    assert "Traceback" not in result.stderr
    assert folder.last.read_bytes() == whole[: len(whole) // 2]


def test_one_flipped_bit_is_neither_evaluated_nor_exported(zoo, train):
    folder, _ = train("run", "trainer.max_epochs=1")
    whole = bytearray(folder.best.read_bytes())
    whole[len(whole) // 2] ^= 4
    folder.best.write_bytes(whole)

    for command in ("eval", "export"):
        result = zoo(command, "--run", folder.path, check=1)
        (line,) = (line for line in result.stderr.splitlines() if "error" in line)
        assert "best.ckpt: it is damaged" in line


@pytest.mark.usefixtures("full_disk")
def test_the_first_checkpoint_on_a_full_disk_does_not_promise_an_earlier_one(tmp_path):
    with pytest.raises(RunError, match="there was none before") as caught:
        AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(100_000)}, tmp_path / "last.ckpt")
    assert "still there" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_best_checkpoint_may_take_the_place_of_a_damaged_last_one(train, resume, state_of):
    folder, _ = train("run")
    folder.last.write_bytes(folder.best.read_bytes())

    resume(folder, "trainer.max_epochs=3")

    assert state_of(folder.last)["global_step"] == 18


def test_seconds_go_on_when_a_run_is_resumed(train, resume, read_curves):
    folder, first = train("run")
    second = resume(folder, "trainer.max_epochs=4")

    seconds = [float(row["seconds"]) for row in read_curves(folder)]
    assert len(seconds) == 4
    assert seconds == sorted(seconds)
    assert seconds[2] > seconds[1] > 0
    assert (first.images, second.images) == (192, 384)


def test_a_run_that_is_finished_resumes_to_its_end_and_evaluates(train, resume, state_of):
    folder, first = train("run")
    before = state_of(folder.last)

    outcome = resume(folder)

    assert not outcome.interrupted
    assert state_of(folder.last)["global_step"] == before["global_step"]
    assert outcome.images == first.images


def test_ctrl_c_in_the_last_validation_stops_before_the_evaluation(train, monkeypatch, state_of):
    from zoo.training.module import EmbeddingTraining

    finish = EmbeddingTraining.on_validation_epoch_end

    def pressing(self):
        if self.global_step == 12:
            os.kill(os.getpid(), signal.SIGINT)
        finish(self)

    monkeypatch.setattr(EmbeddingTraining, "on_validation_epoch_end", pressing)
    folder, outcome = train("run")

    assert outcome.interrupted
    assert state_of(folder.last)["global_step"] == 12


def test_half_precision_trains_on_the_cpu(train, state_of):
    folder, outcome = train("run", "trainer.precision=bf16-mixed", "ema={}")

    assert 0.5 < outcome.metrics["auc"] <= 1
    weights = state_of(folder.best)["state_dict"]
    assert {value.dtype for name, value in weights.items() if name.startswith("model.head")} >= {torch.float32}


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("stop", ["mid-epoch", "killed after an epoch", "finished"])
def test_a_resumed_run_sees_what_was_to_come(train, resume, interrupt_at, monkeypatch, tmp_path, workers, stop):
    from zoo.runs.layout import RunFolder
    from zoo.training.module import EmbeddingTraining

    seen, step = {}, EmbeddingTraining.training_step

    def watching(self, batch, index):
        if stop == "killed after an epoch" and self.global_step == 6 and len(seen) == 6:
            seen["killed"] = True
            raise RuntimeError("killed")
        seen[self.global_step] = int(batch["images"].sum())
        return step(self, batch, index)

    options = [f"data.loader.num_workers={workers}", "trainer.max_epochs=3"]
    monkeypatch.setattr(EmbeddingTraining, "training_step", watching)
    if stop == "mid-epoch":
        interrupt_at(9)
        folder, _ = train("parts", *options)
    elif stop == "finished":
        folder, _ = train("parts", options[0], "trainer.max_epochs=2")
    else:
        with pytest.raises(RuntimeError, match="killed"):
            train("parts", *options)
        folder = RunFolder.open(tmp_path / "parts")
    monkeypatch.setattr(EmbeddingTraining, "training_step", watching)
    resume(folder, "trainer.max_epochs=3")
    resumed, seen = dict(seen), {}
    stop = ""
    train("whole", *options)
    resumed.pop("killed", None)
    assert resumed == seen


def test_other_classes_than_those_of_the_checkpoint_are_refused(train, resume, tmp_path):
    from PIL import Image

    for name in ("one", "two", "three"):
        (tmp_path / "cards" / name).mkdir(parents=True)
        for number in range(8):
            Image.effect_noise((40, 40), 90).save(tmp_path / "cards" / name / f"{number}.png")
    folder, _ = train(
        "run", f"data.train={{name: images/folder, options: {{root: {tmp_path / 'cards'}}}}}", "trainer.max_epochs=1"
    )
    # As many as before: their shapes would fit.
    (tmp_path / "cards" / "one").rename(tmp_path / "cards" / "zebra")
    with pytest.raises(RunError, match="other classes"):
        resume(folder, "trainer.max_epochs=2")


@pytest.mark.slow
def test_a_run_that_was_moved_keeps_its_best_checkpoint(train, resume, state_of, tmp_path, monkeypatch):
    from zoo.runs.layout import RunFolder
    from zoo.training.module import EmbeddingTraining

    folder, _ = train("run", "trainer.max_epochs=1")
    moved = RunFolder(folder.path.rename(tmp_path / "moved"))
    best = moved.best.read_bytes()
    # What is trained from here on is worse than what was.
    monkeypatch.setattr(EmbeddingTraining, "on_validation_epoch_start", _spoil, raising=False)

    resume(moved, "trainer.max_epochs=2")

    assert state_of(moved.last)["global_step"] == 12
    assert moved.best.read_bytes() == best


def _spoil(module):
    with torch.no_grad():
        for weight in module.model.parameters():
            weight.normal_(std=1e-3)
