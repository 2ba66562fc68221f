from __future__ import annotations

import json
import re
import shutil
import warnings

import pytest
from PIL import Image

import zoo as api


@pytest.fixture
def cards(tmp_path, picture):
    for seed, name in enumerate(("passport", "bill", "ticket")):
        picture(tmp_path / "cards" / f"{name}.png", seed)
    return tmp_path / "cards"


@pytest.fixture
def pictures(tmp_path, picture):
    """Twenty strangers, of one of them two pictures, and three pictures of each registered class."""
    for seed in range(100, 120):
        picture(tmp_path / "pictures" / f"stranger{seed}.png", seed)
    picture(tmp_path / "pictures/two/1.png", 200)
    picture(tmp_path / "pictures/two/2.png", 200, noise=10)
    for seed, name in enumerate(("passport", "bill", "ticket")):
        for number in range(3):
            picture(tmp_path / "pictures" / name / f"{number}.png", seed, (40 + number, 70), noise=10)
    return tmp_path / "pictures"


@pytest.fixture
def calibrate(zoo, exported, cards, pictures):  # noqa: ARG001 - the folders that it reads
    command = ("calibrate", "--model", exported.artifact.path, "--gallery", "cards", "--data", "pictures")
    return lambda *options, **settings: zoo(*command, *options, **settings)


def test_a_threshold_is_found_written_and_used(zoo, calibrate, exported, picture, tmp_path):
    result = calibrate("--fpir", "0.2", "-o", "out/c.json", check=0)
    lines = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    document = json.loads((tmp_path / "out/c.json").read_text())
    assert lines["threshold"].strip() == f"{document['threshold']:.6f}"
    assert "FPIR at most 0.2 in 0.95 of calibrations" in lines["promise"]
    assert "of 21 classes, 22 pictures" in lines["FPIR"]
    assert lines["TPIR"].strip().startswith("1 of 3 classes, 9 pictures")
    # Where all are found again, the promise costs nothing.
    assert lines["price"].strip() == "TPIR 0.0000 behind the best guess without a promise"
    assert document["price"] == {"tpir_behind": 0.0, "little": 0.02, "classes_for_little": 14}
    assert lines["gallery"].strip() == "3 classes, 3 references"
    assert "closest strangers, to be looked at: pictures/" in result.stderr
    assert "--gallery cards --threshold out/c.json IMAGES" in result.stderr.splitlines()[-1]
    # It can be given away: it says nothing of where it was made.
    assert str(tmp_path) not in (tmp_path / "out/c.json").read_text()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c.json"]

    picture(tmp_path / "x.png", 1, noise=10)
    predict = ("predict", "--model", exported.artifact.path, "--gallery", "cards", "--json", "x.png", "--threshold")
    (found,) = json.loads(zoo(*predict, "out/c.json", check=0).stdout)["predictions"]
    assert (found["label"], found["threshold"]) == ("bill", document["threshold"])


def test_no_more_strangers_are_accepted_than_the_promise_allows(zoo, calibrate, exported):
    document = json.loads(calibrate("--fpir", "0.2", "--json", check=0).stdout)
    predict = ("predict", "--model", exported.artifact.path, "--gallery", "cards", "--json", "pictures")
    found = json.loads(zoo(*predict, "--threshold", document["threshold"], check=0).stdout)["predictions"]
    strangers = [one for one in found if "stranger" in one["path"] or "two" in one["path"]]
    assert len(strangers) == document["fpir"]["pictures"]
    # 21 strangers promise one in five when one of them is accepted at most.
    assert sum(one["label"] is not None for one in strangers) <= 1
    assert document["fpir"]["high"] <= 0.2
    assert document["expected_fpir"][-1] == {"classes": 3, "fpir": document["fpir"]["measured"]}


def test_too_few_strangers_are_told_how_many_are_missing(calibrate, tmp_path):
    result = calibrate("-o", "c.json", check=1)
    assert result.stdout == ""
    assert "error: 21 strangers are too few to promise an FPIR of 0.01 at a confidence of 0.95: it takes 299" in (
        result.stderr
    )
    assert "add 278 strangers (a folder of pictures is one), or promise an FPIR of 0.133" in result.stderr
    assert not (tmp_path / "c.json").exists()
    calibrate("--fpir", "0.133", check=0)
    for wrong in ("0", "1", "nan", "-1"):
        assert "fpir has to lie between 0 and 1" in calibrate("--fpir", wrong, check=2).stderr


