"""A softmax over many classes, a chunk of them at a time: the logits of a batch with all never stand in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # Cosines ``[N, n]`` of embeddings with other classes to what stands in for them, same shape.
    Modulation = Callable[[Tensor], Tensor]

CHUNK = 2048


def own_cosines(directions: Tensor, own: Tensor, columns: Tensor, centers: int = 1) -> Tensor:
    """Return the cosine of each embedding with its own class, the nearest of its centers: ``[N]``, 0 where not here.

    Args:
        directions: ``[N, D]``, rows of unit length.
        own: ``[N, centers * D]``, the rows of the own classes, not normalised.
        columns: ``int64 [N]``, -1 where the own class is not here.
        centers: how many directions a class has.
    """
    units = functional.normalize(own.view(len(own), centers, directions.shape[1]), dim=2)
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

    Exact: the sum is carried from chunk to chunk, and the backward pass computes each chunk's logits again (the
    way of Milakov & Gimelshein 2018, arXiv:1805.02867, and of Dao et al. 2022, arXiv:2205.14135).

    Args:
        directions: ``[N, D]``, rows of unit length.
        rows: ``[S, centers * D]``, not normalised.
        columns: ``int64 [N]``, where in ``rows`` the own class is, -1 where it is not there.
        scale: scalar; no gradient flows to it.
        centers: how many directions a class has; the nearest one counts.
        correction: ``[S]``, added to the logits of each class.
        modulation: what happens to the cosines before the scale.
        chunk: classes at a time.
    """
    options = _Options(centers, chunk, modulation)
    return cast("Tensor", _LogSumExpOfOthers.apply(directions, rows, columns, scale, correction, options))


def failing_together(directions: Tensor, rows: Tensor, own: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return all as they are; where the gradient of a row is no number, that of ``directions`` is none either.

    Through these it reaches the network on every rank: a GradScaler, or who else looks at the network's gradients
    alone, then skips the step that the table skips.
    """
    return cast("tuple[Tensor, Tensor, Tensor]", _FailingTogether.apply(directions, rows, own))


class _FailingTogether(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401 - torch's
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(_ctx: Any, to_directions: Tensor, to_rows: Tensor, to_own: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401 - torch's
        return to_directions + (to_rows.sum() + to_own.sum()) * 0, to_rows, to_own


class _Options(NamedTuple):
    centers: int
    chunk: int
    modulation: Modulation | None

    @property
    def simple(self) -> bool:
        """Whether logits are the cosines times the scale."""
        return self.centers == 1 and self.modulation is None

    def nearest(self, cosines: Tensor) -> Tensor:
        """Cosines with all centers ``[N, n * centers]`` to those with the classes ``[N, n]``, modulated."""
        if self.centers > 1:
            cosines = cosines.view(len(cosines), -1, self.centers).amax(dim=2)
        return self.modulation(cosines) if self.modulation else cosines


class _Chunk(NamedTuple):
    """Some of the classes, with the centers of each: ``n * centers`` rows.

    Attributes:
        rows: where they stand among all.
        units: of unit length.
        lengths: ``[n * centers, 1]`` of before.
        logits: ``[N, n]``, -inf for each embedding's own class. The next chunk's take the same memory.
        modulated: the cosines with all centers, and what became of them, where that is more than the scale.
    """

    rows: slice
    units: Tensor
    lengths: Tensor
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
            # As `logsumexp` does it, but where the logits stand. Where there is no other class, all of them are -inf.
            largest = chunk.logits.amax(dim=1, keepdim=True).clamp_(min=torch.finfo(total.dtype).min)
            sums = chunk.logits.sub_(largest).exp_().sum(dim=1)
            total = torch.logaddexp(total, sums.log_().add_(largest[:, 0]))
        ctx.save_for_backward(directions, rows, columns, scale, correction, total)
        ctx.options = options
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's
        # Somebody may call `backward()` where autocast is on.
        with torch.autocast(gradient.device.type, enabled=False):
            return _LogSumExpOfOthers._gradients(ctx, gradient)

    @staticmethod
    def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's
        directions, rows, columns, scale, correction, total = ctx.saved_tensors
        # Where there is no other class the sum is -inf, and so is every logit: their difference would be no number.
        total = total.nan_to_num(neginf=0.0)[:, None]
        weights = (gradient * scale)[:, None]
        weighted = directions * weights
        to_directions = torch.zeros_like(directions)
        to_rows = torch.empty_like(rows, memory_format=torch.contiguous_format)
        to_centers = to_rows.view(-1, directions.shape[1])
        for chunk in _chunks(directions, rows, columns, scale, correction, ctx.options, backward=True):
            to_cosines = chunk.logits.sub_(total).exp_()
            if chunk.modulated:
                cosines, nearest = chunk.modulated
                (to_cosines,) = torch.autograd.grad(nearest, cosines, to_cosines)
            to_directions.addmm_(to_cosines, chunk.units)
            to_units = torch.mm(to_cosines.T, weighted, out=to_centers[chunk.rows])
            # Of a direction's change only what is across it turns it.
            along = (chunk.units * to_units).sum(dim=1, keepdim=True)
            to_units.sub_(chunk.units.mul_(along)).div_(chunk.lengths)
        return to_directions.mul_(weights), to_rows, None, None, None, None


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
    centers = rows.reshape(-1, directions.shape[1])
    scaled = directions * scale
    memory = directions.new_empty(len(directions) * min(options.chunk, len(rows)))
    for first in range(0, len(rows), options.chunk):
        part = slice(first, min(first + options.chunk, len(rows)))
        of_centers = slice(part.start * options.centers, part.stop * options.centers)
        lengths = torch.linalg.vector_norm(centers[of_centers], dim=1, keepdim=True).clamp_(min=1e-12)
        units = centers[of_centers] / lengths
        logits = memory[: len(directions) * (part.stop - part.start)].view(len(directions), -1)
        modulated = None
        if options.simple:
            torch.mm(scaled, units.T, out=logits)
        else:
            cosines = directions @ units.T
            with torch.set_grad_enabled(backward):
                nearest = options.nearest(cosines.requires_grad_(backward))
            torch.mul(nearest.detach(), scale, out=logits)
            modulated = cosines, nearest
        if correction is not None:
            logits += correction[part]
        own = columns[:, None] - part.start
        here = (own >= 0) & (own < logits.shape[1])
        own = own.clamp(0, logits.shape[1] - 1)
        logits.scatter_(1, own, logits.gather(1, own).masked_fill_(here, -torch.inf))
        yield _Chunk(of_centers, units, lengths, logits, modulated)
