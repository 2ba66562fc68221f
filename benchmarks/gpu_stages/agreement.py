"""How far the device's numbers are from the CPU's: augmentation, losses, sampling, validation.

Each comparison has a tolerance beside it. The stage fails where one is exceeded, after all of them.
"""

from __future__ import annotations

import copy
import itertools
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gpu_stages.recipes import UNVALIDATED, overrides_for, planned, trained
from gpu_stages.session import is_measured
from zoo.metrics.summary import summary
from zoo.models.torch_model import to_pixels
from zoo.validation.batch import collate
from zoo.validation.embedded_images import EmbeddedImages
from zoo_core.building import build
from zoo_core.discovery import discover
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from gpu_stages.session import Session
    from zoo.training.plan import TrainingPlan

# Random numbers of a device's own would differ: ElasticFace without deviation is ArcFace by another way.
MARGINS: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("softmax", "cosface", "arcface", "subcenter", "combined", "adaface", "magface")},
    "curricularface": {},
    "elasticface": {"sigma": 0.0},
}
TABLES: dict[str, dict[str, Any]] = {
    "dense": {"mode": "dense"},
    # AdamW divides a gradient by its own size, and makes a step of a rounding error.
    "sparse": {"mode": "sparse", "negatives": 64, "optimizer": "sgd"},
}
# Where the samples are, and the pictures' size: for the smaller one the device reduces the documents, of 160 pixels.
PICTURES = (("device", 96), ("device", 48), ("resident", 96), ("resident", 48))
CLASSES, DIM, BATCH, RATE = 1000, 128, 64, 1e-2
# Of a loss and its gradients: the largest difference, as a share of the largest number.
RELATIVE = 1e-4
# Of grey values 0..255: the mean of all pictures, that of one, and the share of values that differ by more than one.
# Sums in another order turn roundings of JPEG's coefficients: at 48 pixels one picture of 256 differs by 1.5.
MEAN_GREY, PICTURE_GREY, SHARE_APART = 0.1, 5.0, 0.02
COSINE = 0.99999
# With the rounded products of tensor cores, torch's default for convolutions; 0.9987 with operands of ten bits.
COSINE_TF32 = 0.99
# Of these metrics; rarer false positives are single pairs.
JUDGED, METRIC, METRIC_TF32 = ("tpr_at_fpr_1e-3", "tpr_at_fpr_1e-2", "auc"), 0.002, 0.02


