from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from zoo_core.config import load, schema_problems, validate
from zoo_core.errors import RecipeError


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Inner(Section):
    rate: float = 1.0
    kind: Literal["slow", "fast"] = "slow"


class Outer(Section):
    size: tuple[int, int] = (1, 1)
    inner: Inner = Inner()
    inners: list[Inner] = []
    by_name: dict[str, Inner] = {}
    perhaps: Inner | None = None
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    needed: bool
    anything: dict[str, Any] = {}


def loaded(tmp_path, text, *overrides):
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, overrides)


def test_a_good_document_becomes_the_schema(tmp_path):
    outer = validate(Outer, loaded(tmp_path, "needed: true\nsize: [3, 4]\ninner: {rate: 2}\nworkers: 3\n"))

    assert outer.size == (3, 4)
    assert outer.inner.rate == 2.0
    assert outer.workers == 3


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("inner: {rte: 1}", "2:9: inner.rte: unknown key; did you mean 'rate'?"),
        ("inner: {zzz: 1}", "2:9: inner.zzz: unknown key; known keys: kind, rate"),
        ("inners: [{rate: 1}, {kid: 1}]", "2:22: inners.1.kid: unknown key; did you mean 'kind'?"),
        ("by_name: {x: {rat: 1}}", "2:15: by_name.x.rat: unknown key; did you mean 'rate'?"),
        ("perhaps: {kidn: 1}", "2:11: perhaps.kidn: unknown key; did you mean 'kind'?"),
        ("inner: {rate: '1'}", "2:9: inner.rate: should be a number, not '1'"),
        ("inner: {rate: true}", "2:9: inner.rate: should be a number, not true"),
        ("inner: {kind: fats}", "2:9: inner.kind: should be 'slow' or 'fast', not 'fats'; did you mean 'fast'?"),
        ("inner: 3", "2:1: inner: should be a mapping, not 3"),
        ("inner:", "2:1: inner: should be a mapping, not null"),
        ("inner: [1]", "2:1: inner: should be a mapping"),
        ("size: [1]", "2:1: size: missing item 1"),
        ("size: [1, 2, 3]", "2:1: size: should have at most 2 items, not 3"),
        ("size: [1, x]", "2:11: size.1: should be a whole number, not 'x'"),
        ("size: 3", "2:1: size: should be a list, not 3"),
        ("workers: many", "2:1: workers: should be a whole number or 'auto', not 'many'"),
        ("workers: -1", "2:1: workers: should be greater than or equal to 0 or 'auto', not -1"),
        ("workers: 1.5", "2:1: workers: should be a whole number or 'auto', not 1.5"),
        ("anything: {a: '${needde}'}", "2:12: anything.a: '${needde}' refers to nothing; did you mean 'needed'?"),
    ],
)
def test_errors_say_where_and_what_and_a_hint(tmp_path, monkeypatch, line, expected):
    monkeypatch.chdir(tmp_path)

    (problem,) = schema_problems(Outer, loaded(tmp_path, f"needed: true\n{line}\n"))

    assert str(problem) == f"r.yaml:{expected}"


def test_a_missing_key_is_placed_at_its_section(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert [str(one) for one in schema_problems(Outer, loaded(tmp_path, "size: [1, 2]\n"))] == [
        "r.yaml:1:1: missing key 'needed'"
    ]


def test_all_problems_come_at_once_sorted_and_each_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "workers: many\ninner:\n  rte: 1\n  rate: ${x.y}\nworkers: 1\n"

    with pytest.raises(RecipeError) as caught:
        validate(Outer, loaded(tmp_path, text, "nedeed=1", "rate=3"))

    assert str(caught.value).splitlines() == [
        "<command line>: nedeed: unknown key; did you mean 'needed'?",
        "<command line>: rate: unknown key; did you mean 'inner.rate'?",
        "r.yaml:1:1: missing key 'needed'",
        "r.yaml:1:1: workers: should be a whole number or 'auto', not 'many'",
        "r.yaml:3:3: inner.rte: unknown key; did you mean 'rate'?",
        "r.yaml:4:3: inner.rate: '${x.y}' refers to nothing",
        "r.yaml:5:1: duplicate key 'workers' (first at line 1)",
    ]


def test_long_values_and_the_rest_of_the_document_are_not_printed(tmp_path):
    (problem,) = schema_problems(Outer, loaded(tmp_path, f"needed: {'x' * 200}\nanything: {{secret: 1}}\n"))

    assert problem.message == "should be true or false"


def test_a_part_is_checked_in_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = loaded(tmp_path, "other: {}\nanything:\n  rte: 1\n  kind: 3\n")

    assert [str(one) for one in schema_problems(Inner, document, ("anything",))] == [
        "r.yaml:3:3: anything.rte: unknown key; did you mean 'rate'?",
        "r.yaml:4:3: anything.kind: should be 'slow' or 'fast', not 3",
    ]
