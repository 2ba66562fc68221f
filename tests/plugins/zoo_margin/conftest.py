from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from zoo_margin import (
    SGD,
    AdaFace,
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    ElasticFace,
    MagFace,
    MarginSoftmaxLoss,
    NoMargin,
    SparseMarginSoftmaxLoss,
)

CLASSES, DIM = 7, 5
MAGFACE = {"low_m": 0.1, "high_m": 0.5, "low_norm": 1.0, "high_norm": 8.0, "weight": 2.0}
# Each margin, and the number of centers of a class.
MARGINS = {
    "softmax": (NoMargin, 1),
    "cosface": (lambda: CosFace(0.4), 1),
    "arcface": (lambda: ArcFace(0.5), 1),
    "subcenter": (lambda: ArcFace(0.5), 3),
    "combined": (lambda: Combined(1.2, 0.3, 0.2), 1),
    "elasticface": (lambda: ElasticFace(0.5, 0.05, angular=True), 1),
    "adaface": (lambda: AdaFace(0.4, 0.333), 1),
    "magface": (lambda: MagFace(**MAGFACE), 1),
    "curricularface": (lambda: CurricularFace(0.5), 1),
}


@pytest.fixture(params=MARGINS)
def name(request):
    """Each margin in turn."""
    return request.param


@pytest.fixture(params=[MarginSoftmaxLoss, SparseMarginSoftmaxLoss], ids=["dense", "sparse"])
def kind(request):
    """Each loss in turn."""
    return request.param


def _made(name="cosface", kind=MarginSoftmaxLoss, classes=CLASSES, dim=DIM, negatives=10**6, **options):
    """Make a loss whose margin has the state of later steps, not of the first."""
    margin, centers = MARGINS[name]
    if kind is SparseMarginSoftmaxLoss:
        options = {"optimizer": SGD(momentum=0.0), "negatives": negatives, **options}
    loss = kind(margin(), embedding_dim=dim, num_classes=classes, centers=centers, **options)
    state = {"mean": 4.0, "deviation": 1.0, "t": 0.3}
    for key, buffer in loss.margins.named_buffers():
        buffer.fill_(state.get(key, 3))
    return loss


def _table(loss):
    return loss.weight if isinstance(loss, MarginSoftmaxLoss) else loss.table.tensors(torch.device("cpu"))["weight"]


def _batch(images=6, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(images, DIM, generator=generator, dtype=torch.float64)
    lengths = torch.linspace(1.5, 6.5, images, dtype=torch.float64)
    embeddings = functional.normalize(embeddings) * lengths[:, None]
    return embeddings.to(dtype).requires_grad_(), torch.tensor([0, 6, 2, 2, 4, 1])[:images]


def _backward(loss, embeddings, labels):
    """Return the loss, the gradient of the embeddings, and the table after a step of SGD with rate 1."""
    value = loss(embeddings, labels)
    value.backward()
    if isinstance(loss, SparseMarginSoftmaxLoss):
        loss.apply_gradients(1.0)
        return value, embeddings.grad, _table(loss)
    return value, embeddings.grad, loss.weight - loss.weight.grad


@pytest.fixture
def made():
    """Make a loss by the name of its margin: ``made("cosface", kind, s=16.0)``."""
    return _made


@pytest.fixture
def table():
    """Get the class table of a loss, ``[C, width]``."""
    return _table


@pytest.fixture
def batch():
    """Make a batch: embeddings that take gradients, of lengths 1.5 to 6.5, and labels, one of them twice."""
    return _batch


@pytest.fixture
def backward():
    """Do a backward pass: the loss, the gradient of the embeddings, the table after a step of SGD with rate 1."""
    return _backward
