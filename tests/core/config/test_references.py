from __future__ import annotations

import pytest

from zoo_core.config import load
from zoo_core.errors import RecipeError


def loaded(tmp_path, text, *overrides):
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, overrides)


@pytest.mark.parametrize("value", ["3", "1e-3", "true", "null", "text", "[1, 2]", "{a: [1]}", "'3'"])
def test_a_reference_alone_keeps_the_type(tmp_path, value):
    document = loaded(tmp_path, f'x: {value}\ny: "${{x}}"\n')

    assert document.problems == ()
    assert document.value["y"] == document.value["x"]
    assert type(document.value["y"]) is type(document.value["x"])


def test_references_look_into_lists_and_through_other_references(tmp_path):
    text = "data: {size: [96, 128]}\nshape: [1, '${data.size.0}', '${ data.size.1 }']\ncopy: ${shape.2}\n"

    assert loaded(tmp_path, text).value["copy"] == 128


def test_within_text_values_are_written_as_yaml_does(tmp_path):
    document = loaded(tmp_path, "a: 3\nb: null\nc: true\nd: x\ntext: '${a}-${b}-${c}-${d}-$${a}-$5'\n")

    assert document.value["text"] == "3-null-true-x-${a}-$5"


def test_what_was_overridden_is_what_is_referred_to(tmp_path):
    assert loaded(tmp_path, "a: 1\nb: ${a}\n", "a=2").value["b"] == 2
    assert loaded(tmp_path, "a: 1\nb: 3\n", "b=${a}").value["b"] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "data: {size: 1}\nx: ${data.sise}\n",
            ["r.yaml:2:1: x: '${data.sise}' refers to nothing; did you mean 'data.size'?"],
        ),
        ("x: ${}\n", ["r.yaml:1:1: x: '${}' refers to nothing"]),
        ("x: ${x}\n", ["r.yaml:1:1: x: '${x}' refers to itself: x -> x"]),
        ("x: {y: '${x}'}\n", ["r.yaml:1:5: x.y: '${x}' refers to itself: x -> x"]),
        ("x: a ${y\ny: 1\n", ["r.yaml:1:1: x: '${' without its '}'; write '$${' for the text itself"]),
        ("x: a ${y}\ny: [1]\n", ["r.yaml:1:1: x: '${y}' is not a single value, so it cannot be a part of text"]),
        ("l: [1]\nx: ${l.1}\n", ["r.yaml:2:1: x: '${l.1}' refers to nothing; did you mean 'l.0'?"]),
        ("a: ${b.c}\nb: 3\n", ["r.yaml:1:1: a: '${b.c}' refers to nothing"]),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, monkeypatch, text, expected):
    monkeypatch.chdir(tmp_path)

    problems = [str(problem) for problem in loaded(tmp_path, text).problems]

    assert len(problems) == len(expected)
    assert all(problem.startswith(start) for problem, start in zip(problems, expected, strict=True))


def test_a_circle_names_its_chain(tmp_path):
    problems = loaded(tmp_path, "a: ${b}\nb: ${c}\nc: ${a}\n").problems

    assert any(problem.message == "'${b}' refers to itself: b -> c -> a -> b" for problem in problems)


@pytest.mark.parametrize("item", ["['{0}', '{0}', '{0}', '{0}', '{0}', '{0}']", "'{0}{0}{0}{0}{0}{0}{0}{0}'"])
def test_references_that_multiply_are_refused(tmp_path, item):
    lines = ["a0: xxxxxxxx"] + [f"a{i}: " + item.format(f"${{a{i - 1}}}") for i in range(1, 12)]

    with pytest.raises(RecipeError, match="references expand to"):
        loaded(tmp_path, "\n".join(lines))


def test_the_place_of_a_value_is_that_of_its_reference(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = loaded(tmp_path, "a: {b: 1}\nc:\n  ${a}\n")

    assert str(document.locate(("c", "b"))) == "r.yaml:2:1: c.b"
