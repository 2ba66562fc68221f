"""TensorBoard's curves and ``metrics.csv``, read back by TensorBoard's own reader."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

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