def run(session: Session) -> None:
    """Compare everything, then judge."""
    disagreeing: list[str] = []

    def compare(name: str, measure: Callable[..., dict[str, Any]], *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - those of ``measure``
        figure = session.attempt(name, partial(measure, session, *arguments, **named))
        if is_measured(figure) and not figure["agrees"]:
            disagreeing.append(name)

    torch.set_float32_matmul_precision("highest")
    for data, side in session.size(PICTURES, PICTURES[::3]):
        compare(f"augmentation, {data}, {side} px", _augmentation, data, side)
    for margin, table in itertools.product(MARGINS, TABLES):
        compare(f"{margin}, {table}", _loss, margin, MARGINS[margin], table)
    compare("sampling", _sampling)
    plan = planned([*overrides_for(session, batch=256), *UNVALIDATED])
    images, columns = _validation_images(plan, session.size(1000, 24))
    _adapt(plan.model, images)
    for name, tf32, least in (("validation", False, COSINE), ("validation, tf32", True, COSINE_TF32)):
        compare(name, _validation, plan.model, images, columns, tf32=tf32, least=least)
    session.report.add("disagreeing", len(disagreeing))
    if disagreeing:
        raise RunError(f"CPU and {session.device.type} disagree: {'; '.join(disagreeing)}")


def _augmentation(session: Session, data: str, side: int) -> dict[str, Any]:
    """Compare a batch that a training augments on its device, on both, and with it all that leads there."""
    here, there = (_augmented(session, data, side, accelerator) for accelerator in ("cpu", session.accelerator))
    apart = (here - there).abs()
    mean, share = float(apart.mean()), float((apart > 1).float().mean())
    largest = float(apart.mean(dim=(1, 2, 3)).max())
    return {
        "pictures": len(here),
        "largest_grey_difference": float(apart.max()),
        "mean_grey_difference": mean,
        "largest_mean_of_a_picture": largest,
        "share_apart_by_more_than_1": share,
        "tolerance": {
            "mean_grey_difference": MEAN_GREY,
            "largest_mean_of_a_picture": PICTURE_GREY,
            "share_apart_by_more_than_1": SHARE_APART,
        },
        "agrees": mean <= MEAN_GREY and largest <= PICTURE_GREY and share <= SHARE_APART,
    }


def _augmented(session: Session, data: str, side: int, accelerator: str) -> Tensor:
    """Train for a step, and return the pictures ``float32 [N, side, side, 3]`` that it was given."""
    changed = [f"data.image_size=[{side},{side}]", f"trainer.accelerator={accelerator}", "trainer.max_steps=1"]
    plan = planned([*overrides_for(session, batch=256, data=data), *UNVALIDATED, *changed])
    pictures: list[Tensor] = []
    # On a CPU both are the same.
    name = f"{data}-{side}-{1 + len([*session.work.glob(f'{data}-{side}-*')])}"
    trained(session, plan, name, after_batch=lambda batch: pictures.append(batch["images"].cpu().float()))
    return pictures[0]


def _loss(session: Session, margin: str, options: dict[str, Any], table: str) -> dict[str, Any]:
    """Compare a loss, the gradient of the embeddings, and that of the table or what a step makes of its rows."""
    here, there = (_evaluated(margin, options, table, device) for device in (torch.device("cpu"), session.device))
    apart = {name: _relative(here[name], there[name]) for name in here}
    return {**apart, "tolerance": RELATIVE, "agrees": max(apart.values()) <= RELATIVE}


def _evaluated(margin: str, options: dict[str, Any], table: str, device: torch.device) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(1)
    embeddings = torch.randn(BATCH, DIM, generator=random).mul_(2).to(device).requires_grad_()
    labels = torch.randint(CLASSES, (BATCH,), generator=random).to(device)
    loss = _built(margin, {**options, "contrast": 3.0, "class_table": TABLES[table]}).to(device)
    rows = loss.weight if table == "dense" else loss.table.tensors(device)["weight"]
    before = rows.detach().clone()
    value = loss(embeddings, labels)
    value.backward()
    assert embeddings.grad is not None  # noqa: S101 - backward has just made it
    if table == "sparse":
        loss.apply_gradients(RATE)
    moved = rows.grad if table == "dense" else rows.detach() - before
    return {"loss": value.detach(), "embeddings": embeddings.grad, "rows": moved}


def _built(margin: str, options: dict[str, Any]) -> Any:  # noqa: ANN401 - one of two losses
    wired = {"embedding_dim": DIM, "num_classes": CLASSES, "classes": [str(one) for one in range(CLASSES)], "seed": 0}
    return build(discover(), "loss", f"margin/{margin}", options, wired=wired)


def _relative(here: Tensor, there: Tensor) -> float:
    """Return the largest difference as a share of the largest number; infinite where one is not finite."""
    apart = float((here - there.cpu()).abs().max() / here.abs().max().clamp(min=1e-12))
    return apart if np.isfinite(apart) else float("inf")


def _sampling(session: Session) -> dict[str, Any]:
    """Compare which rows take part in some steps, and their first values: to the byte."""
    labels = torch.randint(CLASSES, (BATCH,), generator=torch.Generator().manual_seed(2))
    tables = [_built("cosface", {"class_table": TABLES["sparse"]}).table for _ in range(2)]
    same = []
    for _ in range(3):
        one, other = (table.select(labels.to(at)) for table, at in zip(tables, ("cpu", session.device), strict=True))
        same.append(torch.equal(one.rows, other.rows.cpu()) and torch.equal(one.columns, other.columns.cpu()))
        for table in tables:
            table.drop_gradients()
    return {"same_rows_in_steps": same, "agrees": all(same)}


def _validation_images(plan: TrainingPlan, most: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return images of the validation set, plain and augmented ones, with the columns of `EmbeddedImages`."""
    items = plan.data.validation
    places = np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).astype(int)).tolist()
    batch = collate([items[place] for place in places])
    return batch["images"], (batch["labels"], batch["plain"], batch["positions"], batch["digests"])


@torch.no_grad()
def _adapt(model: nn.Module, images: Tensor) -> None:
    """Give BatchNorm the statistics of ``images``: with none, a random network embeds all of them nearly alike."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001 - of all kinds
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None
    model.train()
    for chunk in images.split(256):
        model(to_pixels(chunk))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _validation(
    session: Session, model: nn.Module, images: Tensor, columns: tuple[Tensor, ...], *, tf32: bool, least: float
) -> dict[str, Any]:
    """Compare the embeddings of a validation set, and what they are judged to be worth."""
    with _tf32(allowed=tf32):
        here = _embedded(model, images, torch.device("cpu"))
        there = _embedded(model, images, session.device)
    cosine = float(functional.cosine_similarity(here, there).min())
    worth = []
    for embeddings in (here, there):
        found = EmbeddedImages.of(embeddings.float().cpu().numpy(), *(column.numpy() for column in columns))
        worth.append(summary(found.embeddings, found.labels, found.is_reference))
    apart = max(abs(worth[0][name] - worth[1][name]) for name in JUDGED)
    figures = {"least_cosine": cosine, "largest_metric_difference": apart}
    # What a few images are worth jumps with a single pair.
    tolerance = {"least_cosine": least, "largest_metric_difference": session.size(METRIC_TF32 if tf32 else METRIC, 1.0)}
    agrees = cosine >= least and apart <= tolerance["largest_metric_difference"]
    return {**figures, "images": len(images), "tolerance": tolerance, "agrees": agrees}


@torch.inference_mode()
def _embedded(model: nn.Module, images: Tensor, device: torch.device) -> Tensor:
    model = copy.deepcopy(model).to(device).eval()
    return torch.cat([model(to_pixels(chunk.to(device))).float().cpu() for chunk in images.split(256)])


@contextmanager
def _tf32(*, allowed: bool) -> Iterator[None]:
    """Let convolutions round their factors, or not; torch lets them."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
