"""The image input of a graph: what its shape says, and images in its form."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.onnx_export.pixels import PixelInput
from zoo.onnx_export.witnesses import Witnesses, patterns
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


def test_batches_are_of_the_models_size_and_where_any_will_do_of_others_too():
    witnesses = Witnesses(tuple(patterns(2)), "patterns")
    assert [batch.shape for batch in pixels().arrays(witnesses, (1, 3), (24, 32))] == [(1, 3, 24, 32), (3, 3, 24, 32)]
    assert [batch.shape for batch in pixels(axes=ANY).arrays(witnesses, (1, 3), (24, 32))] == [
        (1, 3, 24, 32),
        (3, 3, 24, 32),
        (1, 3, 131, 97),
        (1, 3, 480, 640),
    ]
    (only,) = pixels((5, 3, 24, 32), axes={}).arrays(witnesses, (5,), (24, 32))
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
