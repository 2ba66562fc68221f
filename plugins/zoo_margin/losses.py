"""Losses over the cosines between embeddings and a class table, with a margin and its warm-up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from zoo_core.api import RunError
from zoo_margin.contrast import supervised_contrast
from zoo_margin.margins import ArcFace, CosFace, NoMargin

if TYPE_CHECKING:
    from zoo_margin.margins import Margin

# What a recipe's options are checked against, before anything is built.
Scale = Annotated[float, Field(gt=0)]
Cosine = Annotated[float, Field(ge=0, le=2)]
Radians = Annotated[float, Field(ge=0, lt=math.pi)]
InitialScale = Annotated[float | None, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]


# Mean cosine of embeddings with their own classes at which the training classes count as learned.
LEARNED = 0.6
MOMENTUM = 0.95


class MarginSoftmaxLoss(nn.Module):
    """Cross entropy of a softmax over scaled cosines, the own class's lessened by a margin.

    ``-log softmax(s * [cos_1, ..., margin(cos_label), ..., cos_C])[label]``, mean over the batch. Embeddings and rows
    of the class table are normalised here. Works in float32 (float64 stays) whatever autocast says.

    Args:
        margin: what happens to the own class's cosine.
        embedding_dim: length D of an embedding.
        num_classes: rows C of the class table.
        s: scale of the cosines.
        warmup: share of the run, 0..1, before whose end scale and margin are not the full ones; 0 for no warm-up.
        initial_s: scale at the start of the warm-up; default: the least at which a softmax over C cosines can grow
            sure of its class, ``sqrt(2) ln(C - 1)`` (AdaCos, Zhang et al. 2019, arXiv:1905.00292, equation 12).
        contrast: weight of ``supervised_contrast`` within the batch, added to the softmax's loss. The class table of
            many classes is random for long, and what it says of an image is noise; the other captures of the image
            in the batch tell from the first step on. Needs batches with several images of a class: the recipe's
            ``data.captures: 2``.
        contrast_s: scale of the cosines there.

    Under a large scale and margin a network without pretrained weights learns nothing: it is pushed to make all
    embeddings alike, long before it can tell them apart. So the scale grows geometrically from ``initial_s`` to
    ``s``, and the margin linearly from none, only as fast as the network learns: by the running mean of the own
    class's cosine, which is about 0 at first and ends the warm-up at 0.6, and no faster than ``warmup`` says.

    Until ``set_progress`` is called, scale and margin are the full ones: a training loop that knows nothing of
    the warm-up gets the plain loss.

    Attributes:
        weight: the class table, ``float32 [C, D]``, rows not normalised.
        own_cosine: the running mean, a scalar.
    """

    own_cosine: Tensor

    def __init__(
        self,
        margin: Margin,
        *,
        embedding_dim: int,
        num_classes: int,
        s: float,
        warmup: float,
        initial_s: float | None,
        contrast: float = 0.0,
        contrast_s: float = 10.0,
    ) -> None:
        super().__init__()
        if initial_s is None:
            # Of three classes and fewer the logarithm is 0 or nothing.
            initial_s = min(s, math.sqrt(2) * math.log(max(num_classes - 1, 3)))
        sizes = {"embedding_dim": embedding_dim, "num_classes": num_classes, "s": s, "initial_s": initial_s}
        sizes["contrast_s"] = contrast_s
        for name, value in sizes.items():
            if value <= 0:
                raise ValueError(f"{name} is {value}, but has to be above 0")
        if contrast < 0:
            raise ValueError(f"contrast is {contrast}, but has to be 0 or more")
        if not 0 <= warmup <= 1:
            raise ValueError(f"warmup is {warmup}, but is a share of the run in 0..1")
        self.num_classes = num_classes
        self.s = s
        self.warmup = warmup
        self.initial_s = initial_s
        self.contrast = contrast
        self.contrast_s = contrast_s
        self._margin = margin
        self._progress: float | None = None
        self.register_buffer("own_cosine", torch.zeros(()))
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_dim))
        nn.init.normal_(self.weight, std=0.01)

    @property
    def scale(self) -> float:
        """The scale of now; waits for the device."""
        return float(self._scale(self._strength()))

    @property
    def margin(self) -> float:
        """The margin of now; waits for the device."""
        return float(self._strength()) * self._margin.m

    def set_progress(self, progress: float) -> None:
        """Take how much of the run is done, 0..1; from now on there is a warm-up."""
        self._progress = progress

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of ``embeddings [N, D]`` with ``labels int64 [N]`` in 0..C-1.

        Raises:
            RunError: a label is out of range. Looked for on the CPU only; elsewhere looking would wait for the
                device in every step, and the device's own kernels stop at such a label.
        """
        if labels.device.type == "cpu":
            self._check(labels)
        dtype = torch.promote_types(self.weight.dtype, torch.float32)
        with torch.autocast(embeddings.device.type, enabled=False):
            directions = functional.normalize(embeddings.to(dtype))
            cosines = functional.linear(directions, functional.normalize(self.weight.to(dtype)))
            own = labels[:, None]
            # Rounding may carry a cosine past 1; only margins mind.
            own_cosines = cosines.gather(1, own).clamp(-1, 1)
            strength = self._strength()
            logits = self._scale(strength) * cosines.scatter(1, own, self._margin(own_cosines, strength))
            if self.training:
                self.own_cosine.lerp_(own_cosines.detach().mean().to(self.own_cosine), 1 - MOMENTUM)
            loss = functional.cross_entropy(logits, labels)
            if self.contrast:
                loss = loss + self.contrast * supervised_contrast(directions, labels, self.contrast_s)
            return loss

    def extra_repr(self) -> str:
        """Describe the loss in one line."""
        classes, dimension = self.weight.shape
        return (
            f"{self._margin}, s={self.s}, warmup={self.warmup}, initial_s={self.initial_s:.3g}, "
            f"contrast={self.contrast}, table={classes}x{dimension}"
        )

    def _strength(self) -> Tensor:
        # A tensor, so that no step has to wait for the device.
        if self._progress is None or self.warmup == 0:
            return torch.ones_like(self.own_cosine)
        return (self.own_cosine / LEARNED).clamp(0, min(1.0, max(0.0, self._progress / self.warmup)))

    def _scale(self, strength: Tensor) -> Tensor:
        scale: Tensor = self.s * (self.initial_s / self.s) ** (1 - strength)
        return scale

    def _check(self, labels: Tensor) -> None:
        wrong = labels[(labels < 0) | (labels >= self.num_classes)]
        if len(wrong):
            raise RunError(
                f"label {int(wrong[0])} is out of range: {self.num_classes} classes are 0..{self.num_classes - 1}",
                hint="labels count from 0 and index the training dataset's 'classes'",
            )


