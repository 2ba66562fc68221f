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


@pytest.mark.parametrize(
    ("override", "key", "message"),
    [
        ("callbacks=[{name: EarlyStopping}]", "callbacks.0.options", "monitor"),
        ("callbacks=[EarlyStopping]", "callbacks.0", "mapping"),
        ("callbacks=[{name: Timer, options: {duraton: 5}}]", "callbacks.0.options.duraton", "did you mean 'duration'"),
        ("callbacks=[{name: Timer, options: {duration: soon}}]", "callbacks.0", "callbacks.Timer: "),
        ("callbacks=true", "callbacks", "should be a list of {name: ..., options: {...}}"),
        ("logger=[{name: CSVLoger}]", "logger.0.name", "did you mean 'CSVLogger'"),
        ("logger=[{name: Logger}]", "logger.0.name", "lightning.pytorch.loggers has no 'Logger'"),
    ],
)
def test_a_wrong_one_is_named_with_its_place(prepare, override, key, message):
    with pytest.raises(RecipeError) as raised:
        prepare(f"trainer.{override}")
    (problem,) = raised.value.problems
    assert problem.location.key.startswith(f"trainer.{key}")
    assert message in str(problem)
