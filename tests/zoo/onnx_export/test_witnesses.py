"""The images that a proof is made on."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.onnx_export.witnesses import Witnesses, patterns, write_odd_files
from zoo_core.images import read_image


@pytest.mark.parametrize("count", [1, 3, 20, 65, 300])
def test_a_batch_of_any_size_is_of_distinct_images(count):
    batch = Witnesses(tuple(patterns(20)), "patterns").batch(count, (24, 32))
    assert (batch.shape, batch.dtype) == ((count, 24, 32, 3), np.uint8)
    assert len(np.unique(batch.reshape(count, -1), axis=0)) == count


def test_odd_files_are_read(tmp_path):
    files = write_odd_files(tmp_path)
    shapes = {path.stem: read_image(path).shape[:2] for path in files}
    assert (shapes["tiny"], shapes["wide"], shapes["tall"]) == ((2, 3), (24, 1200), (1200, 24))
    # Upright as its tag says.
    assert (shapes["large"], shapes["turned"]) == ((3000, 4000), (320, 240))


def test_patterns_are_distinct_and_drawn_by_the_seed():
    drawn = patterns(3)
    assert [(image.shape, image.dtype) for image in drawn] == [((240, 320, 3), np.uint8)] * 3
    assert len(np.unique(np.stack(drawn), axis=0)) == 3
    assert np.array_equal(patterns(3), drawn)
    assert np.array_equal(patterns(3, seed=0), drawn)
    assert not np.array_equal(patterns(3, seed=1), drawn)
    # The same on every machine, but for the rounding of a resize.
    assert [image.mean() for image in drawn] == pytest.approx([129.679, 128.79, 131.744], abs=0.05)
    # Rectangles and the colours between: of neither alone.
    for image in drawn:
        steps = np.abs(np.diff(image.astype(int), axis=1)).sum(axis=2)
        assert 0.1 < (steps == 0).mean() < 0.9
        assert steps.max() > 100
