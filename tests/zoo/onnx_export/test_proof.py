"""The graph itself against the evaluated model: what an exporter or a tool could get wrong after the wrapper."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from zoo.onnx_export.evaluated import EvaluatedModel
from zoo.onnx_export.pixels import PixelInput
from zoo.onnx_export.proof import check_spread, prove
from zoo.onnx_export.torch_export import to_onnx
from zoo.onnx_export.witnesses import Witnesses, patterns
from zoo_core.api import Preprocessing
from zoo_core.errors import RunError

AXES = {"img": {0: "batch"}, "feats": {0: "batch"}}
PIXELS = PixelInput("img", (1, 3, 24, 24), "float32", AXES["img"])
WITNESSES = Witnesses(tuple(patterns(16)), "patterns")


class Backbone(nn.Sequential):
    preprocessing = Preprocessing((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class Model(nn.Module):
    """A small network whose embeddings of different images differ."""

    def __init__(self):
        super().__init__()
        self.backbone = Backbone(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.Flatten())
        self.head = nn.Linear(16 * 5 * 5, 12)

    def forward(self, images):
        return self.head(self.backbone((images - 0.5) / 0.5))


class Changed(nn.Module):
    def __init__(self, model, change):
        super().__init__()
        self.model, self.change = model, change

    def forward(self, img):
        return nn.functional.normalize(self.change(self.model, img))


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    return EvaluatedModel(Model().eval().requires_grad_(requires_grad=False), (24, 24))


def proof_of(reference, change):
    graph = to_onnx(Changed(reference.model, change), PIXELS, output_names=["feats"], axes=AXES, options={})
    said = {"zoo.preprocess": json.dumps(PIXELS.describe(Backbone.preprocessing)), "zoo.embedding_dim": "12"}
    onnx.helper.set_model_props(graph, said)
    spread = check_spread(reference.embed(WITNESSES.batch(16, (24, 24))))
    return prove(graph.SerializeToString(), reference, PIXELS, WITNESSES, spread=spread, seed=5)


def in_batches_above(count, change):
    return lambda model, img: model(torch.where(torch._shape_as_tensor(img)[0] > count, change(img), img))


def test_a_faithful_graph_passes_with_its_figures(reference):
    proof = proof_of(reference, lambda model, img: model(img))
    assert proof.files.size == 16 + 11
    *fixed, random = [compared.size for compared in proof.batches]
    assert fixed == [1, 3, 16, 65]
    assert random == int(np.random.default_rng(5).integers(66, 257))
    assert max(one.max_abs_diff for one in (proof.files, *proof.batches)) < 1e-6


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model, img: model(img.flip(1)), "in image files.*, the graph takes the colours as BGR"),
        (lambda model, img: model(img * 0.9), "in image files, the graph multiplies pixels by 0.9"),
        (lambda model, img: model(img).roll(2, 1), "in image files, the graph rolls the numbers of an embedding by 2"),
        (in_batches_above(16, lambda img: img.flip(1)), "in batches of 65, the graph takes the colours as BGR"),
        (in_batches_above(65, lambda img: img.flip(3)), r"in batches of \d+, the graph mirrors images left to right"),
        (
            lambda model, img: model(img).roll(1, 0),
            "in batches of 3, the graph gives images of a batch the embeddings of",
        ),
        (
            lambda model, img: model(img - img.mean((0, 2, 3), keepdim=True)),
            "in image files, the graph lets an image's embedding depend on the others of its batch",
        ),
    ],
)
def test_a_graph_that_differs_is_refused_with_what_differs(reference, change, reason):
    with pytest.raises(RunError, match=rf"^parity failed: {reason}"):
        proof_of(reference, change)
