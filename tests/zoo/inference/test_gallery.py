from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.inference.gallery import Gallery, find_references
from zoo.models.onnx_embedder import Embedder
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
    embedder = Embedder.open(graph_file())
    gallery = Gallery.build(find_references(tmp_path / "cards"), embedder)
    assert gallery.labels == ("a", "a", "b")
    labels, scores = gallery.match(gallery.embeddings)
    assert labels == ["a", "a", "b"]
    assert np.allclose(scores, 1, atol=1e-6)


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
        Gallery.build(find_references(tmp_path / "cards"), Embedder.open(graph_file()))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_the_best_cosine_over_all_references_wins(references, queries, seed):
    chance = np.random.default_rng(seed)
    rows = chance.standard_normal((references + queries, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    gallery = Gallery(tuple(f"class {i // 2}" for i in range(references)), rows[:references])
    labels, scores = gallery.match(rows[references:])
    for query, label, score in zip(rows[references:].astype(np.float64), labels, scores, strict=True):
        cosines = [float(query @ one) for one in rows[:references].astype(np.float64)]
        assert abs(score - max(cosines)) < 1e-6
        assert label in {gallery.labels[i] for i, cosine in enumerate(cosines) if cosine > max(cosines) - 1e-6}
