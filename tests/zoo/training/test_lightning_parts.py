from __future__ import annotations

import pytest

from zoo_core.errors import RecipeError

STOPPING = "{name: EarlyStopping, options: {monitor: valid/auc, mode: max, patience: 0, stopping_threshold: 0.0}}"


def test_a_recipe_stops_early_and_logs_elsewhere_too(train, read_curves, tmp_path):
    logger = f"{{name: CSVLogger, options: {{save_dir: '{tmp_path}', name: more, version: one}}}}"
    folder, _ = train("run", "trainer.max_epochs=5", f"trainer.callbacks=[{STOPPING}]", f"trainer.logger=[{logger}]")

    assert [row["epoch"] for row in read_curves(folder)] == ["0"]
    # zoo's own are still there.
    assert folder.best.is_file()
    assert list(folder.tensorboard.glob("events*"))
    steps = [row["step"] for row in read_curves(tmp_path / "more" / "one") if row["train/loss"]]
    assert steps == ["1", "6"]


def test_no_logger_is_none(train):
    folder, _ = train("run", "trainer.max_epochs=1", "trainer.logger=false")
    assert not folder.tensorboard.exists()
    assert folder.metrics_csv.is_file()


def test_a_callback_of_a_plugin_is_one_like_lightnings(add_distribution, manifest, tiny_recipe, tmp_path):
    from zoo.recipes.loading import load_recipe
    from zoo.runs.layout import RunFolder
    from zoo.training.plan import plan_training
    from zoo.training.run import train
    from zoo_core.discovery import discover

    source = """
from lightning.pytorch.callbacks import Callback
class Counting(Callback):
    def __init__(self, file: str): self.file = file
    def on_train_end(self, trainer, module): open(self.file, "w").write(str(trainer.global_step))
"""
    spec = "ComponentSpec('callback', 'counting', 'fake_callbacks:Counting', 'counts')"
    add_distribution("plugzoo-fake", fake=manifest(spec), modules={"fake_callbacks": source})
    listed = f"trainer.callbacks=[{{name: fake/counting, options: {{file: '{tmp_path / 'steps'}'}}}}]"
    registry = discover()
    plan = plan_training(load_recipe(tiny_recipe, [listed, "trainer.max_epochs=1"], registry=registry), registry)
    train(plan, RunFolder(tmp_path / "run"), show=False)
    assert (tmp_path / "steps").read_text() == "6"
    recorded = RunFolder(tmp_path / "run").read_record()["components"]
    assert "plugzoo-fake" in {one["distribution"] for one in recorded if one["name"] == "fake/counting"}


def test_a_logger_takes_further_options_for_its_library(prepare, tmp_path):
    # TensorBoard's writer flushes in the background every so many seconds.
    options = f"{{save_dir: '{tmp_path}', flush_secs: 7}}"
    assert prepare(f"trainer.logger=[{{name: TensorBoardLogger, options: {options}}}]")


@pytest.mark.parametrize(
    ("override", "key", "message"),
    [
        ("callbacks=[{name: EarlyStopping}]", "callbacks.0.options", "monitor"),
        ("callbacks=[EarlyStopping]", "callbacks.0", "mapping"),
        ("callbacks=[{name: Timer, options: {duraton: 5}}]", "callbacks.0.options.duraton", "did you mean 'duration'"),
        ("callbacks=[{name: Timer, options: {duration: soon}}]", "callbacks.0", "lightning/Timer: "),
        ("callbacks=true", "callbacks", "should be a list of {name: ..., options: {...}}"),
        ("logger=[{name: CSVLoger}]", "logger.0.name", "did you mean 'CSVLogger'"),
        ("logger=[{name: Logger}]", "logger.0.name", "there is no logger 'Logger'"),
    ],
)
def test_a_wrong_one_is_named_with_its_place(prepare, override, key, message):
    with pytest.raises(RecipeError) as raised:
        prepare(f"trainer.{override}")
    (problem,) = raised.value.problems
    assert problem.location.key.startswith(f"trainer.{key}")
    assert message in str(problem)
