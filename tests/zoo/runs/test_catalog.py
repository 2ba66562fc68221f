from __future__ import annotations

import json
import os
import shutil

import pytest

from zoo.runs.catalog import add_tag, all_runs, find, latest, remove_tag, tags
from zoo.runs.layout import RunFolder
from zoo_core.errors import UsageError


@pytest.fixture
def root(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def trained(root):
    """Make a run as training leaves it, recorded at that minute: `trained("small/1", 5)`."""

    def make(name, minute, **record):
        run = RunFolder(root / name)
        run.path.mkdir(parents=True)
        run.recipe.write_text("seed: 0\n", encoding="utf-8")
        at = {"created": "2020-01-01T00:00:00+00:00", "trained_at": f"2026-01-02T03:{minute:02}:00.000001+00:00"}
        run.record.write_text(json.dumps({**at, **record}), encoding="utf-8")
        return run

    return make


def test_the_latest_run_is_the_one_that_was_trained_last_whatever_it_is_called(root, trained):
    first = trained("small/2026-01-01", 1)
    trained("large/2026-01-02", 2)
    assert latest(root).path.name == "2026-01-02"

    # A name that sorts behind every date does not make a run the latest, nor does a copy or a touched file.
    first.path.rename(root / "small" / "baseline")
    os.utime(root / "small" / "baseline" / "recipe.yaml")
    assert [run.path.name for run in all_runs(root)] == ["2026-01-02", "baseline"]
    shutil.copytree(root / "small" / "baseline", root / "small" / "zzz")
    assert latest(root).path.name == "2026-01-02"


def test_a_record_without_the_time_of_training_has_that_of_its_making(root, trained):
    trained("small/old", 1, trained_at=None, created="2026-01-01T00:00:00+00:00")
    trained("small/newer", 2, trained_at=None, created="2026-01-01T00:00:01+00:00")
    broken = trained("small/broken", 3)
    broken.record.write_text("{", encoding="utf-8")
    os.utime(broken.recipe, (0, 0))

    assert [run.path.name for run in all_runs(root)] == ["newer", "old", "broken"]


def test_no_run_is_an_error_that_says_what_to_do(root):
    with pytest.raises(UsageError, match=r"there is no run below .*runs; train one with 'zoo train RECIPE'"):
        latest(root)


def test_a_run_is_found_by_path_tag_and_folder(root, trained):
    run = trained("small/1", 1)
    other = trained("large/2", 2)
    add_tag(run, "best", root)

    for name in ("best", "1", "small/1", str(run.path)):
        assert find(name, root).path.samefile(run.path)
    # A tag is what a person said: it comes before the name of a folder.
    add_tag(run, "2", root)
    assert find("2", root).path == run.path
    assert find("large/2", root).path == other.path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bst", "there is no run 'bst', neither a folder nor a tag; did you mean 'best'"),
        ("9", "there is no run '9', neither a folder nor a tag; 'zoo runs list' shows the runs"),
        ("1", "1 names 2 runs: .*give the path of one"),
    ],
)
def test_a_name_of_no_run_or_of_several_is_an_error(root, trained, name, message):
    add_tag(trained("small/1", 1), "best", root)
    trained("large/1", 2)
    with pytest.raises(UsageError) as raised:
        find(name, root)
    assert raised.match(message) or pytest.fail(f"{raised.value}; {raised.value.hint}")


def test_a_tag_moves_and_survives_a_new_name_of_the_folder(root, trained):
    first, second = trained("small/1", 1), trained("small/2", 2)
    assert add_tag(first, "best", root) == []
    assert [run.path for run in add_tag(second, "best", root)] == [first.path]
    assert (tags(first), tags(second)) == ([], ["best"])

    second.path.rename(root / "small" / "kept")
    assert find("best", root).path == root / "small" / "kept"
    remove_tag(find("best", root), "best")
    with pytest.raises(UsageError, match="has no tag"):
        remove_tag(find("kept", root), "best")


@pytest.mark.parametrize("tag", ["", "a/b", "-x", "a=b", " a"])
def test_what_reads_as_something_else_is_no_tag(root, trained, tag):
    with pytest.raises(UsageError, match="cannot be a tag"):
        add_tag(trained("small/1", 1), tag, root)


def test_of_a_folder_of_runs_the_one_that_was_trained_last_is_meant(root, trained):
    trained("small/a", 2)
    trained("small/b", 1)
    trained("large/c", 3)
    assert find(str(root / "small"), root).path.name == "a"
    assert find(str(root), root).path.name == "c"


def test_a_run_right_below_the_folder_is_found_and_its_artifact_is_no_run(root, trained):
    trained("small/1", 1)
    mine = trained("mine", 2)
    mine.artifact.path.mkdir()
    shutil.copy(mine.recipe, mine.artifact.recipe)

    assert [run.path for run in all_runs(root)] == [mine.path, root / "small" / "1"]
    assert latest(root).path == find("mine", root).path == mine.path
    add_tag(mine, "best", root)
    assert find("best", root).path == mine.path


def test_a_run_that_no_tag_would_find_is_refused(root, trained):
    outside = trained("../elsewhere", 1)
    with pytest.raises(UsageError, match=r"elsewhere is no run below .*runs, where tags are looked for; name it by"):
        add_tag(outside, "good", root)
    assert tags(outside) == []
