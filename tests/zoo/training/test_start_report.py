"""What is left out, leaked, dropped or replaced is reported before a training starts."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest
from PIL import Image

from zoo_core.errors import RunError


@pytest.fixture
def of_folders(tmp_path, tiny_recipe, prepare):
    """Plan a training on twelve classes in `train`, with six others in `valid`, two images each."""
    generator = np.random.default_rng(0)
    for part, numbers in (("train", range(12)), ("valid", range(12, 18))):
        for number in numbers:
            for name in "ab":
                path = tmp_path / part / f"class{number}" / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                coarse = Image.fromarray(generator.integers(0, 256, (4, 6, 3), dtype=np.uint8))
                coarse.resize((60, 40), Image.Resampling.BICUBIC).save(path)
    # In the recipe itself: an override that names other data warns of what it drops.
    text = tiny_recipe.read_text(encoding="utf-8")
    for part, options in (
        ("train", "templates: 12, samples_per_template: 8"),
        ("valid", "templates: 6, samples_per_template: 3"),
    ):
        folder = f"{{name: images/folder, options: {{root: {tmp_path / part}, split: all, cache: none}}}}"
        assert f"  {part}: {{options: {{{options}}}}}\n" in text
        text = text.replace(f"  {part}: {{options: {{{options}}}}}\n", f"  {part}: {folder}\n")
    tiny_recipe.write_text(text, encoding="utf-8")
    return prepare


def test_nothing_to_report(of_folders):
    report = of_folders(strict=True).report
    assert report.lines == []
    assert (report.leak.train_compared, report.leak.valid_compared) == (24, 12)
    assert not report.leak


def test_one_folder_for_both_is_a_leak(of_folders, tmp_path):
    both = f"data.valid.options.root={tmp_path / 'train'}"
    report = of_folders(both).report
    (line,) = report.lines
    assert "12 of 12 validation classes have the name of a training class (class0, class1, class10, ...)" in line
    assert len(report.leak.alike) == 12
    with pytest.raises(RunError, match="validation shows what training sees"):
        of_folders(both, strict=True)


def test_the_same_images_under_other_names_are_a_leak(of_folders, tmp_path):
    with Image.open(tmp_path / "train/class3/a.png") as image:
        image.resize((48, 32), Image.Resampling.LANCZOS).save(tmp_path / "valid/class12/c.jpg", quality=90)
    report = of_folders().report
    assert report.leak.shared == ()
    assert report.leak.alike == (("class3", "class12"),)
    assert report.leak.to_json()["alike_classes"] == 1


def test_much_that_is_left_out_is_an_error_and_little_a_line(of_folders, tmp_path):
    (tmp_path / "train" / "phone").mkdir()
    (tmp_path / "train" / "phone" / "1.psd").touch()
    with pytest.raises(RunError, match="1 of 13 classes are left out") as caught:
        of_folders()
    assert "data.unreadable_share 0.01" in str(caught.value)
    report = of_folders("data.unreadable_share=0.2").report
    classes, files = report.lines
    assert classes.startswith("data.train: 1 of 13 classes are left out: ")
    assert files.startswith("data.train: 1 files are left out (.psd is not read: 1): ")
    with pytest.raises(RunError, match="left out"):
        of_folders("data.unreadable_share=0.2", strict=True)


def test_the_whole_list_is_written_with_the_record(of_folders, tmp_path):
    (tmp_path / "train" / "phone").mkdir()
    for name in ("1.psd", "2.psd", "notes.txt"):
        (tmp_path / "train" / "phone" / name).touch()
    report = of_folders("data.unreadable_share=0.2").report
    report.write_left_out(tmp_path / "left_out.csv")
    with (tmp_path / "left_out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["part"], row["kind"]) for row in rows] == [
        ("train", "class"), ("train", "file"), ("train", "file"), ("train", "note")
    ]  # fmt: skip
    assert json.loads(json.dumps(report.to_json()))["left_out"]["train"] == {"classes": 1, "files": 2, "notes": 1}


def test_a_fallback_to_random_weights_is_an_error_where_it_is_strict(prepare, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    pretrained = "model.backbone.options.pretrained=auto"
    with pytest.warns(UserWarning, match="RANDOM"):
        report = prepare(pretrained).report
    assert "HF_HUB_OFFLINE" in report.fallback
    with pytest.warns(UserWarning, match="RANDOM"), pytest.raises(RunError, match="starts from random weights"):
        prepare(pretrained, strict=True)
    assert prepare("model.backbone.options.pretrained=false").report.fallback == ""


def test_a_dropped_option_is_an_error_where_it_is_strict(prepare):
    assert prepare("optimizer={name: AdamW, options: {lr: 0.001, amsgrad: true}}", strict=True)
    with pytest.raises(RunError, match="is dropped: SGD has no such option"):
        prepare("optimizer.name=SGD", strict=True)


def test_a_row_of_the_list_is_a_line_whatever_a_file_is_called(of_folders, tmp_path):
    for name in ("two\nlines.psd", "red\x1b[31m.psd", os.fsdecode(b"caf\xe9.psd")):
        (tmp_path / "train" / "class0" / name).touch()
    of_folders("data.unreadable_share=0.5").report.write_left_out(tmp_path / "left_out.csv")
    lines = (tmp_path / "left_out.csv").read_text(encoding="utf-8").splitlines()
    assert all(line.isprintable() for line in lines)
    assert sorted(line.split(",")[2].rpartition("/")[2] for line in lines[1:]) == [
        r"caf\xe9.psd", r"red\x1b[31m.psd", r"two\nlines.psd"
    ]  # fmt: skip
