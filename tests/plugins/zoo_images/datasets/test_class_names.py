from __future__ import annotations

import pytest

from zoo_core.api import ComponentError
from zoo_images.datasets.class_names import read_class_names


def test_classes_come_from_lines_or_json(tmp_path):
    (tmp_path / "c.txt").write_text("\ufeffcat\n big dog \n\n", encoding="utf-8")
    (tmp_path / "lines.txt").write_bytes("a\u2029b\r\nc\x0cd\n".encode())
    (tmp_path / "c.json").write_text('["cat", 7]')
    # Whatever else may end a line belongs to a name.
    assert read_class_names(str(tmp_path / "lines.txt")) == ["a\u2029b", "c\x0cd"]
    assert read_class_names(str(tmp_path / "c.txt")) == ["cat", "big dog"]
    assert read_class_names(str(tmp_path / "c.json")) == ["cat", "7"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.txt", "a\n\nb\n", r"c\.txt:2: no name"),
        ("c.txt", "a\nb\na\n", r"c\.txt:3: 'a' stands in line 1"),
        ("c.txt", "", "no classes"),
        ("c.json", "{", "cannot be read"),
        ("c.json", '{"a": 1}', "no classes"),
        ("d.txt", None, "cannot be read"),
    ],
)
def test_wrong_lists_of_classes(tmp_path, name, text, words):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ComponentError, match=words) as caught:
        read_class_names(str(tmp_path / name))
    assert caught.value.problems[0].hint
