from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.inference.gallery import Gallery, find_references
from zoo.models.model import Model
from zoo_core.errors import RunError, UsageError


def test_files_are_classes_and_so_are_folders(tmp_path, picture):
    for name in ("passport.png", "bill/1.png", "bill/2024/2.png", "ticket.v2.png", ".hidden/x.png"):
        picture(tmp_path / name, 0)
    labels = [(label, path.name) for label, path in find_references(tmp_path)]
    assert labels == [
        ("bill", "1.png"),
        ("bill", "2.png"),
        ("passport", "passport.png"),
        ("ticket.v2", "ticket.v2.png"),
    ]


def test_two_files_of_one_stem_are_two_references_of_one_class(tmp_path, picture, graph_file):
    picture(tmp_path / "cards/a.png", 1)
    picture(tmp_path / "cards/a.bmp", 2)
    picture(tmp_path / "cards/b.png", 3)
    gallery = Gallery.build(find_references(tmp_path / "cards"), Model.open(graph_file()))
    assert gallery.labels == ("a", "a", "b")
    best = [gallery.nearest(row)[0] for row in gallery.embeddings]
    assert [label for label, _ in best] == ["a", "a", "b"]
    assert np.allclose([score for _, score in best], 1, atol=1e-6)


@pytest.mark.parametrize("make", [True, False])
def test_no_gallery_and_an_empty_one_are_usage_errors(tmp_path, make):
    if make:
        (tmp_path / "cards").mkdir()
    with pytest.raises(UsageError, match="one picture a class"):
        find_references(tmp_path / "cards")


def test_a_broken_reference_stops_because_its_class_would_be_missing(tmp_path, picture, graph_file):
    picture(tmp_path / "cards/a.png", 1)
    (tmp_path / "cards/b.png").write_bytes(b"")
    with pytest.raises(RunError, match=r"b\.png"):
        Gallery.build(find_references(tmp_path / "cards"), Model.open(graph_file()))


@given(st.integers(1, 20), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_nearest_classes_are_those_with_the_best_reference(references, count, seed):
    random = np.random.default_rng(seed)
    rows = random.standard_normal((references + 1, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = tuple(f"class {random.integers(0, 8)}" for _ in range(references))
    nearest = Gallery(labels, rows[:-1]).nearest(rows[-1], count)
    best = {}
    for label, row in zip(labels, rows[:-1].astype(np.float64), strict=True):
        best[label] = max(best.get(label, -1.0), float(row @ rows[-1].astype(np.float64)))
    expected = sorted(best.values(), reverse=True)[:count]
    assert [score for _, score in nearest] == pytest.approx(expected, abs=1e-6)
    assert len({label for label, _ in nearest}) == len(nearest)
    assert all(abs(best[label] - score) < 1e-6 for label, score in nearest)
