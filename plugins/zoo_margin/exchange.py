"""What ranks tell each other in a step of a sharded class table, and where gradients flow back.

Every rank then has the whole batch and works on its own classes. What follows from all of them, the loss, is
computed on every rank alike, and each rank's gradients are those of that one loss.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, distributed


def world() -> tuple[int, int]:
    """Return rank and number of ranks: 0 and 1 where no process group is."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def shard(classes: int, rank: int, ranks: int) -> tuple[int, int]:
    """Return where the classes of ``rank`` begin and end: as many on each, or one more."""
    return classes * rank // ranks, classes * (rank + 1) // ranks


def batch_of_all(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the embeddings ``[N, D]`` and labels ``[N]`` of all ranks.

    Batches may differ in size. Gradients come back multiplied by the number of ranks: what wraps the network, DDP or
    its like, is going to divide by it. One all-gather (and a small one of the sizes) forward, one reduce-scatter
    backward.
    """
    _, ranks = world()
    if ranks == 1:
        return embeddings, labels
    sizes = torch.zeros(ranks, dtype=torch.int64, device=labels.device)
    distributed.all_gather_into_tensor(sizes, torch.tensor([len(labels)], device=labels.device))
    counts = sizes.tolist()
    # The labels travel as two columns of bits: a float cannot hold them.
    bits = labels.to(torch.int64)[:, None].view(torch.float32).to(embeddings.dtype)
    if embeddings.dtype is torch.float64:
        bits = labels.to(torch.int64)[:, None].view(torch.float64)
    everything = cast("Tensor", _Gather.apply(torch.cat([embeddings, bits], dim=1), counts))
    columns = embeddings.shape[1]
    all_labels = everything.detach()[:, columns:].contiguous().view(torch.int64)[:, 0]
    return everything[:, :columns], all_labels


def sum_of_all(values: Tensor) -> Tensor:
    """Return the sum over the ranks of ``values [N]``, each of which one rank has and the others have 0 for."""
    return cast("Tensor", _Sum.apply(values)) if world()[1] > 1 else values


def log_sum_exp_of_all(values: Tensor) -> Tensor:
    """Return ``log sum exp`` over the ranks of ``values [N]``."""
    return cast("Tensor", _LogSumExp.apply(values)) if world()[1] > 1 else values


def counted_once(values: Tensor) -> Tensor:
    """Return ``values``, which all ranks have alike and compute alike with: each passes its part of the gradient."""
    return cast("Tensor", _Part.apply(values)) if world()[1] > 1 else values


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int]) -> Tensor:  # noqa: ANN401 - torch's
        ctx.counts = counts
        largest = max(counts)
        if largest == 0:
            return rows.view_as(rows)
        padded = rows.new_zeros(largest, rows.shape[1])
        padded[: len(rows)] = rows
        gathered = rows.new_empty(largest * len(counts), rows.shape[1])
        distributed.all_gather_into_tensor(gathered, padded)
        parts = torch.split(gathered, largest)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's
        counts: list[int] = ctx.counts
        largest = max(counts)
        if largest == 0:
            return gradient, None
        padded = gradient.new_zeros(largest * len(counts), gradient.shape[1])
        for start, part in zip(range(0, len(padded), largest), torch.split(gradient, counts), strict=True):
            padded[start : start + len(part)] = part
        own = gradient.new_empty(largest, gradient.shape[1])
        distributed.reduce_scatter_tensor(own, padded)
        rank, ranks = world()
        return own[: counts[rank]] * ranks, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        return gradient


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        gathered = values.new_empty(world()[1] * len(values))
        distributed.all_gather_into_tensor(gathered, values.contiguous())
        total = gathered.view(-1, len(values)).logsumexp(dim=0)
        ctx.save_for_backward(values, total)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        values, total = ctx.saved_tensors
        return cast("Tensor", gradient * (values - total.nan_to_num(neginf=0.0)).exp())


class _Part(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        return values.view_as(values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        return gradient / world()[1]
