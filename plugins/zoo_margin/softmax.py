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


def own_cosines(directions: Tensor, rows: Tensor, columns: Tensor, centers: int = 1) -> Tensor:
    """Return the cosine of each embedding with its own class, the nearest of its centers: ``[N]``, 0 where not here.

    Args:
        directions: ``[N, D]``, rows of unit length.
        rows: ``[S, centers * D]``, not normalised.
        columns: ``int64 [N]``, where in ``rows`` the own class is, -1 where it is not there.
        centers: how many directions a class has.
    """
    if len(rows) == 0:
        return directions.sum(dim=1) * 0
    own = rows.index_select(0, columns.clamp(min=0)).view(len(columns), centers, -1)
    cosines = (functional.normalize(own, dim=2) * directions[:, None]).sum(dim=2).amax(dim=1)
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


def failing_together(directions: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as they are; where the gradient of ``rows`` is no number, that of ``directions`` is none either.

    Through these it reaches the network on every rank: a GradScaler, or who else looks at the network's gradients
    alone, then skips the step that the table skips.
    """
    return cast("tuple[Tensor, Tensor]", _FailingTogether.apply(directions, rows))


class _FailingTogether(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, directions: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401 - torch's
        return directions.view_as(directions), rows.view_as(rows)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(_ctx: Any, to_directions: Tensor, to_rows: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401 - torch's
        return to_directions + to_rows.sum() * 0, to_rows


class _Options(NamedTuple):
    centers: int
    chunk: int
    modulation: Modulation | None

    def chunks(self, classes: int) -> Iterator[slice]:
        for start in range(0, classes, self.chunk):
            yield slice(start, min(start + self.chunk, classes))

    def nearest(self, cosines: Tensor) -> Tensor:
        """Cosines with all centers ``[N, n * centers]`` to those with the classes ``[N, n]``, modulated."""
        if self.centers > 1:
            cosines = cosines.view(len(cosines), -1, self.centers).amax(dim=2)
        return self.modulation(cosines) if self.modulation else cosines


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
        for part in options.chunks(len(rows)):
            units, _ = _units(rows[part], options.centers)
            cosines = options.nearest(directions @ units.T)
            logits = _logits(cosines, columns, part, scale, correction)
            total = torch.logaddexp(total, logits.logsumexp(dim=1))
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
        options: _Options = ctx.options
        simple = options.centers == 1 and options.modulation is None
        # Where there is no other class the sum is -inf, and so is every logit: their difference would be no number.
        total = total.nan_to_num(neginf=0.0)[:, None]
        weights = (gradient * scale)[:, None]
        to_directions = torch.zeros_like(directions)
        to_rows = torch.empty_like(rows)
        for part in options.chunks(len(rows)):
            units, lengths = _units(rows[part], options.centers)
            all_cosines = directions @ units.T
            with torch.set_grad_enabled(not simple):
                cosines = options.nearest(all_cosines.requires_grad_(not simple))
            logits = _logits(cosines.detach(), columns, part, scale, correction)
            to_cosines = logits.sub_(total).exp_().mul_(weights)
            if not simple:
                (to_cosines,) = torch.autograd.grad(cosines, all_cosines, to_cosines)
            to_directions.addmm_(to_cosines, units)
            to_units = to_cosines.T @ directions
            # Of a direction's change only what is across it turns it.
            to_units.sub_(units * (units * to_units).sum(dim=1, keepdim=True)).div_(lengths)
            to_rows[part] = to_units.view_as(rows[part])
        return to_directions, to_rows, None, None, None, None


def _units(rows: Tensor, centers: int) -> tuple[Tensor, Tensor]:
    """``[n, centers * D]`` to ``[n * centers, D]`` of unit length, and the lengths ``[n * centers, 1]`` of before."""
    rows = rows.reshape(len(rows) * centers, -1)
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp(min=1e-12)
    return rows / lengths, lengths


def _logits(cosines: Tensor, columns: Tensor, part: slice, scale: Tensor, correction: Tensor | None) -> Tensor:
    """``[N, n]`` logits of the classes of ``part``; -inf for each embedding's own."""
    logits = cosines * scale if correction is None else torch.addcmul(correction[part], cosines, scale)
    (images,) = torch.nonzero((columns >= part.start) & (columns < part.stop), as_tuple=True)
    logits[images, columns[images] - part.start] = -torch.inf
    return logits