class SoftmaxLoss(MarginSoftmaxLoss):
    """Softmax over scaled cosines, no margin; arguments as for ``MarginSoftmaxLoss``."""

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        s: Scale = 64.0,
        warmup: Share = 0.2,
        initial_s: InitialScale = None,
        contrast: Weight = 0.0,
        contrast_s: Scale = 10.0,
    ) -> None:
        super().__init__(
            NoMargin(),
            embedding_dim=embedding_dim,
            num_classes=num_classes,
            s=s,
            warmup=warmup,
            initial_s=initial_s,
            contrast=contrast,
            contrast_s=contrast_s,
        )


class CosFaceLoss(MarginSoftmaxLoss):
    """CosFace, with margin ``m`` on the cosine; the other arguments as for ``MarginSoftmaxLoss``."""

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        s: Scale = 64.0,
        m: Cosine = 0.4,
        warmup: Share = 0.2,
        initial_s: InitialScale = None,
        contrast: Weight = 0.0,
        contrast_s: Scale = 10.0,
    ) -> None:
        super().__init__(
            CosFace(m),
            embedding_dim=embedding_dim,
            num_classes=num_classes,
            s=s,
            warmup=warmup,
            initial_s=initial_s,
            contrast=contrast,
            contrast_s=contrast_s,
        )


class ArcFaceLoss(MarginSoftmaxLoss):
    """ArcFace, with margin ``m`` in radians on the angle; the other arguments as for ``MarginSoftmaxLoss``."""

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        s: Scale = 64.0,
        m: Radians = 0.5,
        warmup: Share = 0.2,
        initial_s: InitialScale = None,
        contrast: Weight = 0.0,
        contrast_s: Scale = 10.0,
    ) -> None:
        super().__init__(
            ArcFace(m),
            embedding_dim=embedding_dim,
            num_classes=num_classes,
            s=s,
            warmup=warmup,
            initial_s=initial_s,
            contrast=contrast,
            contrast_s=contrast_s,
        )
