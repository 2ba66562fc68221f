from __future__ import annotations

import math

import pytest

from zoo_core.config.reading import MAX_BYTES, read_file
from zoo_core.errors import RecipeError


def read(tmp_path, text):
    path = tmp_path / "r.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_file(path, "r.yaml")


def problems_of(tmp_path, text):
    """All problems, whether they leave a value or not."""
    try:
        _, problems = read(tmp_path, text)
    except RecipeError as error:
        problems = error.problems
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("1.", 1.0),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("12", 12),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-02", "2024-01-02"),
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("True", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("!!float 3", 3.0),
        ("!!bool true", True),
        ("!!bool FALSE", False),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("<<", "<<"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(tmp_path, text, value):
    root, problems = read(tmp_path, f"a: {text}\n")

    assert problems == []
    assert root.plain() == {"a": value}
    assert type(root.plain()["a"]) is type(value)


def test_places_are_those_of_keys_and_items(tmp_path):
    root, _ = read(tmp_path, "a:\n  b: [1,\n    2]\n  c: {d: x}\n")
    places = {".".join(map(str, path)): (node.location.line, node.location.column) for path, node in root.walk()}

    assert places == {
        "": (1, 1),
        "a": (1, 1),
        "a.b": (2, 3),
        "a.b.0": (2, 7),
        "a.b.1": (3, 5),
        "a.c": (4, 3),
        "a.c.d": (4, 7),
    }


def test_a_number_as_key_is_its_text(tmp_path):
    root, problems = read(tmp_path, 'axes: {0: batch, "1": height}\n')

    assert problems == []
    assert root.plain() == {"axes": {"0": "batch", "1": "height"}}


def test_merge_keys_give_way_to_own_keys_and_earlier_ones_win(tmp_path):
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], c: 3}\n"
    root, problems = read(tmp_path, text)

    assert problems == []
    assert root.plain()["z"] == {"a": 1, "b": 1, "c": 3}


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path):
    root, _ = read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")

    assert root.plain() == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "r.yaml:3:1: duplicate key 'a' (first at line 1)"),
        ("a:\n\tb: 1\n", "r.yaml:2:1: not YAML: found character '\\t' that cannot start any token; indent with spaces"),
        ("a: [1, 2\nb: 3\n", "r.yaml:2:2: not YAML: "),
        ("a: [${b}]\n", "r.yaml:1:6: not YAML: expected ',' or ']', but got '{'; within [] and {} put quotes around"),
        ("a: b: c\n", "r.yaml:1:5: not YAML: mapping values are not allowed here"),
        ("a: *nowhere\n", "r.yaml:1:4: not YAML: found undefined alias"),
        ("a: 1\n---\nb: 2\n", "r.yaml:2:1: not YAML: "),
        ("", "r.yaml: the file is empty"),
        ("# nothing\n", "r.yaml: the file is empty"),
        ("- a\n", "r.yaml:1:1: the top level should be a mapping of sections, not a list"),
        ("word\n", "r.yaml:1:1: the top level should be a mapping of sections, not a single value"),
        (b"a: 1\nb: caf\xe9\n", "r.yaml:2:7: is not UTF-8 text; save the file as UTF-8"),
        (b"\xff\xfea\x00", "r.yaml:1:1: is not UTF-8 text"),
        ("a: \x00\n", "r.yaml:1:4: not YAML: character U+0000 is not allowed"),
        ("a: !!python/object/apply:os.system [id]\n", "r.yaml:1:4: the tag '!!python/object/apply:os.system' is not"),
        ("a: !mine 3\n", "r.yaml:1:4: the tag '!mine' is not allowed"),
        ("a: !!int x\n", "r.yaml:1:4: a number that cannot be read"),
        ("a: !!bool yes\n", "r.yaml:1:4: the tag '!!bool' is not allowed"),
        ("a: !!bool 1\n", "r.yaml:1:4: the tag '!!bool' is not allowed"),
        ("a: !!set {b}\n", "r.yaml:1:4: the tag '!!set' is not allowed"),
        (f"a: {'9' * 5000}\n", "r.yaml:1:4: a number that cannot be read"),
        ('a: "\\ud800"\n', "r.yaml:1:4: text with half a surrogate pair"),
        ("? [a, b]\n: 1\n", "r.yaml:1:3: a key should be text, not a list or a mapping"),
        ("a: {<<: 3}\n", "r.yaml:1:9: '<<' should be given a mapping"),
        ("a: &a [*a]\n", "r.yaml:1:4: an alias refers to what it is a part of"),
        ("a: " + "[" * 3000 + "]" * 3000, "r.yaml: not a recipe: nested too deeply"),
        (b"#" * (MAX_BYTES + 1), "r.yaml: is larger than 1,000,000 bytes"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_on_one_line(tmp_path, text, expected):
    (problem,) = problems_of(tmp_path, text)

    assert problem.startswith(expected)
    assert "\n" not in problem


def test_all_duplicates_are_told_at_once(tmp_path):
    assert [text.split(": ")[0] for text in problems_of(tmp_path, "a: 1\na: 2\nb: {c: 1, c: 2}\n")] == [
        "r.yaml:2:1",
        "r.yaml:3:11",
    ]


def test_aliases_that_multiply_are_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]

    (problem,) = problems_of(tmp_path, "\n".join(lines))

    assert "aliases expand to more than 100,000 values" in problem


def test_folders_and_missing_files_are_named(tmp_path):
    with pytest.raises(RecipeError, match="there: is a folder, not a recipe file"):
        read_file(tmp_path, "there")
    with pytest.raises(RecipeError, match="there: no such file"):
        read_file(tmp_path / "x.yaml", "there")
