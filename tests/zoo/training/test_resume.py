"""What may have changed when a run is resumed, what may not, and what its start keeps."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from zoo.cli.train import command
from zoo_core.errors import RunError, UsageError

ONE = "trainer.max_epochs=1"


@pytest.fixture
def cards(tmp_path):
    for number, name in enumerate(("one", "two", "three")):
        for index in range(8):
            path = tmp_path / "cards" / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (40, 40), 20 * number + index).save(path)
    return tmp_path / "cards"


def folder_of(place, root):
    return f"data.{place}={{name: images/folder, options: {{root: {root}}}}}"


@pytest.fixture
def run(train, cards):
    return train("run", ONE, folder_of("train", cards))[0]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_start_of_a_run_stays_and_the_resume_is_added(train, resume):
    folder, outcome = train("run", ONE)
    baseline, record = (folder.evaluation / "untrained.json").read_bytes(), read(folder.record)

    again = resume(folder, "trainer.max_epochs=2", "optimizer.options.lr=0.002")

    assert (folder.evaluation / "untrained.json").read_bytes() == baseline
    kept = {**read(folder.evaluation / "untrained.json")}
    assert kept.pop("protocol")["images"] > 0
    assert again.untrained == outcome.untrained == kept
    assert again.metrics != again.untrained
    now = read(folder.record)
    (added,) = now.pop("resumes")
    assert now == record
    assert added["step"] == 6
    assert added["changed"] == ["optimizer.options.lr: 0.004 became 0.002", "trainer.max_epochs: 1 became 2"]


def test_the_learning_rate_may_change(train, resume, state_of):
    folder, _ = train("run", ONE, "lr_scheduler={name: constant, options: {warmup: 0.0}}")
    resume(folder, "trainer.max_epochs=2", "optimizer.options.lr=0.00123")
    assert state_of(folder.last)["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(0.00123)


def test_other_classes_are_named_before_anything_is_built(run, resume, cards):
    (cards / "one").rename(cards / "zebra")
    with pytest.raises(RunError, match=r"other classes than the run.*names or their order.*new: zebra; gone: one"):
        resume(run, "trainer.max_epochs=2")


def test_more_samples_of_the_same_classes_are_reported(run, resume, cards):
    Image.new("L", (40, 40), 200).save(cards / "one" / "8.png")
    resume(run, "trainer.max_epochs=2")
    (added,) = read(run.record)["resumes"]
    assert "data.train: samples: 24 became 25" in added["changed"]


def test_a_replaced_picture_is_reported(run, resume, cards):
    Image.new("L", (40, 40), 200).save(cards / "one" / "3.png")
    resume(run, "trainer.max_epochs=2")
    (added,) = read(run.record)["resumes"]
    assert "data.train: pictures have changed" in added["changed"]


@pytest.mark.parametrize("change", ["more", "other", "renamed"])
def test_another_validation_set_is_refused(train, resume, cards, change):
    folder, _ = train("run", ONE, folder_of("valid", cards))
    if change == "renamed":
        (cards / "one").rename(cards / "zebra")
    else:
        Image.new("L", (40, 40), 200).save(cards / "one" / ("8.png" if change == "more" else "3.png"))
    before = folder.record.read_bytes()
    with pytest.raises(RunError, match="the validation set is not that of the run: ") as caught:
        resume(folder, "trainer.max_epochs=2")
    text = str(caught.value)
    assert {"more": "samples: 24 became 25", "other": "pictures have", "renamed": "gone: one"}[change] in text
    assert folder.record.read_bytes() == before


def test_other_distributions_are_named(train, resume):
    folder, _ = train("run", ONE)
    record = read(folder.record)
    record["versions"]["torch"] = "1.0"
    folder.record.write_text(json.dumps(record), encoding="utf-8")
    resume(folder, "trainer.max_epochs=2")
    (added,) = read(folder.record)["resumes"]
    assert any(line.startswith("torch: 1.0 became ") for line in added["changed"])


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("embed_dim: 16", "embed_dim: 8", "model.head.options.embed_dim"),
        ("weight_decay: 0.001", "weight_decay: 0.01", "optimizer.options.weight_decay"),
    ],
)
def test_an_edited_recipe_is_refused_and_named(train, resume, before, after, key):
    folder, _ = train("run", ONE)
    text = folder.recipe.read_text(encoding="utf-8")
    assert before in text
    folder.recipe.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(UsageError, match=rf"recipe.yaml is not what the run was started with: .*{key}: [\w.]+ became"):
        resume(folder, "trainer.max_epochs=2")


@pytest.mark.parametrize("content", ["[]", "3", "{", '"text"'])
def test_a_record_that_is_none_is_one_line(zoo, train, content):
    folder, _ = train("run", ONE)
    folder.record.write_text(content, encoding="utf-8")
    result = zoo("train", "--resume", "--run", folder.path, "--dry-run", check=2)
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {folder.record}: not ")


def test_a_run_without_a_record_still_resumes(train, resume):
    folder, _ = train("run", ONE)
    folder.record.unlink()
    resume(folder, "trainer.max_epochs=2")
    assert "data" in read(folder.record)


@pytest.mark.parametrize("key", ["model.head.options.embed_dim=8", "optimizer.name=SGD", "optimizer.options.lrs=1"])
def test_other_overrides_are_refused(train, key):
    from click.testing import CliRunner

    folder, _ = train("run", ONE)
    result = CliRunner().invoke(command, ["--resume", "--run", str(folder.path), key])
    assert isinstance(result.exception, UsageError)
    assert "cannot change when a run is resumed" in str(result.exception)


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("cards")
def test_a_run_resumes_from_another_folder(zoo, tiny_recipe, tmp_path, devices):
    two = (f"trainer.devices={devices}", *(("trainer.strategy=ddp",) if devices > 1 else ()))
    zoo("train", "--cfg", tiny_recipe, "--output", "run", ONE, folder_of("train", "cards"), *two, check=0)
    (tmp_path / "elsewhere").mkdir()

    words = ("--resume", "--run", "../run", "trainer.max_epochs=2")
    result = zoo("train", *words, cwd=tmp_path / "elsewhere", check=0)

    assert f"paths in the recipe are relative to {tmp_path}" in result.stderr
    assert len(read(tmp_path / "run" / "record.json")["resumes"]) == 1
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_profiler_reports(zoo, tiny_recipe):
    result = zoo("train", "--cfg", tiny_recipe, ONE, "trainer.profiler=simple", check=0)
    assert "run_training_batch" in result.stderr
