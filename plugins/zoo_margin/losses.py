"""Losses over the cosines between embeddings and a class table, with a margin and its warm-up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo_core.api import RunError
from zoo_margin import exchange, pieces
from zoo_margin.contrast import supervised_contrast
from zoo_margin.sampling import initial_rows
from zoo_margin.softmax import failing_together, log_sum_exp_of_others, own_cosines
from zoo_margin.table import DEVIATION, Selection, SparseTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo_margin.margins import Margin
    from zoo_margin.row_optimizers import RowOptimizer

# Mean cosine of embeddings with their own classes at which the training classes count as learned.
LEARNED = 0.6
MOMENTUM = 0.95


class _MarginSoftmax(nn.Module):
    """What both losses below have in common: all but where the class table is.

    Attributes:
        own_cosine: the running mean, a scalar.
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
            # Of three classes and fewer the logarithm is 0 or nothing.
            initial_s = min(s, math.sqrt(2) * math.log(max(num_classes - 1, 3)))
        sizes = {"embedding_dim": embedding_dim, "num_classes": num_classes, "s": s, "initial_s": initial_s}
        for name, value in {**sizes, "contrast_s": contrast_s, "centers": centers}.items():
            if value <= 0:
                raise ValueError(f"{name} is {value}, but has to be above 0")
        if contrast < 0:
            raise ValueError(f"contrast is {contrast}, but has to be 0 or more")
        if not 0 <= warmup <= 1:
            raise ValueError(f"warmup is {warmup}, but is a share of the run in 0..1")
        self.num_classes = num_classes
        self.centers = centers
        self.s = s
        self.warmup = warmup
        self.initial_s = initial_s
        self.contrast = contrast
        self.contrast_s = contrast_s
        self.margins = margin
        self._progress: float | None = None
        self.register_buffer("own_cosine", torch.zeros(()))

    @property
    def scale(self) -> float:
        """The scale of now; waits for the device."""
        return float(self._scale(self._strength()))

    @property
    def margin(self) -> float:
        """The margin of now; waits for the device."""
        return float(self._strength()) * self.margins.m

    def set_progress(self, progress: float) -> None:
        """Take how much of the run is done, 0..1; from now on there is a warm-up."""
        self._progress = progress

    def _loss(self, embeddings: Tensor, labels: Tensor, selection: Selection, *, together: bool) -> Tensor:
        """Return the mean loss of ``embeddings [N, D]``; ``together``: each rank has a share of the classes."""
        norms = torch.linalg.vector_norm(embeddings, dim=1)
        directions = embeddings / norms.clamp(min=1e-12)[:, None]
        rows = selection.rows.to(embeddings.dtype)
        if together:
            directions, rows = failing_together(directions, rows)
        cosines = own_cosines(directions, rows, selection.columns, self.centers)
        if together:
            cosines = exchange.sum_of_all(cosines)
            norms = exchange.counted_once(norms)
        # Rounding may carry a cosine past 1; only margins mind.
        cosines = cosines.clamp(-1, 1)
        strength = self._strength().to(rows)
        if self.training:
            self._observe(cosines.detach(), norms.detach())
        own = self.margins(cosines, norms, strength)
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
        if together:
            others = exchange.log_sum_exp_of_all(others)
        # The cross entropy: -log(e^own / (e^own + e^others)).
        loss = torch.logaddexp(others - scale * own, torch.zeros_like(own)).mean()
        penalty = self.margins.penalty(norms)
        if penalty is not None:
            loss = loss + strength * penalty
        if self.contrast:
            whole = exchange.counted_once(directions) if together else directions
            loss = loss + self.contrast * supervised_contrast(whole, labels, self.contrast_s)
        return loss

    def _observe(self, cosines: Tensor, norms: Tensor) -> None:
        self.margins.observe(cosines, norms)
        mean = cosines.mean().to(self.own_cosine)
        self.own_cosine.lerp_(torch.where(mean.isfinite(), mean, self.own_cosine), 1 - MOMENTUM)

    def extra_repr(self) -> str:
        """Describe the loss in one line."""
        return f"s={self.s}, warmup={self.warmup}, initial_s={self.initial_s:.3g}, contrast={self.contrast}"

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


