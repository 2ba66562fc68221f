from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

from zoo_core.api import FeatureLevel, Head
from zoo_core.building import build
from zoo_core.discovery import discover
from zoo_core.errors import RecipeError
from zoo_embedding.pooling import AttentionPooling, GeneralizedMean

LEVELS = (FeatureLevel(128, 16), FeatureLevel(256, 32))


def maps(height=3, width=5, channels=256):
    return torch.randn(4, channels, height, width, generator=torch.Generator().manual_seed(0))


def head(name, **options):
    torch.manual_seed(0)
    wired = {"feature_levels": LEVELS, "image_size": (96, 160)}
    return build(discover(), "head", name, {"embed_dim": 32, **options}, wired=wired)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 7.5])
def test_the_generalized_mean_is_torchs_norm_of_powers_over_the_root_of_their_number(p):
    positive = maps().abs() + 0.1
    expected = functional.lp_pool2d(positive.double(), p, (3, 5)).flatten(1) / 15 ** (1 / p)
    assert torch.allclose(GeneralizedMean(p)(positive).double(), expected, rtol=1e-5)


def test_the_generalized_mean_goes_from_mean_to_maximum_and_learns_its_exponent():
    values = maps().abs()
    assert torch.allclose(GeneralizedMean(1)(values), values.mean((2, 3)), atol=1e-6)
    assert torch.allclose(GeneralizedMean(40)(values), values.amax((2, 3)), rtol=0.07)
    pooling = GeneralizedMean()
    # Zeros, which ReLU leaves, have a gradient that is a number.
    pooled = pooling(maps().relu().requires_grad_())
    pooled.sum().backward()
    assert pooling.p.grad.isfinite().all()
    assert pooling.p.grad.abs() > 0


def test_the_generalized_mean_of_half_precision_does_not_overflow():
    large = torch.full((1, 2, 3, 3), 1000.0, dtype=torch.float16)
    pooled = GeneralizedMean()(large)
    assert pooled.dtype == torch.float16
    assert torch.allclose(pooled.float(), torch.tensor(1000.0), rtol=1e-2)


@pytest.mark.parametrize("num_heads", [1, 8])
def test_attention_pooling_is_torchs_multi_head_attention_of_one_query(num_heads):
    torch.manual_seed(1)
    pooling, attention = AttentionPooling(256, num_heads), torch.nn.MultiheadAttention(256, num_heads, bias=False)
    with torch.no_grad():
        pooling.query.normal_()
        # The learned query is projected already, and no output projection follows.
        attention.in_proj_weight.copy_(torch.cat([torch.eye(256), pooling.key.weight, pooling.value.weight]))
        attention.out_proj.weight.copy_(torch.eye(256))
    positions = maps().flatten(2).permute(2, 0, 1)
    expected, _ = attention(pooling.query.expand(1, 4, 256), positions, positions)
    assert torch.allclose(pooling(maps()), expected[0], atol=1e-5)


def test_heads_that_do_not_divide_the_channels_are_refused_by_name():
    with pytest.raises(RecipeError, match="embedding/attention_ln: num_heads is 7, which does not divide 256 channels"):
        head("attention_ln", num_heads=7)


@pytest.mark.parametrize("name", ["gem_ln", "attention_ln"])
def test_it_is_a_head_for_images_of_any_size_that_trains(name):
    built = head(name)
    assert isinstance(built, Head)
    assert built([maps(3, 5)]).shape == built([maps(7, 2)]).shape == (4, 32)
    built([maps()]).square().mean().backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in built.parameters())


@pytest.mark.parametrize("name", ["gem_ln", "attention_ln"])
def test_it_exports_at_opset_16_with_any_batch(name, tmp_path):
    built, path = head(name).eval(), tmp_path / "head.onnx"
    torch.onnx.export(
        built, ([maps()],), path, input_names=["map"], output_names=["feats"], opset_version=16, dynamo=False,
        dynamic_axes={"map": {0: "batch"}, "feats": {0: "batch"}},
    )  # fmt: skip
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 4):
        (found,) = session.run(None, {"map": maps()[:batch].numpy()})
        assert np.abs(found - built([maps()[:batch]]).detach().numpy()).max() < 1e-5


@pytest.mark.parametrize("name", ["gem_ln", pytest.param("attention_ln", marks=pytest.mark.slow)])
def test_a_model_with_it_trains_and_passes_the_proof_of_its_export(name, zoo, tmp_path, tiny_recipe):
    recipe = tiny_recipe.read_text().replace("head: {", f"head: {{name: embedding/{name}, ")
    tiny_recipe.write_text(recipe)
    zoo("train", "--cfg", tiny_recipe, "-o", tmp_path / "run", "trainer.max_epochs=8", check=0)
    done = zoo("export", "--run", tmp_path / "run", "--simplify", check=0)
    assert (tmp_path / "run" / "artifact" / "onnx" / "model.onnx").is_file(), done.stderr
