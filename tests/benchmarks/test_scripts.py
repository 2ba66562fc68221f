"""Each script of benchmarks/ that has no file of tests of its own runs, at its smallest, and says what it measured."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(name, *options):
    """Run a script as its user does, and return what it prints."""
    settings = {
        **{key: value for key, value in os.environ.items() if not key.startswith("FORCE_")},
        # Some start `zoo`.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, BENCHMARKS / f"{name}.py", *map(str, options)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def cards(tmp_path):
    """Write eight JPEGs of coarse colours into a folder."""
    folder = tmp_path / "cards"
    folder.mkdir()
    for number in range(8):
        coarse = np.random.default_rng(number).integers(0, 256, (4, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((320, 200), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=90)
    return folder


def test_every_script_is_run_by_a_test():
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    # Of mutation.py a run takes hours: what it mutates has its own tests.
    scripts = {path.stem for path in BENCHMARKS.glob("*.py")} - {"mutation"}
    assert {name for name in scripts if not re.search(rf'run\("{name}"|"{name}\.py"', tests)} == set()


@pytest.mark.slow
def test_agreement_prints_a_row_for_each_effect(cards):
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in run("agreement", "--images", cards).split("\n")[:-1]
    ]
    assert len(rows) == 10
    # In grey values of 255: the mean of the pictures, and that of the worst one.
    assert all(0 <= float(mean) <= float(worst) < 2 for _, mean, worst in rows)


@pytest.mark.slow
def test_augmentation_measures_each_chain(cards, tmp_path):
    found = json.loads(run("augmentation", "--images", cards, "--side", 32, "--sheet", tmp_path / "sheet.png"))
    assert found["side"] == 32
    rates = found["images_per_second_per_core"]
    assert {"loader", "opencv"} <= {name for name, rate in rates.items() if rate}
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 14 * 32


@pytest.mark.slow
def test_caller_decoded_compares_with_pillow(cards):
    as_they_are = json.loads(run("caller_decoded", "--images", cards, "--count", 3))
    assert (as_they_are["photographs"], as_they_are["same"]) == (3, 3)
    # 2 megapixels are decoded at half of their size.
    enlarged = json.loads(run("caller_decoded", "--images", cards, "--count", 3, "--megapixels", 2))
    assert enlarged["photographs"] == 3
    assert 0 < enlarged["mean"] < 1
    assert enlarged["cosine"]["median"] > 0.999


def test_calibration_prints_a_row_a_setting():
    options = ("--trials", 2, "--gallery", 5, "--strangers", 40, "--themselves", 80, "--fpir", 0.1)
    found = json.loads(run("calibration", *options, "--pool", 200))
    assert [row["mode"] for row in found["rows"]] == ["strangers", "strangers", "themselves"]
    assert all(0 <= row["kept"] <= 1 and row["trials"] == 2 for row in found["rows"])


def test_calibration_limits_compares_bounds_on_the_same_strangers(tmp_path):
    rows = np.random.default_rng(0).standard_normal((400, 3, 16)).astype(np.float32)
    np.save(tmp_path / "e.npy", rows / np.linalg.norm(rows, axis=-1, keepdims=True))
    options = ("--embeddings", tmp_path / "e.npy", "--trials", 3, "--gallery", 5, "--strangers", 300, "--fpir", 0.05)
    (row,) = json.loads(run("calibration_limits", *options))["rows"]
    assert row.pop("strangers") == 300
    assert list(row) == ["no bound", "order statistic", "most powerful", "tail 10%", "tail 20%"]
    assert row["order statistic"]["median_over_target"] <= row["most powerful"]["median_over_target"]


@pytest.mark.slow
def test_checkpoint_prints_a_line_a_recipe(tiny_recipe, tmp_path):
    (line,) = run("checkpoint", tiny_recipe, "--folder", tmp_path).splitlines()
    assert re.fullmatch(r"\S*tiny\S*: [\d.]+ MB, [\d.]+ s \(largest [\d.]+\), [\d.]+% of 5 minutes", line)


@pytest.mark.slow
def test_documents_measures_templates_and_the_start_of_a_million():
    found = json.loads(run("documents"))
    assert found["new_templates_per_second"] > 0
    assert found["samples_per_second_of_known_templates"] > 0
    assert found["million_templates"]["added_mb"] < 1000


def test_photographs_are_class_folders_of_the_held_out_images(cards, tmp_path):
    run("photographs", cards, tmp_path / "photos", "--captures", 2, "--unseen-share", 0.5)
    taken = sorted(path for path in (tmp_path / "photos").rglob("*") if path.is_file())
    classes = {path.parent.name for path in taken}
    assert 0 < len(classes) < 8
    # The document itself too, for the photographs to be recognised by.
    assert len(taken) == (1 + 2) * len(classes)
    assert all(np.asarray(Image.open(path)).std() > 1 for path in taken)


@pytest.mark.slow
def test_precisions_prints_a_row_a_file(zoo, tiny_recipe, tmp_path):
    # given: a model that tells images apart
    zoo("train", "--cfg", tiny_recipe, "-o", tmp_path / "run", "trainer.max_epochs=30", check=0)

    # when
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in run("precisions", "--run", tmp_path / "run").splitlines()[2:]
    ]

    # then
    names = [row[0] for row in rows]
    assert names[0] == "fp32"
    assert {"zoo fp16", "zoo int8", "int8 static, percentile"} < set(names)
    sizes = {name: int(row[1]) for name, row in zip(names, rows, strict=True)}
    assert sizes["zoo fp16"] < sizes["fp32"]


@pytest.mark.slow
def test_reading_compares_all_ways(cards):
    found = json.loads(run("reading", "--images", cards))
    for name in ("as_they_are", "12_megapixels"):
        assert found[name]["images"] == 8
        ways = {"zoo", "zoo_cached", "pillow", "opencv", "opencv_reduced"}
        assert set(found[name]["images_per_second_per_core"]) == ways
    memory = json.loads(run("reading", "--images", cards, "--epochs", 2))["memory"]
    assert memory["samples_per_epoch"] == 8 * 24
    assert len(memory["after_each_epoch_mb"]) == 2


def test_sampled_quality_takes_up_what_is_there(tmp_path):
    figures = {"tpr_at_fpr_1e-4": 0.25, "tpr_at_fpr_1e-3": 0.5, "auc": 0.75, "rank1": 0.125}
    for mode in ("dense", "sampled"):
        folder = tmp_path / f"{mode}-0" / "evaluation"
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps({"metrics": figures}), encoding="utf-8")
    options = ("--work", tmp_path, "--seeds", 1)
    assert json.loads(run("sampled_quality", *options, "--json"))["rows"] == [
        {"mode": mode, "seed": 0, **figures} for mode in ("dense", "sampled")
    ]
    assert "| all 10,000 classes | 0 | 0.2500 | 0.5000 | 0.7500 | 0.1250 |" in run("sampled_quality", *options)


@pytest.mark.slow
def test_training_measures_its_turns(tiny_recipe, tmp_path):
    options = ("--recipe", tiny_recipe, "--batch", 16, "--seconds", 0.2, "--rounds", 2, "--warm-up", 0.2)
    printed = run("training", *options, "--json", tmp_path / "out.json", "data.loader.num_workers=1")
    found = json.loads(printed)
    assert found == json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert {name: len(rates) for name, rates in found["turns"].items()} == dict.fromkeys(found["images_per_second"], 2)
    assert len(found["turns"]) == 3


def test_startup_prints_what_zoo_adds_to_python():
    rows = json.loads(run("startup", "--rounds", 1))["rows"]
    bases = {row["command"]: row["base"] for row in rows}
    assert bases["import zoo"] == "python -c pass"
    assert bases["zoo --help"] == "import click"
    assert all(row["ratio_of_least"] == 1 for row in rows if row["command"] == row["base"])
    assert all(row["least_s"] > 0 for row in rows)


def test_verification_measures_each_way_and_agrees_with_sklearn():
    options = ("--images", 600, "--sklearn-images", 300, "--classes", 20, "--dim", 8, "--rounds", 1)
    found = json.loads(run("verification", *options))
    assert set(found["600_images"]) == {"verify", "products", "intervals", "open_set", "fpir", "retrieval"}
    rows = [row for size in ("600_images", "300_images") for row in found[size].values()]
    assert all(row["seconds"] >= 0 and row["peak_mb"] >= row["before_mb"] > 0 for row in rows)
    assert found["300_images"]["verify"]["figure"] == pytest.approx(found["300_images"]["sklearn"]["figure"])
