"""TensorBoard's curves and ``metrics.csv``, read back by TensorBoard's own reader."""

from __future__ import annotations

import csv
import io
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from zoo.training.callbacks.curves import TrainingCurves

CONTRAST = ("data.captures=2", "model.loss.options.contrast=1")


def events(folder):
    found = EventAccumulator(str(folder.tensorboard), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


def points(found, tag):
    return {event.step: event.value for event in found.Scalars(tag)}


def test_the_first_point_is_of_step_1_and_parts_add_up_to_the_loss(train):
    folder, _ = train("run", *CONTRAST, "trainer.log_every_n_steps=5", "trainer.max_epochs=1")
    found = events(folder)

    loss = points(found, "train/loss")
    assert list(loss) == [1, 5, 10, 12]
    softmax, contrast = points(found, "train/loss/softmax"), points(found, "train/loss/contrast")
    assert list(loss.values()) == pytest.approx([softmax[step] + contrast[step] for step in loss], rel=1e-6)
    assert all(value > 0 for value in [*softmax.values(), *contrast.values()])
    for tag in ("lr", "images_per_second", "progress", "scale", "margin"):
        assert list(points(found, f"train/{tag}")) == [1, 5, 10, 12]
    assert points(found, "train/lr")[1] < points(found, "train/lr")[5]


def test_the_untrained_model_is_where_the_curves_of_validation_begin(train):
    folder, outcome = train("run")
    curve = points(events(folder), "valid/rank1")
    assert list(curve) == [0, 6, 12]
    assert curve[0] == pytest.approx(outcome.untrained["rank1"])
    assert curve[12] == pytest.approx(outcome.metrics["rank1"])


def test_the_recipe_is_what_tensorboard_calls_hyperparameters(train):
    from tensorboard.plugins.hparams import metadata

    folder, _ = train("run", "trainer.max_epochs=1")
    summaries = events(folder).SummaryMetadata("_hparams_/session_start_info")
    start = metadata.parse_session_start_info_plugin_data(summaries.plugin_data.content)
    assert start.hparams["optimizer.options.lr"].number_value == pytest.approx(4e-3)
    assert start.hparams["model.loss.name"].string_value == "margin/cosface"


def test_images_are_those_that_the_network_is_shown(train, monkeypatch):
    from zoo.training.module import EmbeddingTraining

    seen = []
    embed = EmbeddingTraining.embed

    def keeping(self, images):
        if self.training:
            seen.append(images.clone())
        return embed(self, images)

    monkeypatch.setattr(EmbeddingTraining, "embed", keeping)
    folder, _ = train("run", "trainer.max_epochs=1")
    (event,) = events(folder).Images("train/images")

    sheet = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
    # 16 images of 32 pixels in rows of 8.
    assert sheet.shape == (64, 256, 3)
    assert np.array_equal(sheet[32:, 32:64], seen[0][9].numpy())


def test_a_resumed_run_continues_its_curves(train, resume, interrupt_at, read_curves):
    release = interrupt_at(8)
    folder, _ = train("run", "trainer.log_every_n_steps=3")
    release()
    resume(folder)

    found = events(folder)
    assert list(points(found, "train/loss")) == [1, 3, 6, 9, 12]
    assert list(points(found, "valid/auc")) == [0, 6, 12]
    assert len(found.Images("train/images")) == 1
    assert [row["step"] for row in read_curves(folder)] == ["6", "12"]


def test_what_was_logged_after_the_last_checkpoint_of_a_killed_run_comes_once(
    train, resume, read_curves, monkeypatch, tmp_path
):
    from zoo.runs.layout import RunFolder
    from zoo.training.checkpoints import AtomicCheckpointIO

    save = AtomicCheckpointIO.save_checkpoint

    def killed(self, checkpoint, path, storage_options=None):
        if checkpoint["global_step"] == 12:
            raise RuntimeError("killed")
        save(self, checkpoint, path, storage_options)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", killed)
    options = ("trainer.log_every_n_steps=1", "checkpoint.every_steps=4")
    with pytest.raises(RuntimeError, match="killed"):
        train("run", *options)
    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", save)
    folder = RunFolder(tmp_path / "run")
    with folder.metrics_csv.open("a", encoding="utf-8") as file:
        file.write("1")  # a torn row
    resume(folder)

    assert [row["step"] for row in read_curves(folder)] == ["6", "12"]
    found = events(folder)
    assert [event.step for event in found.Scalars("train/loss")] == [*range(1, 13)]
    assert [event.step for event in found.Scalars("valid/auc")] == [0, 6, 12]


class Recorder:
    """A logger that is not TensorBoard's."""

    def __init__(self):
        self.logged = []

    def log_hyperparams(self, values):
        self.logged.append(("recipe", values))

    def log_metrics(self, values, step):
        self.logged.append((step, values))

    def take(self):
        taken, self.logged = self.logged, []
        return taken


@pytest.fixture
def curves(tmp_path):
    """The callback, before anything was logged: 100 images a second, in the twelfth second."""
    timed = SimpleNamespace(seconds=12.345, images_per_second=100.06)
    return TrainingCurves(tmp_path / "metrics.csv", timed, {"seed": 7})


VALUES = {"progress": 0.1235, "images_per_second": 100.1, "loss": 1.5, "lr": 0.004}


def test_a_new_training_logs_its_recipe_and_baseline_and_a_resumed_one_does_not(curves, standing, embedding_training):
    recorder = Recorder()
    curves.on_train_start(standing(0, loggers=[recorder]), embedding_training)
    baseline = {f"valid/{name}": value for name, value in embedding_training.untrained.items()}
    assert recorder.take() == [("recipe", {"seed": 7}), (0, baseline)]
    curves.on_train_start(standing(6, loggers=[recorder]), embedding_training)
    assert recorder.take() == []
    # What is logged already is not logged again.
    curves.on_train_batch_end(standing(6, loggers=[recorder], log_every_n_steps=6), embedding_training, None, None, 0)
    assert recorder.take() == []


def test_a_step_is_logged_once_at_its_turn(curves, standing, embedding_training):
    recorder = Recorder()
    embedding_training.progress = 0.123456
    curves.on_train_start(standing(0, loggers=[recorder]), embedding_training)
    recorder.take()
    for step in (0, 1, 1, 2, 3, 4, 4, 5, 8):
        trainer = standing(step, loggers=[recorder], log_every_n_steps=4)
        curves.on_train_batch_end(trainer, embedding_training, None, None, 0)
    logged = recorder.take()
    assert [step for step, _ in logged] == [1, 4, 8]
    assert logged[1][1] == {
        **{f"train/{name}": pytest.approx(value) for name, value in VALUES.items()},
        "train/loss/softmax": 1.25,
        "epoch": 0,
    }
    every = standing(9, loggers=[recorder], log_every_n_steps=0, callback_metrics={})
    curves.on_train_batch_end(every, embedding_training, None, None, 0)
    ((step, values),) = recorder.take()
    assert step == 9
    assert math.isnan(values["train/loss"])
    assert values["epoch"] == 1


def test_scale_and_margin_are_logged_where_the_loss_has_them(curves, standing, embedding_training):
    recorder = Recorder()
    for loss, expected in (
        (SimpleNamespace(scale=64.0), {"train/scale": 64.0}),
        (SimpleNamespace(margin=0.5), {"train/margin": 0.5}),
        (SimpleNamespace(scale=32.0, margin=0.0), {"train/scale": 32.0, "train/margin": 0.0}),
    ):
        embedding_training.loss = loss
        curves.on_train_start(standing(0), embedding_training)
        curves.on_train_batch_end(standing(1, loggers=[recorder]), embedding_training, None, None, 0)
        ((_, values),) = recorder.take()
        assert {name: values[name] for name in values if name in {"train/scale", "train/margin"}} == expected


def test_a_validation_is_a_row_and_a_point(curves, standing, embedding_training):
    recorder = Recorder()
    embedding_training.progress = 0.123456
    curves.on_validation_end(standing(0, loggers=[recorder], sanity_checking=True), embedding_training)
    curves.on_validation_end(standing(6, loggers=[recorder], is_global_zero=False), embedding_training)
    assert recorder.take() == []
    assert not curves.path.exists()

    validated = {f"valid/{name}": value for name, value in embedding_training.validated.items()}
    curves.on_validation_end(standing(6, loggers=[recorder]), embedding_training)
    (step, values), (again, points) = recorder.take()
    assert (step, again) == (6, 6)
    assert values["train/loss"] == 1.5
    assert points == {**validated, "epoch": 1}
    # Logged already: the row alone is new.
    embedding_training.loss = SimpleNamespace(scale=64.0)
    curves.on_validation_end(standing(6, loggers=[recorder]), embedding_training)
    assert [values for _, values in recorder.take()] == [points]

    plain = ["6", "1", "12.3", "0.1235", "100.1", "1.5", "0.004", "", "", "0.5", "0.75", "0.90625", str(math.pi)]
    assert list(csv.reader(io.StringIO(curves.path.read_text(encoding="utf-8")))) == [
        ["step", "epoch", "seconds", "progress", "images_per_second", "loss", "lr", "scale", "margin", *validated],
        plain,
        [*plain[:7], "64.0", *plain[8:]],
    ]
    assert curves.path.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (7, 1, 7), (8, 1, 8), (11, 2, 8), (40, 4, 8)])
def test_the_sheet_has_up_to_four_rows_of_eight(curves, standing, embedding_training, tmp_path, count, rows, columns):
    logger = TensorBoardLogger(tmp_path, name="", version="")
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 2, 3, 3)
    batch = {"images": images}
    for later in (standing(1), standing(0, current_epoch=1), standing(0, is_global_zero=False)):
        later.loggers = [logger]
        curves.on_train_batch_start(later, embedding_training, batch, 0)
    curves.on_train_batch_start(standing(0, loggers=[logger]), embedding_training, batch, 1)
    curves.on_train_batch_start(standing(0, loggers=[Recorder(), logger]), embedding_training, batch, 0)
    logger.experiment.flush()
    (event,) = events(SimpleNamespace(tensorboard=tmp_path)).Images("train/images")
    assert event.step == 0
    sheet = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
    assert sheet.shape == (rows * 2, columns * 3, 3)
    shown = [*range(min(count, 32)), *[255] * (rows * columns - count)]
    assert sheet[::2, ::3, 0].ravel().tolist() == shown
    assert sheet[1::2, 2::3, 2].ravel().tolist() == shown
