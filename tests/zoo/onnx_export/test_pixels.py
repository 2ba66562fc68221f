"""The image input of a graph: what its shape says, and pictures in its form."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.onnx_export.pixels import PixelInput, patterns
from zoo_core import images as preprocessing
from zoo_core.api import Preprocessing

FIXED, ANY = {0: "batch"}, {0: "batch", 2: "height", 3: "width"}


def pixels(shape=(1, 3, 24, 32), dtype="float32", axes=FIXED):
    return PixelInput("img", shape, dtype, axes)


@pytest.mark.parametrize(
    ("shape", "axes", "layout", "size"),
    [
        ((1, 3, 24, 32), FIXED, "NCHW", (24, 32)),
        ((1, 24, 32, 3), FIXED, "NHWC", (24, 32)),
        # Both would do.
        ((1, 3, 24, 3), FIXED, "NCHW", (24, 3)),
        ((1, 3, 24, 32), ANY, "NCHW", (None, None)),
        ((1, 3, 24, 32), {3: "width"}, "NCHW", (24, None)),
        ((1, 24, 32, 3), {1: "height"}, "NHWC", (None, 32)),
        ((1, 1, 24, 32), FIXED, None, (24, 32)),
        ((1, 3, 24), {0: "batch", 2: "height", 3: "width"}, None, (None, None)),
    ],
)
def test_a_shape_says_layout_and_size(shape, axes, layout, size):
    assert pixels(shape, axes=axes).layout == layout
    assert pixels(shape, axes=axes).size == size


def test_two_images_are_traced_where_the_batch_is_open():
    assert pixels().batch is None
    assert pixels().example_shape() == (2, 3, 24, 32)
    assert pixels((5, 3, 24, 32), axes={2: "height"}).batch == 5
    assert pixels((5, 3, 24, 32), axes={2: "height"}).example_shape() == (5, 3, 24, 32)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_images_of_any_size_become_one_array(dtype):
    images = [np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8) for size in ((24, 32), (40, 20))]
    images[0][0, 0] = 0, 255, 51
    expected = np.stack([images[0], preprocessing.resize(images[1], (24, 32))])
    flat = pixels((1, 24, 32, 3), dtype).array(images, (24, 32))
    assert flat.dtype == dtype
    assert np.array_equal(np.rint(flat * 255) if dtype == "float32" else flat, expected)
    assert flat[0, 0, 0].tolist() == ([0, 255, 51] if dtype == "uint8" else [0, 1, np.float32(0.2)])
    planes = pixels(dtype=dtype).array(images, (24, 32))
    assert planes.flags.c_contiguous
    assert planes.dtype == dtype
    assert np.array_equal(planes, flat.transpose(0, 3, 1, 2))


def test_batches_are_of_1_3_and_16_images_each_of_another_size_where_any_will_do():
    few = patterns(2)
    assert [batch.shape for batch in pixels(axes=ANY).batches(few)] == [
        (1, 3, 480, 640),
        (3, 3, 131, 97),
        (16, 3, 224, 224),
    ]
    assert [batch.shape for batch in pixels(axes={0: "batch", 3: "width"}).batches(few)] == [
        (1, 3, 24, 640),
        (3, 3, 24, 97),
        (16, 3, 24, 224),
    ]
    *_, last = pixels().batches(few)
    assert last.shape == (16, 3, 24, 32)
    # In turn.
    assert np.array_equal(last[0], last[2])
    assert not np.array_equal(last[0], last[1])
    (only,) = pixels((5, 3, 24, 32), axes={}).batches(few)
    assert only.shape == (5, 3, 24, 32)


@pytest.mark.parametrize(
    ("shape", "dtype", "axes", "said"),
    [
        ((1, 3, 24, 32), "float32", FIXED, {"layout": "NCHW", "dtype": "float32", "size": [24, 32], "range": [0, 1]}),
        ((1, 24, 32, 3), "uint8", FIXED, {"layout": "NHWC", "dtype": "uint8", "size": [24, 32], "range": [0, 255]}),
        ((1, 3, 24, 32), "uint8", ANY, {"layout": "NCHW", "dtype": "uint8", "size": None, "range": [0, 255]}),
        ((1, 3, 24, 32), "uint8", {2: "h"}, {"layout": "NCHW", "dtype": "uint8", "size": None, "range": [0, 255]}),
        ((1, 3, 24, 32), "uint8", {3: "w"}, {"layout": "NCHW", "dtype": "uint8", "size": None, "range": [0, 255]}),
    ],
)
def test_the_graph_is_told_how_to_prepare_an_image(shape, dtype, axes, said):
    assert pixels(shape, dtype, axes).describe(Preprocessing((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))) == {
        **said,
        "color": "RGB",
        "resample": "bilinear",
        "antialias": True,
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "normalization": "in graph",
    }


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
