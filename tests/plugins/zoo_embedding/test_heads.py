from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from zoo_core.api import FeatureLevel, Head, RunError
from zoo_embedding import heads

# As of lcnet_050.
LEVELS = (FeatureLevel(128, 16), FeatureLevel(256, 32))
NAMES = ["flatten_bn", "flatten_ln", "gap_ln", "squeeze_ln", "squeeze_lbn"]
# Counted by hand for 256 channels, 3x3 positions (96x96 at stride 32) and 128 numbers.
PARAMETERS = {
    "flatten_bn": 2304 * 128 + 256 + 128 * 128 + 256,
    "flatten_ln": 2304 * 128 + 256 + 128 * 128 + 256,
    "gap_ln": 256 * 128 + 256 + 128 * 128 + 256,
    "squeeze_ln": 256 * 64 + 576 * 128 + 256 + 128 * 128 + 256,
    "squeeze_lbn": 256 * 64 + 576 * 128 + 512 + 128 * 128 + 512,
}


def made(name, image_size=(96, 96), embed_dim=128):
    torch.manual_seed(0)
    wired = {"feature_levels": LEVELS} | ({} if name == "gap_ln" else {"image_size": image_size})
    head = getattr(heads, name)(**wired, embed_dim=embed_dim)
    # Norms are the identity when new; give them something to do.
    with torch.no_grad():
        for parameter in head.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5)
    return head


def maps(size=(3, 3), batch=4):
    torch.manual_seed(1)
    height, width = size
    return [torch.randn(batch, 128, 2 * height, 2 * width), torch.randn(batch, 256, height, width)]


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_have_the_asked_length(name):
    head = made(name)
    assert head(maps()).shape == (4, 128)
    assert head.embedding_dim == 128
    assert isinstance(head, Head)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_counted_by_hand(name):
    assert sum(parameter.numel() for parameter in made(name).parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", NAMES)
def test_no_linear_or_convolution_has_a_bias(name):
    with_bias = [type(module).__name__ for module in made(name).modules() if getattr(module, "bias", None) is not None]
    assert set(with_bias) <= {"LayerNorm", "BatchNorm1d"}


def layer_norm(x, weight, bias):
    mean = x.mean(axis=1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def batch_norm(x, weight, bias):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) * weight + bias


def reference(name, head, last):
    """The head in numpy and float64, in training mode."""
    weights = [parameter.detach().double().numpy() for parameter in head.parameters()]
    x = last.double().numpy()
    if name.startswith("squeeze"):
        x = np.einsum("nchw,dc->ndhw", x, weights.pop(0)[:, :, 0, 0])
    x = x.mean(axis=(2, 3)) if name == "gap_ln" else x.reshape(len(x), -1)
    norms = {"bn": [batch_norm], "ln": [layer_norm], "lbn": [layer_norm, batch_norm]}[name.partition("_")[2]]
    while weights:
        x = x @ weights.pop(0).T
        for norm in norms:
            x = norm(x, weights.pop(0), weights.pop(0))
    return x


@pytest.mark.parametrize("name", NAMES)
def test_numpy_in_float64_agrees(name):
    head, features = made(name), maps(batch=8)
    np.testing.assert_allclose(
        head(features).detach().numpy(), reference(name, head, features[-1]), rtol=1e-4, atol=2e-5
    )


@pytest.mark.parametrize("name", NAMES)
def test_memory_format_makes_no_difference(name):
    head, features = made(name).eval(), maps()
    last = features[-1].contiguous(memory_format=torch.channels_last)
    assert not last.is_contiguous()
    with torch.no_grad():
        torch.testing.assert_close(head([last]), head([features[-1]]), rtol=0, atol=1e-5)


def test_height_and_width_need_not_be_equal_or_multiples_of_the_stride():
    head = made("flatten_ln", image_size=(100, 60))
    assert head(maps((4, 2))).shape == (4, 128)


@pytest.mark.parametrize("name", ["flatten_ln", "flatten_bn", "squeeze_ln", "squeeze_lbn"])
def test_a_map_of_another_size_is_named_with_what_was_expected(name):
    with pytest.raises(RunError, match=r"map of 256x3x3 \(channels, height, width\), but got 256x4x4"):
        made(name)(maps((4, 4)))


def test_the_mean_takes_any_size_but_not_any_channels():
    head = made("gap_ln")
    assert head(maps((5, 2))).shape == (4, 128)
    with pytest.raises(RunError, match=r"256xanyxany .*, but got 128x6x6"):
        head(maps()[:1])


def test_one_image_trains_with_layer_norm():
    assert made("flatten_ln").train()(maps(batch=1)).shape == (1, 128)


@pytest.mark.parametrize("embed_dim", [0, -3])
def test_an_impossible_length_is_named(embed_dim):
    with pytest.raises(ValueError, match="embed_dim"):
        made("flatten_ln", embed_dim=embed_dim)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("error::torch.jit.TracerWarning")
def test_it_exports_at_opset_16(name, tmp_path):
    head, last = made(name).eval(), maps()[-1]
    path = tmp_path / "head.onnx"
    axes = {"last": {0: "batch"}, "embedding": {0: "batch"}}
    torch.onnx.export(
        head, ([last],), path, opset_version=16, dynamo=False,
        input_names=["last"], output_names=["embedding"], dynamic_axes=axes,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    one = maps(batch=1)[-1]
    (embedding,) = session.run(None, {"last": one.numpy()})
    np.testing.assert_allclose(embedding, head([one]).detach().numpy(), rtol=0, atol=1e-5)