def test_it_says_how_many_strangers_lower_the_price(calibrate, cards, pictures):
    # Ever less like the card, so that it matters where the threshold lies.
    whole, other = (Image.open(path) for path in (cards / "bill.png", pictures / "stranger100.png"))
    for percent in range(1, 100):
        Image.blend(whole, other, percent / 100).save(pictures / "bill" / f"{percent} percent.png")
    (line,) = (one for one in calibrate("--fpir", "0.2", check=0).stdout.splitlines() if one.startswith("price"))
    assert re.search(r"TPIR 0\.\d{4} behind the best guess without a promise; about [\d,]+ classes of strangers", line)
    assert line.endswith("of strangers bring it to 0.02")
    document = json.loads(calibrate("--fpir", "0.2", "--json", check=0).stdout)
    assert document["price"]["classes_for_little"] > 21 == document["fpir"]["classes"]
    # Strangers alone show no TPIR.
    for name in ("passport", "bill", "ticket"):
        shutil.rmtree(pictures / name)
    assert json.loads(calibrate("--fpir", "0.2", "--json", check=0).stdout)["price"] is None


@pytest.mark.usefixtures("pictures")
def test_classes_of_a_gallery_are_strangers_to_each_other(zoo, exported):
    command = ("calibrate", "--model", exported.artifact.path, "--data", "pictures", "--json")
    document = json.loads(zoo(*command, "--fpir", "0.25", check=0).stdout)
    assert document["gallery"] == {"classes": 24, "references": 31}
    assert document["independent_strangers"] == 12
    assert (document["fpir"]["classes"], document["fpir"]["pictures"]) == (24, 31)
    # Only classes with a second picture can be found again.
    assert (document["tpir"]["classes"], document["tpir"]["pictures"]) == (4, 11)
    assert "it takes 28, because" in zoo(*command, "--fpir", "0.2", check=1).stderr


def test_a_stranger_that_is_in_the_gallery_is_refused(calibrate, cards, pictures):
    (pictures / "stranger100.png").write_bytes((cards / "bill.png").read_bytes())
    result = calibrate("--fpir", "0.2", check=2)
    assert "pictures/stranger100.png: is the same file as cards/bill.png, and so no stranger to 'bill'" in result.stderr


def test_a_picture_does_not_find_itself(calibrate, cards, pictures):
    document = json.loads(calibrate("--fpir", "0.2", "--json", check=0).stdout)
    for path in cards.iterdir():
        shutil.copy(path, pictures / path.stem / "reference.png")
    again = json.loads(calibrate("--fpir", "0.2", "--json", check=0).stdout)
    assert again["tpir"] == document["tpir"]
    assert again["tpir"]["pictures"] == 9


def test_a_picture_that_cannot_be_read_is_left_out_and_named(calibrate, pictures, tmp_path):
    (pictures / "stranger100.png").write_bytes(b"bad")
    result = calibrate("--fpir", "0.2", "-o", "c.json", check=0)
    assert "warning: left out: pictures/stranger100.png: cannot be read as an image" in result.stderr
    assert json.loads((tmp_path / "c.json").read_text())["data"]["unreadable"] == 1


def test_a_threshold_of_another_model_or_gallery_is_noticed(zoo, calibrate, exported, graph_file, picture, tmp_path):
    calibrate("--fpir", "0.2", "-o", "c.json", check=0)
    predict = ("predict", "--gallery", "cards", "--threshold", "c.json", "cards", "--model")
    assert "c.json: is the threshold of another model than" in zoo(*predict, graph_file(seed=1), check=2).stderr
    assert "is for" not in zoo(*predict, exported.artifact.path, check=0).stderr
    picture(tmp_path / "cards/visa.png", 9)
    grown = zoo(*predict, exported.artifact.path, check=0)
    assert "warning: c.json is for 3 classes, and the gallery has 4: it accepts more strangers" in grown.stderr
    for content in ("[]", "{}", '{"threshold": 0.5}', "no JSON"):
        (tmp_path / "c.json").write_text(content)
        assert "error: c.json: not " in zoo(*predict, exported.artifact.path, check=2).stderr


def test_the_function_finds_the_same(calibrate, exported, cards, pictures):
    document = json.loads(calibrate("--fpir", "0.2", "--json", check=0).stdout)
    found = api.calibrate(exported.path, pictures, gallery=cards, fpir=0.2)
    assert {**found.document, "written": []} == document
    assert found.threshold == document["threshold"]
    assert found.closest[0][0].parent == pictures
    (pictures / "stranger100.png").write_bytes(b"bad")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        api.calibrate(api.load(exported.path), pictures, gallery=cards, fpir=0.2)
    assert [one.filename for one in caught] == [__file__]
    with pytest.raises(api.ZooError, match="20 strangers are too few"):
        api.calibrate(exported.path, pictures, gallery=cards)
