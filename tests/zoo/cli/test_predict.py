from __future__ import annotations

import csv
import json
import os
import pty
import select
import signal
import subprocess

import pytest
from PIL import Image

NOT_AN_IMAGE = "cannot be read as an image (not an image of a known format); repair the file or remove it"


@pytest.fixture
def cards(tmp_path, picture):
    for seed, name in enumerate(("passport", "bill", "ticket")):
        picture(tmp_path / "cards" / f"{name}.png", seed)
    return tmp_path / "cards"


def test_images_are_named_in_aligned_columns(zoo, exported, cards, picture, tmp_path):
    picture(tmp_path / "new/1.png", 1, noise=10)
    picture(tmp_path / "new/2.png", 77)
    result = zoo("predict", "--model", exported.artifact.path, "--gallery", cards, "new", check=0)
    header, *rows = (line.split() for line in result.stdout.splitlines())
    assert header == ["PATH", "LABEL", "SCORE", "THRESHOLD", "NEAREST"]
    assert [row[:2] + row[3:4] for row in rows] == [["new/1.png", "bill", "0.8235"], ["new/2.png", "unknown", "0.8235"]]
    # Of a stranger the nearest is told.
    assert len(rows[0]) == 4
    assert rows[1][4] in {"passport", "bill", "ticket"}
    assert rows[1][5] == rows[1][2]
    assert "3 classes, 3 references" in result.stderr
    assert "threshold 0.8235: false positive rate 0.001 of pairs; with 3 references expect up to 0.003" in result.stderr


def test_a_run_folder_and_a_bare_graph_are_models_too(zoo, exported, cards, picture, tmp_path):
    picture(tmp_path / "x.png", 2)
    more = ("--gallery", cards, "--json", "--threshold", 0.5, "x.png")
    outputs = [
        zoo("predict", "--model", model, *more, check=0).stdout
        for model in (exported.path, exported.artifact.path, exported.artifact.onnx)
    ]
    assert outputs[0] == outputs[1] == outputs[2]
    document = json.loads(outputs[0])
    assert document["schema"] == 1
    assert document["errors"] == []
    (prediction,) = document["predictions"]
    assert prediction["label"] == "ticket"
    assert prediction["score"] == pytest.approx(1, abs=1e-6)
    assert prediction["threshold"] == 0.5


def test_unreadable_images_are_named_and_the_others_go_on(zoo, exported, cards, picture, tmp_path):
    picture(tmp_path / "good.png", 1)
    (tmp_path / "bad.png").write_bytes(b"bad")
    command = ("predict", "--model", exported.artifact.path, "--gallery", cards, "bad.png", "none.png", "good.png")
    result = zoo(*command, check=1)
    assert "good.png  bill" in result.stdout
    assert [line for line in result.stderr.splitlines() if line.startswith("error:")] == [
        f"error: bad.png: {NOT_AN_IMAGE}",
        "error: none.png: no such file",
    ]
    result = zoo(*command, "--json", check=1)
    assert [error["path"] for error in json.loads(result.stdout)["errors"]] == ["bad.png", "none.png"]
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "run"
    assert error["message"].splitlines() == [f"bad.png: {NOT_AN_IMAGE}", "none.png: no such file"]


def test_a_damaged_tiff_is_a_line_of_ours_and_none_of_libtiff(predict, tmp_path):
    Image.effect_noise((90, 60), 50).save(tmp_path / "bad.tif", compression="tiff_lzw")
    content = bytearray((tmp_path / "bad.tif").read_bytes())
    content[100:300] = b"\xff" * 200
    (tmp_path / "bad.tif").write_bytes(content)
    said = predict("bad.tif", check=1).stderr.splitlines()
    assert said[0].startswith("gallery: ")
    assert [line.partition(" (")[0] for line in said[1:]] == ["error: bad.tif: cannot be read as an image"]


def test_what_is_there_and_no_file_is_not_called_missing(predict, picture, tmp_path):
    picture(tmp_path / "good.png", 1)
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "lost.jpg").symlink_to("nowhere")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    long = "a" * 300 + ".jpg"
    result = predict("pipe.jpg", "/dev/zero", "lost.jpg", "loop.jpg", long, "none.jpg", "good.png", check=1)
    assert "good.png  bill" in result.stdout
    assert [line for line in result.stderr.splitlines() if line.startswith("error:")] == [
        "error: pipe.jpg: a pipe or a device, not an image file",
        "error: /dev/zero: a pipe or a device, not an image file",
        "error: lost.jpg: a link to nothing",
        "error: loop.jpg: Too many levels of symbolic links",
        f"error: {long}: File name too long",
        "error: none.jpg: no such file",
    ]


