"""The terms of a softmax over cosines: that of the own class, and the log-sum-exp over all other classes.

The logits of the other classes are computed a chunk of classes at a time, and again in the backward pass, so that the
logits of a batch with all classes are never in memory at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # From cosines ``[N, n]`` of embeddings with other classes to what replaces them, of the same shape.
    Modulation = Callable[[Tensor], Tensor]

CHUNK = 2048


def own_cosines(directions: Tensor, own_rows: Tensor, columns: Tensor, centers: int = 1) -> Tensor:
    """Return the cosine of each embedding with the nearest center of its own class: ``[N]``.

    Args:
        directions: ``[N, D]``, embeddings of unit length.
        own_rows: ``[N, centers * D]``, the rows of the own classes, not normalised.
        columns: ``int64 [N]``, -1 where another rank holds the own class; the cosine is then 0.
        centers: number of directions of a class.
    """
    units = functional.normalize(own_rows.view(len(own_rows), centers, directions.shape[1]), dim=2)
    cosines = (units * directions[:, None]).sum(dim=2).amax(dim=1)
    return torch.where(columns >= 0, cosines, 0.0)


def log_sum_exp_of_others(
    directions: Tensor,
    rows: Tensor,
    columns: Tensor,
    scale: Tensor,
    *,
    centers: int = 1,
    correction: Tensor | None = None,
    modulation: Modulation | None = None,
    chunk: int = CHUNK,
) -> Tensor:
    """Return ``log sum_j exp(scale * cos_j + correction_j)`` over all classes but the own: ``[N]``, -inf over none.

    The result is exact: the sum is accumulated over the chunks, and the backward pass recomputes the logits of each
    chunk (as Milakov & Gimelshein 2018, arXiv:1805.02867, and Dao et al. 2022, arXiv:2205.14135, do).

    Args:
        directions: ``[N, D]``, embeddings of unit length.
        rows: ``[S, centers * D]``, not normalised.
        columns: ``int64 [N]``, the index of the own class in ``rows``, -1 where it is not among them.
        scale: scalar; no gradient flows to it.
        centers: number of directions of a class, of which the nearest one counts.
        correction: ``[S]``, added to the logits of each class.
        modulation: applied to the cosines before the scale.
        chunk: number of classes at a time.
    """
    options = _Options(centers, chunk, modulation)
    return cast("Tensor", _LogSumExpOfOthers.apply(directions, rows, columns, scale, correction, options))


class _Options(NamedTuple):
    centers: int
    chunk: int
    modulation: Modulation | None

    @property
    def plain(self) -> bool:
        """Whether the logits are the cosines times the scale."""
        return self.centers == 1 and self.modulation is None

    def class_cosines(self, cosines: Tensor) -> Tensor:
        """Reduce cosines with all centers ``[N, n * centers]`` to modulated ones with the classes ``[N, n]``."""
        if self.centers > 1:
            cosines = cosines.view(len(cosines), -1, self.centers).amax(dim=2)
        return self.modulation(cosines) if self.modulation else cosines


class _Chunk(NamedTuple):
    """Some of the classes, with ``n * centers`` center vectors.

    Attributes:
        centers: the range of the vectors among those of all classes.
        units: the vectors, of unit length.
        norms: ``[n * centers, 1]``, their lengths before.
        logits: ``[N, n]``, -inf for the own class of each embedding. The next chunk overwrites their memory.
        modulated: the cosines with all centers and those with the classes, where logits are not plain.
    """

    centers: slice
    units: Tensor
    norms: Tensor
    logits: Tensor
    modulated: tuple[Tensor, Tensor] | None


class _LogSumExpOfOthers(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's
        directions: Tensor,
        rows: Tensor,
        columns: Tensor,
        scale: Tensor,
        correction: Tensor | None,
        options: _Options,
    ) -> Tensor:
        total = directions.new_full((len(directions),), -torch.inf)
        for chunk in _chunks(directions, rows, columns, scale, correction, options):
            # As `logsumexp`, but in the memory of the logits. They are all -inf where there is no other class.
            largest = chunk.logits.amax(dim=1, keepdim=True).clamp_(min=torch.finfo(total.dtype).min)
            sums = chunk.logits.sub_(largest).exp_().sum(dim=1)
            total = torch.logaddexp(total, sums.log_().add_(largest[:, 0]))
        ctx.save_for_backward(directions, rows, columns, scale, correction, total)
        ctx.options = options
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's
        # `backward()` may be called under autocast.
        with torch.autocast(gradient.device.type, enabled=False):
            return _LogSumExpOfOthers._gradients(ctx, gradient)

    @staticmethod
    def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's
        directions, rows, columns, scale, correction, total = ctx.saved_tensors
        # Where there is no other class the sum and all logits are -inf, and their difference would be NaN.
        total = total.nan_to_num(neginf=0.0)[:, None]
        weights = (gradient * scale)[:, None]
        weighted = directions * weights
        grad_directions = torch.zeros_like(directions)
        grad_rows = torch.empty_like(rows, memory_format=torch.contiguous_format)
        grad_centers = grad_rows.view(-1, directions.shape[1])
        for chunk in _chunks(directions, rows, columns, scale, correction, ctx.options, backward=True):
            grad_cosines = chunk.logits.sub_(total).exp_()
            if chunk.modulated:
                cosines, class_cosines = chunk.modulated
                (grad_cosines,) = torch.autograd.grad(class_cosines, cosines, grad_cosines)
            grad_directions.addmm_(grad_cosines, chunk.units)
            grad_units = torch.mm(grad_cosines.T, weighted, out=grad_centers[chunk.centers])
            # The gradient of the normalisation: the component along a vector does not turn it.
            along = (chunk.units * grad_units).sum(dim=1, keepdim=True)
            grad_units.sub_(chunk.units.mul_(along)).div_(chunk.norms)
        return grad_directions.mul_(weights), grad_rows, None, None, None, None


def _chunks(
    directions: Tensor,
    rows: Tensor,
    columns: Tensor,
    scale: Tensor,
    correction: Tensor | None,
    options: _Options,
    *,
    backward: bool = False,
) -> Iterator[_Chunk]:
    """Yield the classes chunk by chunk, in order."""
    vectors = rows.reshape(-1, directions.shape[1])
    scaled = directions * scale
    memory = directions.new_empty(len(directions) * min(options.chunk, len(rows)))
    for first in range(0, len(rows), options.chunk):
        classes = slice(first, min(first + options.chunk, len(rows)))
        centers = slice(classes.start * options.centers, classes.stop * options.centers)
        norms = torch.linalg.vector_norm(vectors[centers], dim=1, keepdim=True).clamp_(min=1e-12)
        units = vectors[centers] / norms
        logits = memory[: len(directions) * (classes.stop - classes.start)].view(len(directions), -1)
        modulated = None
        if options.plain:
            torch.mm(scaled, units.T, out=logits)
        else:
            cosines = directions @ units.T
            with torch.set_grad_enabled(backward):
                class_cosines = options.class_cosines(cosines.requires_grad_(backward))
            torch.mul(class_cosines.detach(), scale, out=logits)
            modulated = cosines, class_cosines
        if correction is not None:
            logits += correction[classes]
        own = columns[:, None] - classes.start
        in_chunk = (own >= 0) & (own < logits.shape[1])
        own = own.clamp(0, logits.shape[1] - 1)
        logits.scatter_(1, own, logits.gather(1, own).masked_fill_(in_chunk, -torch.inf))
        yield _Chunk(centers, units, norms, logits, modulated)
