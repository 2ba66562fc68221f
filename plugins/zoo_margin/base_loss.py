"""The common base of both losses: cosines, margin, scale and their warm-up, contrast within the batch."""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING, NotRequired, TypedDict

import torch
from torch import Tensor, nn

from zoo_core.api import RunError
from zoo_margin import collectives
from zoo_margin.chunked_softmax import log_sum_exp_of_others, own_cosines
from zoo_margin.contrastive_loss import supervised_contrast
from zoo_margin.non_finite import propagate_non_finite_gradients

if TYPE_CHECKING:
    from zoo_margin.margins import Margin
    from zoo_margin.selection import Selection

# Mean cosine of embeddings with their own classes at which the training classes count as learned.
LEARNED_COSINE = 0.6
# Of the running mean of that cosine.
MOMENTUM = 0.95


class BaseLossArguments(TypedDict):
    """The arguments of ``BaseMarginSoftmaxLoss`` beside the margin."""

    embedding_dim: int
    num_classes: int
    s: NotRequired[float]
    warmup: NotRequired[float]
    initial_s: NotRequired[float | None]
    contrast: NotRequired[float]
    contrast_s: NotRequired[float]
    centers: NotRequired[int]


class BaseMarginSoftmaxLoss(nn.Module):
    """Everything but the class table: a subclass holds it and selects the rows of a step.

    The arguments are those of ``MarginSoftmaxLoss``.

    Attributes:
        width: length of a row of the class table.
        own_cosine: running mean of the cosine with the own class, a scalar.
        parts: what the last loss is the sum of: ``softmax``, and ``penalty`` and ``contrast`` where there are any.
    """

    own_cosine: Tensor

    def __init__(
        self,
        margin: Margin,
        *,
        embedding_dim: int,
        num_classes: int,
        s: float = 64.0,
        warmup: float = 0.0,
        initial_s: float | None = None,
        contrast: float = 0.0,
        contrast_s: float = 10.0,
        centers: int = 1,
    ) -> None:
        super().__init__()
        if initial_s is None:
            # With three classes or fewer the logarithm is 0 or undefined.
            initial_s = min(s, math.sqrt(2) * math.log(max(num_classes - 1, 3)))
        sizes = {"embedding_dim": embedding_dim, "num_classes": num_classes, "s": s, "initial_s": initial_s}
        for name, value in {**sizes, "contrast_s": contrast_s, "centers": centers}.items():
            if value <= 0:
                raise ValueError(f"{name} is {value}, but has to be above 0")
        if contrast < 0:
            raise ValueError(f"contrast is {contrast}, but has to be 0 or more")
        if not 0 <= warmup <= 1:
            raise ValueError(f"warmup is {warmup}, but has to be a fraction of the training, in 0..1")
        self.num_classes = num_classes
        self.centers = centers
        self.width = centers * embedding_dim
        self.s = s
        self.warmup = warmup
        self.initial_s = initial_s
        self.contrast = contrast
        self.contrast_s = contrast_s
        self.margins = margin
        self.parts: dict[str, Tensor] = {}
        self._progress: float | None = None
        self.register_buffer("own_cosine", torch.zeros(()))

    @property
    def scale(self) -> float:
        """The current scale; waits for the device."""
        return float(self._scale(self._strength()))

    @property
    def margin(self) -> float:
        """The current margin; waits for the device."""
        return float(self._strength()) * self.margins.m

    def set_progress(self, progress: float) -> None:
        """Set the fraction of the training that is done, 0..1, and turn on the warm-up."""
        self._progress = progress

    def loss_over(self, embeddings: Tensor, labels: Tensor, selection: Selection, *, sharded: bool) -> Tensor:
        """Return the mean loss of ``embeddings [N, D]`` over the selected classes.

        ``sharded``: each rank selects among its own classes, for the batch of all ranks.
        """
        if len(embeddings) == 0:
            return embeddings.sum()
        norms = torch.linalg.vector_norm(embeddings, dim=1)
        directions = embeddings / norms.clamp(min=1e-12)[:, None]
        rows, own_rows = selection.rows.to(embeddings.dtype), selection.own_rows.to(embeddings.dtype)
        if sharded:
            directions, rows, own_rows = propagate_non_finite_gradients(directions, rows, own_rows)
        cosines = own_cosines(directions, own_rows, selection.columns, self.centers)
        if sharded:
            cosines = collectives.all_reduce_sum(cosines)
            norms = collectives.divide_gradient_by_world_size(norms)
        # Rounding may take a cosine past 1, which only the margins cannot handle.
        cosines = cosines.clamp(-1, 1)
        strength = self._strength().to(rows)
        if self.training:
            self._observe(cosines.detach(), norms.detach())
        own = self.margins(cosines, norms, strength)
        parts = {"softmax": self._cross_entropy(directions, rows, own, strength, selection, sharded=sharded)}
        penalty = self.margins.penalty(norms)
        if penalty is not None:
            parts["penalty"] = strength * penalty
        if self.contrast:
            batch = collectives.divide_gradient_by_world_size(directions) if sharded else directions
            parts["contrast"] = self.contrast * supervised_contrast(batch, labels, self.contrast_s)
        self.parts = {name: part.detach() for name, part in parts.items()}
        return reduce(torch.add, parts.values())

    def _cross_entropy(
        self, directions: Tensor, rows: Tensor, own: Tensor, strength: Tensor, selection: Selection, *, sharded: bool
    ) -> Tensor:
        """Return the mean cross entropy, with ``own [N]`` for the cosines with the own classes."""
        scale = self._scale(strength)
        others = log_sum_exp_of_others(
            directions,
            rows,
            selection.columns,
            scale,
            centers=self.centers,
            correction=selection.correction,
            modulation=self.margins.modulation(own.detach(), strength),
        )
        if sharded:
            others = collectives.all_reduce_log_sum_exp(others)
        # -log(e^own / (e^own + e^others)), with own times the scale.
        return torch.logaddexp(others - scale * own, torch.zeros_like(own)).mean()

    def _observe(self, cosines: Tensor, norms: Tensor) -> None:
        """Update the running statistics with a training batch."""
        self.margins.observe(cosines, norms)
        mean = cosines.mean().to(self.own_cosine)
        self.own_cosine.lerp_(torch.where(mean.isfinite(), mean, self.own_cosine), 1 - MOMENTUM)

    def extra_repr(self) -> str:
        """Describe the loss in one line."""
        return f"s={self.s}, warmup={self.warmup}, initial_s={self.initial_s:.3g}, contrast={self.contrast}"

    def _strength(self) -> Tensor:
        """Return how far the warm-up is, 0..1: a tensor, so that no step waits for the device."""
        if self._progress is None or self.warmup == 0:
            return torch.ones_like(self.own_cosine)
        return (self.own_cosine / LEARNED_COSINE).clamp(0, min(1.0, max(0.0, self._progress / self.warmup)))

    def _scale(self, strength: Tensor) -> Tensor:
        scale: Tensor = self.s * (self.initial_s / self.s) ** (1 - strength)
        return scale


def check_labels(embeddings: Tensor, labels: Tensor, num_classes: int, *, wait_for_device: bool = False) -> Tensor:
    """Return ``labels`` as ``int64 [N]``; check their range on the CPU, elsewhere only if ``wait_for_device``.

    Raises:
        RunError: a label is out of range.
        ValueError: the labels are not integers, or not one for each embedding.
    """
    if labels.shape != embeddings.shape[:1] or labels.is_floating_point() or labels.dtype is torch.bool:
        found = f"{labels.dtype} {[*labels.shape]}"
        raise ValueError(f"{len(embeddings)} embeddings need {len(embeddings)} integer labels, not {found}")
    if wait_for_device or labels.device.type == "cpu":
        wrong = labels[(labels < 0) | (labels >= num_classes)]
        if len(wrong):
            raise RunError(
                f"label {int(wrong[0])} is out of range: {num_classes} classes are 0..{num_classes - 1}",
                hint="labels count from 0 and index the training dataset's 'classes'",
            )
    return labels.to(torch.int64)
