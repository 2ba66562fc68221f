from __future__ import annotations

import subprocess
import sys

import pytest

from zoo.runs.layout import RunFolder
from zoo.runs.lock import LOCK, locked
from zoo_core.errors import UsageError

HOLD = """
import sys, time
from pathlib import Path
from zoo.runs.layout import RunFolder
from zoo.runs.lock import locked
with locked(RunFolder(Path(sys.argv[1])), new=True):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other_training(tmp_path):
    """Another process that trains into a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "run"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_training_into_a_folder_is_refused_until_the_first_ends(zoo, tiny_recipe, tmp_path, other_training):
    refused = zoo("train", "--cfg", tiny_recipe, "--output", tmp_path / "run", check=2)
    assert "another training" in refused.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]

    other_training.kill()
    other_training.wait()
    # Its lock is still there, but nobody holds it.
    assert (tmp_path / "run" / LOCK).exists()
    with locked(RunFolder(tmp_path / "run"), new=True):
        pass


def test_a_resumed_run_is_claimed_too(tmp_path, other_training):
    with pytest.raises(UsageError, match="another training"), locked(RunFolder(tmp_path / "run"), new=False):
        pass
    assert other_training.poll() is None


def test_a_training_that_never_began_leaves_nothing(tmp_path):
    with locked(RunFolder(tmp_path / "a" / "b" / "c"), new=True):
        assert (tmp_path / "a" / "b" / "c" / LOCK).is_file()

    assert not list(tmp_path.iterdir())


def test_what_a_training_wrote_stays_and_its_lock_goes(tmp_path):
    with locked(RunFolder(tmp_path / "a"), new=True):
        (tmp_path / "a" / "record.json").write_text("{}", encoding="utf-8")

    assert [path.name for path in (tmp_path / "a").iterdir()] == ["record.json"]


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_what_is_no_folder_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("mine", encoding="utf-8")

    with pytest.raises(UsageError, match="is no folder"), locked(RunFolder(tmp_path / name), new=True):
        pass
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
