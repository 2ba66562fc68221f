from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

from zoo_core.images import resize
from zoo_onnx.wrappers import TransformersJs, WarpFeatureLearning, WarpFeatureLearningPixels, resize_bilinear


class Model(nn.Module):
    """The pixels themselves as embedding, so that a test sees what reaches the backbone."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Identity()
        self.head = nn.Flatten()


def picture(height, width, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def pillow(image, size):
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def resized(image, size):
    return resize_bilinear(torch.from_numpy(image).permute(2, 0, 1), size).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", [(96, 96), (100, 77)])
@pytest.mark.parametrize(
    "shape", [(96, 96), (480, 640), (33, 50), (1, 1), (2, 3), (192, 288), (600, 1000), (48, 48), (400, 400)]
)
def test_the_resize_is_that_of_pillow_bit_for_bit(shape, size):
    image = picture(*shape)
    np.testing.assert_array_equal(resized(image, size), pillow(image, size))


@pytest.mark.parametrize("shape", [(97, 95), (300, 20), (500, 180)])
def test_where_pillow_takes_columns_first_pixels_differ_by_one_level_at_most(shape):
    image = picture(*shape)
    differences = np.abs(resized(image, (96, 96)) - pillow(image, (96, 96)))
    assert differences.max() <= 1


def test_extremes_stay_in_range():
    image = np.zeros((50, 50, 3), np.uint8)
    image[::2] = 255
    found = resized(image, (31, 200))
    assert found.min() >= 0
    assert found.max() <= 255
    np.testing.assert_array_equal(resized(np.full((7, 9, 3), 255, np.uint8), (20, 20)), 255.0)


def test_embeddings_have_length_one():
    wrapper = WarpFeatureLearning(Model())
    embeddings = wrapper(torch.rand(3, 3, 8, 8))
    np.testing.assert_allclose(embeddings.norm(dim=1).numpy(), 1, atol=1e-6)


def test_both_wrappers_show_the_backbone_the_same_pixels():
    image = picture(40, 60)
    plain = torch.from_numpy(pillow(image, (24, 24)).astype(np.float32) / 255).permute(2, 0, 1)[None]
    expected = WarpFeatureLearning(Model())(plain)
    found = WarpFeatureLearningPixels(Model(), (24, 24))(torch.from_numpy(image)[None])
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("factor", [np.float32(1) / np.float32(255), np.float64(1) / 255])
def test_of_fractions_the_bytes_are_restored_whoever_divided(factor):
    image = picture(40, 60)
    image.reshape(-1)[:256] = np.arange(256)
    expected = WarpFeatureLearningPixels(Model(), (24, 24))(torch.from_numpy(image)[None])
    fractions = (image * factor).astype(np.float32).transpose(2, 0, 1)[None]
    found = TransformersJs(Model(), (24, 24))(torch.from_numpy(fractions))
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


class Resize(nn.Module):
    def forward(self, pixels):
        return resize_bilinear(pixels.permute(0, 3, 1, 2), (96, 80)).to(torch.uint8).permute(0, 2, 3, 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # as below
def test_the_graph_resizes_as_the_reader_does_from_16_to_4000_pixels(tmp_path):
    pixels = torch.zeros((2, 50, 60, 3), dtype=torch.uint8)
    axes = {"pixels": {0: "batch", 1: "height", 2: "width"}}
    torch.onnx.export(
        Resize(),
        (pixels,),
        tmp_path / "a.onnx",
        input_names=["pixels"],
        dynamic_axes=axes,
        opset_version=16,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    for shape in (
        (16, 16),
        (16, 4000),
        (4000, 16),
        (4000, 3000),
        (96, 80),
        (97, 4000),
        (4000, 79),
        (1000, 1500),
        (31, 29),
    ):
        image = picture(*shape)
        (found,) = session.run(None, {"pixels": image[None]})
        assert np.abs(found[0].astype(int) - resize(image, (96, 80))).max() <= 1, shape


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's newer exporter starts at opset 18
def test_the_graph_takes_any_batch_and_any_size_at_opset_16(tmp_path):
    path = tmp_path / "pixels.onnx"
    wrapper = WarpFeatureLearningPixels(Model(), (24, 32))
    torch.onnx.export(
        wrapper.eval(),
        (torch.zeros((2, 50, 60, 3), dtype=torch.uint8),),
        path,
        input_names=["pixels"],
        output_names=["feats"],
        dynamic_axes={"pixels": {0: "batch", 1: "height", 2: "width"}, "feats": {0: "batch"}},
        opset_version=16,
        dynamo=False,
    )
    assert onnx.load(path).opset_import[0].version == 16
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch, height, width in ((1, 24, 32), (3, 200, 300), (2, 7, 5)):
        images = np.stack([picture(height, width, seed) for seed in range(batch)])
        pixels = np.stack([pillow(image, (24, 32)) for image in images]).transpose(0, 3, 1, 2).reshape(batch, -1)
        expected = pixels / np.linalg.norm(pixels.astype(np.float64), axis=1, keepdims=True)
        np.testing.assert_allclose(session.run(None, {"pixels": images})[0], expected, atol=1e-6)