def test_a_link_to_itself_does_not_hide_the_folder_that_it_lies_in(predict, picture, tmp_path):
    picture(tmp_path / "in/good.png", 1)
    (tmp_path / "in/loop.png").symlink_to("loop.png")
    result = predict("in", check=0)
    assert "in/good.png  bill" in result.stdout
    assert "warning: left out below the folders: a link to nothing: 1" in result.stderr


def test_names_of_any_kind_are_printed_wherever_it_runs(zoo, exported, cards, picture):
    for seed, name in enumerate((b"broken\xff", b"a\nb", "\u5317\u4eac".encode())):
        picture(cards / os.fsdecode(name) / "1.png", seed + 10)
    terminal = {"PYTHONIOENCODING": "latin-1"}
    command = ("predict", "--model", exported.artifact.path, "--gallery", cards, "--threshold", "-1", "cards")

    rows = [line.split("  ")[0] for line in zoo(*command, check=0).stdout.splitlines()]
    assert rows[1:4] == [r"cards/a\nb/1.png", "cards/bill.png", r"cards/broken\xff/1.png"]
    # A terminal that lacks a character gets an escape, not an error.
    rows = [line.split()[:2] for line in zoo(*command, check=0, env=terminal).stdout.splitlines()]
    assert [r"cards/\u5317\u4eac/1.png", r"\u5317\u4eac"] in rows
    found = json.loads(zoo(*command, "--json", check=0, env=terminal).stdout)["predictions"]
    assert {"a\nb", r"broken\xff", "\u5317\u4eac"} < {one["label"] for one in found}
    wrong = zoo(*command[:-1], os.fsdecode(b"no\nsuch\xff"), check=1)
    assert wrong.stderr.splitlines()[-1] == r"error: no\nsuch\xff: no such file"
    (row,) = csv.DictReader(zoo(*command[:-1], "--csv", os.fsdecode(b"such\xff"), check=1).stdout.splitlines())
    assert (row["path"], row["error"]) == (r"such\xff", r"such\xff: no such file")


def test_another_operating_point_is_read_from_the_evaluation(zoo, exported, cards, picture, tmp_path):
    picture(tmp_path / "x.png", 1)
    command = ("predict", "--model", exported.artifact.path, "--gallery", cards, "x.png")
    document = json.loads(zoo(*command, "--fpr", "1e-4", "--json", check=0).stdout)
    assert document["predictions"][0]["threshold"] == 0.9123457
    assert "it knows 0.0001, 0.001" in zoo(*command, "--fpr", "0.5", check=2).stderr
    zoo(*command, "--fpr", "1e-4", "--threshold", "0.5", check=2)
    for value in ("nan", "inf"):
        assert f"{value} is not a finite number" in zoo(*command, "--threshold", value, check=2).stderr
    assert json.loads(zoo(*command, "--threshold", "1.5", "--json", check=0).stdout)["predictions"][0]["label"] is None


@pytest.mark.parametrize("model", ["nowhere", "./no/where", "no/such/folder", "gone.onnx"])
def test_what_is_neither_here_nor_a_name_on_the_hub_is_a_usage_error(zoo, cards, model):
    result = zoo("predict", "--model", model, "--gallery", cards, "x.png", check=2)
    assert result.stderr == (
        f"error: {model}: no such folder or file; give a folder, an .onnx file, or a model on the Hub as ORG/NAME\n"
    )


def test_an_unreadable_reference_is_named_and_the_others_are_used(zoo, exported, cards, picture, tmp_path):
    picture(tmp_path / "x.png", 1)
    (cards / "visa.png").write_bytes(b"bad")
    command = ("predict", "--model", exported.artifact.path, "--gallery", cards, "x.png")
    result = zoo(*command, check=1)
    assert "x.png  bill" in result.stdout
    assert f"error: {cards / 'visa.png'}: {NOT_AN_IMAGE}" in result.stderr
    assert "warning: no reference of visa can be read" in result.stderr
    for reference in cards.iterdir():
        reference.write_bytes(b"bad")
    assert "no picture of the gallery can be read" in zoo(*command, check=1).stderr


def test_a_path_that_is_missing_is_not_only_blamed_on_the_hub(zoo, cards):
    result = zoo(
        "predict", "--model", "missing/folder", "--gallery", cards, "x.png", check=5, env={"HF_HUB_OFFLINE": "1"}
    )
    assert "nor is there a folder missing/folder in " in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.fixture
