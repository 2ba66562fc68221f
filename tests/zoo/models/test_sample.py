from __future__ import annotations

import json

import pytest
from PIL import Image

from zoo.artifacts.manifest import write_manifest
from zoo.models.sample import check_sample
from zoo_core.errors import RunError


def test_the_sample_has_the_embedding_that_it_came_with(exported):
    assert check_sample(exported.artifact.path) == 0


def test_another_picture_or_embedding_is_told(exported):
    path = exported.artifact.sample_embedding
    document = json.loads(path.read_text())
    for change in (lambda one: one + 0.01, lambda _: float("nan")):
        path.write_text(json.dumps({**document, "embedding": [change(one) for one in document["embedding"]]}))
        write_manifest(exported.artifact.path)
        with pytest.raises(RunError, match=r"image\.png: has another embedding than"):
            check_sample(exported.artifact.path)
    path.write_text(json.dumps({**document, "embedding": [0.5]}))
    write_manifest(exported.artifact.path)
    with pytest.raises(RunError, match="has 1 numbers, and the model gives 8"):
        check_sample(exported.artifact.path)
    path.write_text(json.dumps(document))
    Image.new("RGB", (9, 9), "red").save(exported.artifact.sample_image)
    write_manifest(exported.artifact.path)
    with pytest.raises(RunError, match="has another embedding"):
        check_sample(exported.artifact.path)


def test_an_artifact_without_a_sample_is_not_judged(exported):
    exported.artifact.sample_image.unlink()
    assert check_sample(exported.artifact.path) is None
