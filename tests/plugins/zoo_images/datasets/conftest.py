from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from zoo_images.datasets import decoded_images
from zoo_images.datasets.decoded_images import DecodedImages
from zoo_images.datasets.decoding import read_reduced


@pytest.fixture
def class_folders(tmp_path):
    """Three class folders of two images each, with hidden files, another file and an empty folder."""
    generator = np.random.default_rng(0)
    for name in ("beta", "alpha", "gamma"):
        for image in ("1.png", "deep/er/2.PNG", ".hidden.png"):
            path = tmp_path / name / image
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(path, format="png")
    (tmp_path / "alpha" / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.fixture
def pictures(tmp_path):
    generator = np.random.default_rng(0)
    paths = []
    for number in range(6):
        paths.append(tmp_path / "pictures" / f"{number}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        shape = (20 + number, 40, 3)
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(paths[-1])
    return paths


@pytest.fixture
def images(pictures, tmp_path):
    def make(**options):
        return DecodedImages(
            pictures, pictures[0].parent, **{"max_side": 32, "cache": str(tmp_path / "cache"), "cache_mb": 1, **options}
        )

    return make


@pytest.fixture
def decoded(monkeypatch):
    """The paths that were decoded."""
    paths = []

    def counting(path, side):
        paths.append(path)
        return read_reduced(path, side)

    monkeypatch.setattr(decoded_images, "read_reduced", counting)
    return paths


@pytest.fixture
def numbered_images():
    """Write ``count`` images into a new folder, each uniform in the grey of its index."""

    def write(folder, count):
        folder.mkdir()
        for number in range(count):
            Image.new("RGB", (64, 48), (number,) * 3).save(folder / f"{number:03}.png")
        return sorted(folder.glob("*.png"))

    return write
