from __future__ import annotations

import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from zoo.cli.main import cli

RECIPE = """\
extends: base/embedding.yaml
data:
  image_size: [48, 64]
  train: {name: documents/synthetic, options: {split: train, templates: 8, samples_per_template: 4}}
  valid: {name: documents/synthetic, options: {split: unseen, templates: 5, samples_per_template: 2}}
"""
FOLDERS = """\
extends: base/embedding.yaml
data:
  train: {name: images/folder, options: {root: train, split: all, cache: none}}
  valid: {name: images/folder, options: {root: valid, split: all, cache: none}}
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Run `zoo data` in this process, in a folder with two recipes: `data("check", "--json")`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "folders.yaml").write_text(FOLDERS)

    def run(*arguments, check=0):
        result = CliRunner().invoke(cli, ["data", *map(str, arguments)])
        assert check in (result.exit_code, None), result.output
        return result

    return run


def picture(path, seed, size=(60, 40), **options):
    """A smooth picture of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(seed)
    coarse = Image.fromarray(chance.integers(0, 256, (4, 6, 3), dtype=np.uint8))
    coarse.resize(size, Image.Resampling.BICUBIC).save(path, **options)


@pytest.fixture
def folders(tmp_path):
    """Three classes in training, two in validation; one picture of each side is the same."""
    for number in range(6):
        picture(tmp_path / "train" / "abc"[number // 2] / f"{number}.png", number)
    for number in range(6, 9):
        picture(tmp_path / "valid" / "de"[number // 8] / f"{number}.png", number, size=(90, 40))
    return tmp_path


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_a_sheet_has_a_row_for_each_class(data, tmp_path):
    done = data("preview", "--cfg", "small.yaml", "--classes", 3)
    assert done.stdout == "small-train.png\n"
    assert "written: small-train.png (3 of 8 classes)" in done.stderr
    assert "next: look at it, then zoo data check small.yaml" in done.stderr
    three = pixels(tmp_path / "small-train.png")
    again = data("preview", "--cfg", "small.yaml", "--classes", 3)
    assert "replaced: small-train.png" in again.stderr
    np.testing.assert_array_equal(pixels(tmp_path / "small-train.png"), three)
    data("preview", "--cfg", "small.yaml", "--classes", 5, "-o", "five.png")
    five = pixels(tmp_path / "five.png")
    assert five.shape[1] == three.shape[1]
    # Rows are of one height, below the same heading.
    row = (five.shape[0] - three.shape[0]) // 2
    assert row > 100
    for sheet, rows in ((three, 3), (five, 5)):
        inked = (sheet < 200).any((1, 2))
        top = sheet.shape[0] - rows * row
        assert all(inked[top + number * row : top + (number + 1) * row].any() for number in range(rows))


def test_captures_are_on_the_sheet_only_if_asked_for(data, tmp_path):
    weaker = "data.augmentation.options.strength=0.1"
    for side in ("train", "valid"):
        options = ("preview", "--cfg", "small.yaml", "--part", side, "--classes", 2)
        drawn = {}
        for manner in ("--plain", "--augmented"):
            for override in ((), (weaker,)):
                data(*options, manner, *override, "-o", "sheet.png")
                drawn[manner, override] = pixels(tmp_path / "sheet.png")
        np.testing.assert_array_equal(drawn["--plain", ()], drawn["--plain", (weaker,)])
        assert (drawn["--augmented", ()] != drawn["--augmented", (weaker,)]).any()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("preview",), 2, "which recipe?"),
        (("check",), 2, "which recipe?"),
        (("preview", "--cfg", "small.yaml", "-o", "recipe.yaml"), 2, "a picture is written as .png, .jpg or .webp"),
        (("check", "--cfg", "small.yaml", "--picture", "small.yaml"), 2, "a picture is written as"),
        (("check", "--cfg", "folders.yaml"), 4, "train"),
        (("preview", "--cfg", "nowhere.yaml"), 2, "nowhere.yaml"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_writes_nothing(data, tmp_path, arguments, code, message):
    before = sorted(tmp_path.iterdir())
    failed = data(*arguments, check=code)
    assert message in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_sheet_too_high_for_its_format_is_refused(data, tmp_path):
    many = ("preview", "--cfg", "small.yaml", "--plain", "--classes", 140, "data.train.options.templates=140")
    failed = data(*many, "-o", "sheet.webp", check=2)
    assert "sheet.webp: a sheet of 140 rows is higher than the 16,383 pixels of this format" in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*sheet*"))
    data(*many, "-o", "sheet.png")
    assert pixels(tmp_path / "sheet.png").shape[0] > 16_383


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("name", ["new.png", "new.jpg", "new.webp", "old.png"])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(data, tmp_path, name):
    (tmp_path / "old.png").write_bytes(b"the sheet from before")
    before = sorted(tmp_path.iterdir())
    failed = data("preview", "--cfg", "small.yaml", "-o", name, check=1)
    assert failed.stderr == f"error: {name}: File too large; make room, or write elsewhere\n"
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "old.png").read_bytes() == b"the sheet from before"


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_keeps_no_report_back(data, folders):
    for number in range(20):
        picture(folders / "train" / "a" / f"more{number}.png", 0)
        picture(folders / "valid" / "d" / f"more{number}.png", 0)
    failed = data("check", "--cfg", "folders.yaml", "--picture", "same.png", check=1)
    assert "validation" in failed.stdout
    assert failed.stderr == "error: same.png: File too large; make room, or write elsewhere\n"
    assert not list(folders.glob("*same*"))


@pytest.mark.usefixtures("folders")
def test_counts_sizes_and_balance(data):
    report = json.loads(data("check", "--cfg", "folders.yaml", "--json").stdout)
    assert report["schema"] == 1
    assert report["ok"]
    train, valid = report["parts"]
    assert (train["part"], train["name"]) == ("train", "images/folder")
    assert (train["samples"], train["classes"], train["empty_classes"]) == (6, 3, 0)
    assert train["width"] == {"min": 60, "median": 60, "max": 60}
    assert valid["width"] == {"min": 90, "median": 90, "max": 90}
    assert valid["height"] == {"min": 40, "median": 40, "max": 40}
    assert valid["samples_per_class"] == {"min": 1, "median": 1.5, "max": 2}
    assert report["duplicates"] == {"pairs": 0, "leaks": 0, "compared": 9, "listed": []}


def test_duplicates_are_found_across_classes_and_leaks_are_loud(data, folders):
    picture(folders / "train" / "c" / "copy.png", 0)  # of one in a
    picture(folders / "valid" / "e" / "leak.jpg", 3, quality=90)  # of one in b
    picture(folders / "train" / "a" / "again.png", 1)  # in its own class
    done = data("check", "--cfg", "folders.yaml", "--json", "--picture", "same.png", check=1)
    report = json.loads(done.stdout)
    assert (report["duplicates"]["pairs"], report["duplicates"]["leaks"]) == (2, 1)
    leak, copy = report["duplicates"]["listed"]
    assert (leak["kind"], leak["first"]["class"], leak["second"]["class"]) == ("near", "b", "e")
    assert (leak["first"]["part"], leak["second"]["part"]) == ("train", "valid")
    assert (copy["kind"], copy["first"]["class"], copy["second"]["class"]) == ("exact", "a", "c")
    assert report["parts"][0]["repeated_samples"] == 2
    # Not the copy, which is training's alone.
    assert "samples of 1 validation classes look like training samples (e; " in done.stderr
    assert Image.open(folders / "same.png").size[0] > 600


def test_unreadable_files_are_listed_and_fail(data, folders):
    (folders / "train" / "a" / "broken.jpg").write_bytes(b"no picture")
    (folders / "valid" / "d" / "empty.png").write_bytes(b"")
    done = data("check", "--cfg", "folders.yaml", "--json", check=1)
    report = json.loads(done.stdout)
    assert not report["ok"]
    train, valid = (part["unreadable"] for part in report["parts"])
    assert [entry["source"].replace("\\", "/") for entry in (*train, *valid)] == [
        "train/a/broken.jpg",
        "valid/d/empty.png",
    ]
    assert all(entry["reason"] and entry["samples"] == 1 for entry in (*train, *valid))
    assert report["parts"][0]["samples"] == 7
    text = data("check", "--cfg", "folders.yaml", check=1).stdout
    assert f"    {train[0]['source']}: {train[0]['reason']}" in text
    assert "  unreadable  1 samples" in text


def test_a_report_for_people(data):
    done = data("check", "--cfg", "small.yaml")
    lines = done.stdout.splitlines()
    assert lines[0] == "train: documents/synthetic"
    assert "  samples     32" in lines
    assert "  a class     2 .. 2 .. 2" in lines
    assert any(line.startswith("valid: ") for line in lines)
    assert "next: zoo train small.yaml" in done.stderr


def test_all_training_data_sets_are_read_and_shown(data, folders):
    (folders / "mixed.yaml").write_text(
        RECIPE + "  train_also:\n  - {name: images/folder, share: 0.4, options: {root: train, cache: none}}\n"
    )
    report = json.loads(data("check", "--cfg", "mixed.yaml", "--json").stdout)
    assert [part["part"] for part in report["parts"]] == ["train", "train_also.0", "valid"]
    done = data("preview", "--cfg", "mixed.yaml", "--classes", 4)
    assert "(4 of 11 classes)" in done.stderr


def test_a_stream_is_checked_and_shown(data, folders, write_tar):
    members = {}
    for number, path in enumerate(sorted((folders / "train").rglob("*.png"))):
        members[f"{number:04}.png"] = path.read_bytes() if number != 5 else b"no picture"
        members[f"{number:04}.cls"] = path.parent.name.encode()
    write_tar(folders / "shard.tar", members)
    (folders / "shards.yaml").write_text(
        FOLDERS.replace("images/folder, options: {root: train, split: all, cache: none}",
                        "images/webdataset, options: {shards: shard.tar, scan: true}")
    )  # fmt: skip
    report = json.loads(data("check", "--cfg", "shards.yaml", "--json", check=1).stdout)
    train = report["parts"][0]
    assert (train["samples"], train["classes"]) == (6, 3)
    assert [entry["samples"] for entry in train["unreadable"]] == [1]
    done = data("preview", "--cfg", "shards.yaml")
    assert "(3 of 3 classes)" in done.stderr


# As a folder on Linux may be called: line ends, terminal commands, the other direction, bytes that are not UTF-8.
HOSTILE = [
    b"a\nb",
    "a\u2029b".encode(),
    "a\u202eb".encode(),
    b"\x1b[31mred",
    b"broken\xff",
    b"-dash ",
    b"[bold]",
    b"x" * 255,
]
HOSTILE += [name.encode() for name in ("\u5317\u4eac", "\u0628\u0637", "\U0001f600", "\ufeffe\u0301")]


@pytest.fixture
def hostile(tmp_path):
    """A picture each of a class with such a name, in training and again in validation."""
    for part in ("train", "valid"):
        for number, name in enumerate(map(os.fsdecode, HOSTILE)):
            picture(tmp_path / part / name / "1.png", number)
    broken = tmp_path / "train" / "a\nb" / os.fsdecode(b"no\xffpicture\n.png")
    broken.write_bytes(b"")


@pytest.mark.usefixtures("hostile")
def test_classes_of_any_name_are_shown(data, tmp_path):
    done = data("preview", "--cfg", "folders.yaml")
    assert f"({len(HOSTILE)} of {len(HOSTILE)} classes)" in done.stderr
    assert all(line.isprintable() for line in done.stderr.splitlines())
    data("check", "--cfg", "folders.yaml", "--picture", "same.png", check=1)
    assert Image.open(tmp_path / "same.png").size[1] > 400


@pytest.mark.usefixtures("hostile")
def test_names_of_any_kind_are_printed_in_a_line_each(data):
    done = data("check", "--cfg", "folders.yaml", check=1)
    assert r"    train/a\nb/no\xffpicture\n.png: " in done.stdout
    pairs = [line.strip() for line in done.stdout.splitlines() if line.startswith("  exact")]
    assert len(pairs) == len(HOSTILE)
    for name in (r"a\nb", r"a\u2029b", r"a\u202eb", r"\x1b[31mred", r"broken\xff", "-dash ", "\u5317\u4eac"):
        assert any(f"train {name} (" in pair and f"=  valid {name} (" in pair for pair in pairs), name
    assert not set(done.stdout) & set("\x1b\u202e\u2029\udcff")


@pytest.mark.usefixtures("hostile")
def test_names_of_any_kind_are_json_in_utf_8(data):
    done = data("check", "--cfg", "folders.yaml", "--json", check=1)
    report = json.loads(done.stdout_bytes.decode("utf-8"))
    # Half a surrogate pair would not be UTF-8, escaped or not.
    assert json.dumps(report, ensure_ascii=False).encode()
    found = {pair["first"]["class"] for pair in report["duplicates"]["listed"]}
    assert found == {name.decode(errors="backslashreplace") for name in HOSTILE}


@pytest.mark.usefixtures("hostile")
def test_classes_of_any_name_are_held_out(data):
    split = "data.{0}.options={{root: train, cache: none, split: {1}}}"
    report = data("check", "--cfg", "folders.yaml", "--json", split.format("train", "train"),
                  split.format("valid", "unseen"), check=None)  # fmt: skip
    parts = json.loads(report.stdout)["parts"]
    assert sum(part["classes"] for part in parts) == len(HOSTILE)


@pytest.mark.usefixtures("folders")
def test_one_folder_for_both_fails(data, zoo):
    failed = data("check", "--cfg", "folders.yaml", "--json", "data.valid.options.root=train", check=1)
    report = json.loads(failed.stdout)
    assert report["shared_classes"] == {"count": 3, "listed": ["a", "b", "c"]}
    assert report["duplicates"]["leaks"] >= 3
    assert not report["ok"]
    (line,) = [line for line in failed.stderr.splitlines() if "validation" in line]
    assert line.startswith(
        "warning: validation shows what training sees: 3 of 3 validation classes have the name of a training class "
        "(a, b, c) and samples of 3 validation classes look like training samples (a, b, c; "
    )
    training = zoo("train", "--cfg", "folders.yaml", "--dry-run", "data.valid.options.root=train", check=0)
    assert line in training.stderr.splitlines()


def test_a_class_that_vanishes_fails_and_is_named(data, folders):
    (folders / "train" / "phone").mkdir()
    (folders / "train" / "phone" / "1.psd").touch()
    failed = data("check", "--cfg", "folders.yaml", "--json", check=1)
    left_out = json.loads(failed.stdout)["parts"][0]["left_out"]
    assert left_out["classes"] == {
        "count": 1, "listed": [["train/phone", "a class folder without an image (.psd is not read: 1)"]]
    }  # fmt: skip
    assert left_out["files"]["count"] == 1
    assert (
        "warning: data.train: 1 of 4 classes are left out: train/phone: a class folder without an image "
        "(.psd is not read: 1)" in failed.stderr
    )


def test_strict_makes_a_warning_an_error(data, folders):
    (folders / "train" / "a" / "1.psd").touch()
    share = "data.unreadable_share=0.5"
    done = data("check", "--cfg", "folders.yaml", share)
    assert "warning: data.train: 1 files are left out (.psd is not read: 1): train/a/1.psd" in done.stderr
    data("check", "--cfg", "folders.yaml", "--strict", share, check=1)


def test_notes_beside_images_are_counted_and_no_fault(data, folders):
    (folders / "train" / "a" / "notes.txt").touch()
    done = data("check", "--cfg", "folders.yaml", "--strict", "--json")
    assert json.loads(done.stdout)["parts"][0]["left_out"]["notes"]["count"] == 1


def test_a_class_of_unreadable_files_alone_is_named(data, folders):
    (folders / "train" / "lost").mkdir()
    (folders / "train" / "lost" / "1.png").write_bytes(b"no picture")
    failed = data("check", "--cfg", "folders.yaml", check=1)
    assert "  classes     4, 1 of them without a sample: lost" in failed.stdout.splitlines()
