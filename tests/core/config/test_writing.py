from __future__ import annotations

import math
import tempfile
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_core.config import dump, load

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "on",
        "1e-3",
        "no",
        "null",
        "~",
        "",
        "0x1f",
        "1_000",
        "2024-01-02",
        "${a}",
        "$${a}",
        "<<",
        "=",
        "a: b",
        "- x",
        "1:30",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(text.filter(lambda key: key != "extends"), inner, max_size=3)
    ),
    max_leaves=12,
)


def written_and_read(value):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.yaml"
        path.write_bytes(dump({"value": value}).encode())
        document = load(path)
    assert document.problems == ()
    return document.value["value"]


@settings(deadline=None)
@given(values)
def test_what_is_written_reads_the_same(value):
    assert written_and_read(value) == value


@settings(deadline=None)
@given(st.floats(allow_nan=False))
def test_floats_keep_every_bit_and_their_type(value):
    read = written_and_read(value)

    assert type(read) is float
    assert math.copysign(1, read) == math.copysign(1, value)
    assert read == value


@settings(deadline=None)
@given(st.dictionaries(text, scalars, min_size=2, max_size=5))
def test_keys_keep_their_order(value):
    assert list(written_and_read(value)) == list(value)


@settings(deadline=None)
@given(text)
def test_any_other_yaml_reader_agrees_about_text(value):
    read = yaml.safe_load(dump({"value": value}))["value"]

    assert read == value.replace("${", "$${")


def test_it_is_written_for_people():
    assert dump({"b": {"name": "x", "options": {"lr": 1e-3, "sizes": (1, 2)}}, "a": 1e-05, "text": "é"}) == (
        "b:\n  name: x\n  options:\n    lr: 0.001\n    sizes: [1, 2]\na: 1.0e-05\ntext: é\n"
    )