def predict(zoo, exported, cards):
    """Run the command with a model and a gallery, at a threshold of 0.95."""
    command = ("predict", "--model", exported.artifact.path, "--gallery", cards, "--threshold", "0.95")
    return lambda *arguments, **settings: zoo(*command, *arguments, **settings)


@pytest.fixture
def start(exported, cards, tmp_path):
    """Start the command with pipes, to talk to it."""
    started = []

    def run(zoo_command, *arguments):
        command = [zoo_command, "predict", "--model", exported.artifact.path, "--gallery", cards, "--threshold", "0.95"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # Without a buffer: select sees what has come.
        started.append(subprocess.Popen([*command, *arguments], cwd=tmp_path, bufsize=0, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def zoo_command():
    import sys
    from pathlib import Path

    return Path(sys.executable).with_name("zoo")


def read_line(process, timeout=60):
    """A line of the output as soon as it is there; a program that waits for more input must not hold it back."""
    assert select.select([process.stdout], [], [], timeout)[0], "no row came"
    return process.stdout.readline().decode()


def test_a_line_of_json_for_each_image(predict, picture, tmp_path):
    picture(tmp_path / "1.png", 1, noise=10)
    picture(tmp_path / "2.png", 77)
    result = predict("1.png", "none.png", "2.png", "--jsonl", "--top-k", "2", check=1)
    bill, missing, stranger = map(json.loads, result.stdout.splitlines())
    assert [bill["path"], bill["label"], bill["threshold"]] == ["1.png", "bill", 0.95]
    assert bill["nearest"][0]["label"] == "bill"
    assert bill["nearest"][0]["score"] == bill["score"] > bill["nearest"][1]["score"]
    assert missing == {"path": "none.png", "error": "none.png: no such file"}
    assert stranger["label"] is None
    assert len(stranger["nearest"]) == 2
    assert "error: 1 of 3 pictures cannot be read" in result.stderr


def test_csv_has_a_row_for_each_image(predict, picture, tmp_path):
    picture(tmp_path / "a, b.png", 1, noise=10)
    picture(tmp_path / "2.png", 77)
    result = predict("a, b.png", "none.png", "2.png", "--csv", "--top-k", "4", check=1)
    bill, missing, stranger = csv.DictReader(result.stdout.splitlines())
    assert [bill["path"], bill["label"], bill["nearest"], bill["error"]] == ["a, b.png", "bill", "bill", ""]
    assert float(bill["score"]) > float(bill["score_2"]) > float(bill["score_3"])
    # There are three classes.
    assert bill["nearest_4"] == bill["score_4"] == ""
    assert [missing["path"], missing["label"], missing["error"]] == ["none.png", "", "none.png: no such file"]
    assert stranger["label"] == ""
    assert stranger["nearest"]
    predict("2.png", "--csv", "--json", check=2)


def test_an_empty_folder_is_one_line_and_not_the_end(predict, picture, tmp_path):
    (tmp_path / "empty").mkdir()
    picture(tmp_path / "good.png", 1)
    result = predict("empty", "good.png", check=1)
    assert "good.png  bill" in result.stdout
    assert "error: empty: holds no pictures" in result.stderr
    rows = [json.loads(line) for line in predict("empty", "good.png", "--jsonl", check=1).stdout.splitlines()]
    assert rows[0] == {"path": "empty", "error": "empty: holds no pictures"}


def test_folders_and_patterns_stand_for_their_pictures(predict, picture, tmp_path):
    for name in ("in/b.png", "in/a/2.png", "in/a/1.png", "in/a-b/3.png", "in/.hidden/x.png", "in/[1].png"):
        picture(tmp_path / name, 1)
    (tmp_path / "in/notes.txt").write_text("none of them")
    (tmp_path / "in/x.psd").write_bytes(b"")

    def paths(*arguments):
        result = predict(*arguments, "--json", check=0)
        return [one["path"] for one in json.loads(result.stdout)["predictions"]], result.stderr

    found, said = paths("in")
    assert found == ["in/[1].png", "in/a-b/3.png", "in/a/1.png", "in/a/2.png", "in/b.png"]
    assert said == "warning: left out below the folders: .psd is not read: 1\n"
    assert paths("in/*/?.png")[0] == ["in/a-b/3.png", "in/a/1.png", "in/a/2.png"]
    assert paths("in/**/*[ab123]*.png")[0] == found
    # Folders may be matched, too; in the order of their names.
    assert paths("in/a*")[0] == ["in/a/1.png", "in/a/2.png", "in/a-b/3.png"]
    # A file of that very name is meant.
    picture(tmp_path / "in/1.png", 1)
    assert paths("in/[1].png")[0] == ["in/[1].png"]
    # Files that are matched do not come again with their folders.
    assert paths("in/**/*[a1]*")[0] == ["in/1.png", "in/[1].png", "in/a/1.png"]
    assert paths("in/**/a")[0] == ["in/a/1.png", "in/a/2.png"]
    assert "error: nothing/*.png: no such file" in predict("nothing/*.png", check=1).stderr


@pytest.mark.parametrize(("end", "options"), [(b"\n", []), (b"\0", ["-0"])])
def test_names_on_stdin_are_answered_one_by_one(start, zoo_command, picture, tmp_path, end, options):
    picture(tmp_path / "a b.png", 1)
    picture(tmp_path / "in/1.png", 2)
    process = start(zoo_command, "--jsonl", *options, "-")
    # The next name is sent after the answer to the one before.
    for name, expected in (("a b.png", ["bill"]), ("in", ["ticket"]), ("none.png", [None]), ("a b.png", ["bill"])):
        process.stdin.write(name.encode() + end)
        process.stdin.flush()
        assert [json.loads(read_line(process)).get("label")] == expected
    # The last one needs no end.
    process.stdin.write(b"in/1.png")
    rest, _ = process.communicate(timeout=60)
    assert json.loads(rest)["label"] == "ticket"
    assert process.returncode == 1


def test_a_reader_that_has_enough_ends_it_quietly(start, zoo_command, picture, tmp_path):
    for number in range(50):
        picture(tmp_path / f"in/{number:02}.png", number % 3)
    process = start(zoo_command, *["in"] * 40)
    assert read_line(process).startswith("PATH")
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert process.stderr.read().decode() == "gallery: 3 classes, 3 references\n"


def test_an_interrupt_keeps_the_rows_that_are_there(start, zoo_command, picture, tmp_path):
    picture(tmp_path / "x.png", 1)
    process = start(zoo_command, "--csv", "-")
    process.stdin.write(b"x.png\nx.png\n")
    process.stdin.flush()
    rows = [read_line(process) for _ in range(3)]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert [row.split(",")[:2] for row in rows[1:]] == [["x.png", "bill"]] * 2
    assert process.stderr.read().decode().splitlines() == ["gallery: 3 classes, 3 references", "interrupted"]


def test_progress_is_shown_on_a_terminal_alone(start, zoo_command, exported, cards, picture, tmp_path):
    picture(tmp_path / "x.png", 1)
    main, terminal = pty.openpty()
    command = [zoo_command, "predict", "--model", exported.artifact.path, "--gallery", cards, "--threshold", "0.95"]
    done = subprocess.run([*command, "x.png"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal, check=True)
    os.close(terminal)
    shown = os.read(main, 2**16).decode()
    os.close(main)
    assert "images" in shown
    assert done.stdout.decode().splitlines()[1].startswith("x.png  bill")
    process = start(zoo_command, "x.png")
    assert process.communicate(timeout=60)[1].decode() == "gallery: 3 classes, 3 references\n"


def test_turned_pictures_are_recognised_with_four_orientations(predict, picture, tmp_path):
    path = picture(tmp_path / "x.png", 1, noise=10)
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    (upright,) = json.loads(predict("x.png", "--json", check=0).stdout)["predictions"]
    assert upright["label"] is None
    assert "turn" not in upright
    (found,) = json.loads(predict("x.png", "--json", "--orientations", "4", check=0).stdout)["predictions"]
    assert (found["label"], found["turn"]) == ("bill", 90)
    header, row = predict("x.png", "--orientations", "4", check=0).stdout.splitlines()
    assert header.split()[4] == "TURN"
    assert row.split()[4] == "90°"
    (row,) = csv.DictReader(predict("x.png", "--csv", "--orientations", "4", check=0).stdout.splitlines())
    assert row["turn"] == "90"


def test_workers_and_batches_change_no_score(predict, picture, tmp_path):
    for number in range(12):
        picture(tmp_path / f"in/{number}.png", number, noise=5)
    outputs = [
        predict("in", "--csv", *options, check=0).stdout
        for options in ([], ["--workers", "1"], ["--workers", "5", "--batch-size", "3", "--provider", "cpu"])
    ]
    assert outputs[0] == outputs[1] == outputs[2]
    predict("in", "--workers", "0", check=2)
    assert "pip install onnxruntime-gpu" in predict("in", "--provider", "cuda", check=4).stderr