class MarginSoftmaxLoss(_MarginSoftmax):
    """Cross entropy of a softmax over scaled cosines, the own class's lessened by a margin.

    ``-log softmax(s * [cos_1, ..., margin(cos_label), ..., cos_C])[label]``, mean over the batch. Embeddings and rows
    of the class table are normalised here. Works in float32 (float64 stays) whatever autocast says. All classes take
    part in each step, and the table is one parameter, which torch's optimizers move.

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
        centers: directions a class has, of which the nearest counts (sub-centers: Deng et al. 2020, ECCV).
        seed: of the table's first values.

    Under a large scale and margin a network without pretrained weights learns nothing: it is pushed to make all
    embeddings alike, long before it can tell them apart. So the scale grows geometrically from ``initial_s`` to
    ``s``, and the margin linearly from none, only as fast as the network learns: by the running mean of the own
    class's cosine, which is about 0 at first and ends the warm-up at 0.6, and no faster than ``warmup`` says.

    Until ``set_progress`` is called, scale and margin are the full ones: a training loop that knows nothing of
    the warm-up gets the plain loss.

    Attributes:
        weight: the class table, ``float32 [C, centers * D]``, rows not normalised.
        own_cosine: the running mean, a scalar.
    """

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
        seed: int = 0,
    ) -> None:
        super().__init__(
            margin,
            embedding_dim=embedding_dim,
            num_classes=num_classes,
            s=s,
            warmup=warmup,
            initial_s=initial_s,
            contrast=contrast,
            contrast_s=contrast_s,
            centers=centers,
        )
        self.weight = nn.Parameter(initial_rows(0, num_classes, centers * embedding_dim, seed=seed, std=DEVIATION))

    @property
    def rows_summary(self) -> str:
        """The table and the memory it takes, in a few words."""
        return f"{self.num_classes:,} rows of {self.weight.shape[1]}, all in every step, {_size(self.weight.nbytes)}"

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of ``embeddings [N, D]`` with ``labels int64 [N]`` in 0..C-1.

        Raises:
            RunError: a label is out of range. Looked for on the CPU only; elsewhere looking would wait for the
                device in every step, and the device's own kernels stop at such a label.
        """
        if labels.device.type == "cpu":
            self._check(labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = embeddings.to(torch.promote_types(self.weight.dtype, torch.float32))
            return self._loss(embeddings, labels, Selection(self.weight, labels, None), together=False)


class SparseMarginSoftmaxLoss(_MarginSoftmax):
    """The same over a sample of the classes, whose table no optimizer sees: for more classes than a step can read.

    A step takes the classes of its batch and ``negatives`` others, which chance chooses by (seed, optimizer step),
    and reads, gives gradients to and moves only the rows of these. Where there is a process group each rank keeps a
    share of the classes, and the batch is that of all ranks. A training loop has one line more::

        loss = SparseMarginSoftmaxLoss(CosFace(0.4), embedding_dim=128, num_classes=1_000_000,
                                       optimizer=AdamW(), negatives=8192)
        ...
        loss(network(images), labels).backward()
        optimizer.step()
        loss.apply_gradients(learning_rate=1e-3)

    Args:
        margin: what happens to the own class's cosine.
        optimizer: what moves the rows, of ``zoo_margin.row_optimizers``.
        negatives: how many classes to sample, of all ranks together.
        log_q: correct the logits for the sampling, as ``SparseTable`` says.
        lr_factor: what to multiply the learning rate with that ``apply_gradients`` is told.
        classes: the classes' names, by which saved rows find their classes; default: their numbers.
        seed: of the table's first values and the sampling.
        embedding_dim, num_classes, s, warmup, initial_s, contrast, contrast_s, centers: as for ``MarginSoftmaxLoss``.

    Attributes:
        table: the class table.
        own_cosine: the running mean of the own class's cosine, a scalar.
    """

    def __init__(
        self,
        margin: Margin,
        *,
        embedding_dim: int,
        num_classes: int,
        optimizer: RowOptimizer,
        negatives: int,
        log_q: bool = False,
        lr_factor: float = 1.0,
        classes: Sequence[str] | None = None,
        s: float = 64.0,
        warmup: float = 0.0,
        initial_s: float | None = None,
        contrast: float = 0.0,
        contrast_s: float = 10.0,
        centers: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(
            margin,
            embedding_dim=embedding_dim,
            num_classes=num_classes,
            s=s,
            warmup=warmup,
            initial_s=initial_s,
            contrast=contrast,
            contrast_s=contrast_s,
            centers=centers,
        )
        self.lr_factor = lr_factor
        self.names = pieces.ClassNames(classes, num_classes)
        self.table = SparseTable(
            num_classes,
            centers * embedding_dim,
            optimizer=optimizer,
            negatives=negatives,
            log_q=log_q,
            seed=seed,
        )

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of all ranks' ``embeddings [N, D]`` with ``labels int64 [N]`` in 0..C-1.

        Raises:
            RunError: a label is out of range.
        """
        self._check(labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
            embeddings, labels = exchange.batch_of_all(embeddings, labels)
            return self._loss(embeddings, labels, self.table.select(labels), together=True)

    def apply_gradients(self, learning_rate: float, scale: float = 1.0) -> bool:
        """Move the rows, once for each step of the network's optimizer; as ``SparseTable.apply_gradients`` says."""
        return self.table.apply_gradients(learning_rate * self.lr_factor, scale)

    def drop_gradients(self) -> None:
        """Forget the gradients, where the network's optimizer skips its step."""
        self.table.drop_gradients()

    def save_rows(self, folder: Path) -> None:
        """Write rows and state of all ranks to the new ``folder``, whole or not at all; to be called on all ranks.

        Raises:
            RunError: it cannot be written.
        """
        pieces.save(self.table, self.names, folder)

    def load_rows(self, folder: Path) -> str:
        """Read what ``save_rows`` wrote, on any number of ranks, and return what became of the classes in a few words.

        Raises:
            RunError: it cannot be read, is not whole, or is of another table.
        """
        return pieces.load(self.table, self.names, folder)

    @property
    def rows_summary(self) -> str:
        """The table and the memory it takes, in a few words."""
        table = self.table
        return (
            f"{table.num_classes:,} rows of {table.width}, {table.negatives:,} sampled a step, "
            f"{type(table.optimizer).__name__} by row, {_size(table.nbytes)}"
        )


def _size(count: int) -> str:
    """Return so many bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"  # noqa: PLR2004 - a gigabyte
