"""A folder that is replaced whole."""

from __future__ import annotations

import ctypes
import errno
from types import SimpleNamespace

import pytest

from zoo.artifacts.swap import recover_folder, replacing_folder
from zoo.atomic import write_text


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture(params=["at once", "by two renames", "by a system that refuses"])
def folder(request, tmp_path, monkeypatch):
    """An artifact on systems that can exchange folders, and that cannot."""
    if request.param == "by two renames":
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace())
    elif request.param == "by a system that refuses":
        monkeypatch.setattr(
            ctypes, "CDLL", lambda *_, **__: SimpleNamespace(renameat2=lambda *_: ctypes.set_errno(errno.EINVAL) or -1)
        )
    made = tmp_path / "artifact"
    made.mkdir()
    write_text(made / "kept", "kept")
    write_text(made / "changed", "old")
    return made


def test_all_changes_come_together_and_the_rest_stays(folder):
    with replacing_folder(folder) as staged:
        write_text(staged / "changed", "new")
        write_text(staged / "added", "new")
        assert contents(folder) == {"kept": "kept", "changed": "old"}
    assert contents(folder) == {"kept": "kept", "changed": "new", "added": "new"}
    assert [path.name for path in folder.parent.iterdir()] == ["artifact"]


def test_an_error_leaves_the_old_folder_and_nothing_beside_it(folder):
    def fail():
        with replacing_folder(folder) as staged:
            write_text(staged / "changed", "new")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert contents(folder) == {"kept": "kept", "changed": "old"}
    assert [path.name for path in folder.parent.iterdir()] == ["artifact"]


def test_what_a_killed_process_left_is_cleared(folder):
    (folder.parent / ".artifact.new").mkdir()
    write_text(folder.parent / ".artifact.new" / "half", "half")
    with replacing_folder(folder) as staged:
        write_text(staged / "changed", "new")
    assert contents(folder) == {"kept": "kept", "changed": "new"}
    assert [path.name for path in folder.parent.iterdir()] == ["artifact"]


def test_a_replacement_killed_between_its_renames_is_finished(folder):
    folder.rename(folder.parent / ".artifact.old")
    (folder.parent / ".artifact.new").mkdir()
    write_text(folder.parent / ".artifact.new" / "changed", "new")
    recover_folder(folder)
    assert contents(folder) == {"changed": "new"}


def test_a_first_folder_is_made(tmp_path):
    with replacing_folder(tmp_path / "runs" / "artifact") as staged:
        write_text(staged / "onnx" / "model.onnx", "new")
        assert not (tmp_path / "runs" / "artifact").exists()
    assert (tmp_path / "runs" / "artifact" / "onnx" / "model.onnx").read_text() == "new"
