"""Collective operations for a class table that is sharded over ranks, and their gradients.

Each rank keeps the rows of a contiguous range of classes. ``all_gather_batch`` gives every rank the batch of all ranks,
for which it computes the terms of its own classes; the reductions combine these terms. All ranks thus compute the same
loss, and the gradients on each rank are those of that one loss.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, distributed


def rank_and_world_size() -> tuple[int, int]:
    """Return the rank and the world size: 0 and 1 without a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def classes_of_rank(num_classes: int, rank: int, world_size: int) -> tuple[int, int]:
    """Return ``start, stop`` of the classes of ``rank``; the ranks' numbers of classes differ by at most one."""
    return num_classes * rank // world_size, num_classes * (rank + 1) // world_size


def all_gather_batch(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the embeddings ``[N, D]`` and labels ``int64 [N]`` of all ranks.

    Batches may differ in size. The gradients are multiplied by the world size, because what wraps the network (DDP and
    the like) averages gradients over ranks. Takes one all-gather, and a small one for the sizes, in the forward pass,
    and one reduce-scatter in the backward pass.
    """
    _, world_size = rank_and_world_size()
    if world_size == 1:
        return embeddings, labels
    sizes = torch.zeros(world_size, dtype=torch.int64, device=labels.device)
    distributed.all_gather_into_tensor(sizes, torch.tensor([len(labels)], device=labels.device))
    sizes_of_ranks = sizes.tolist()
    # The labels travel as the bits of extra columns: a float cannot hold their values.
    bits = labels[:, None].view(embeddings.dtype)
    gathered = cast("Tensor", _AllGather.apply(torch.cat([embeddings, bits], dim=1), sizes_of_ranks))
    width = embeddings.shape[1]
    # Copied, because the bits of an int64 have to begin at a multiple of its size.
    all_labels = gathered.detach()[:, width:].clone(memory_format=torch.contiguous_format).view(torch.int64)[:, 0]
    return gathered[:, :width], all_labels


def all_reduce_sum(values: Tensor) -> Tensor:
    """Return the sum over ranks of ``values [N]``, each of which is 0 on all ranks but one."""
    return cast("Tensor", _AllReduceSum.apply(values)) if rank_and_world_size()[1] > 1 else values


def all_reduce_log_sum_exp(values: Tensor) -> Tensor:
    """Return ``log sum exp`` over ranks of ``values [N]``."""
    return cast("Tensor", _AllReduceLogSumExp.apply(values)) if rank_and_world_size()[1] > 1 else values


def divide_gradient_by_world_size(values: Tensor) -> Tensor:
    """Return ``values`` unchanged, and divide their gradient by the world size.

    For values that are equal on all ranks, and with which all ranks do the same computation: the reduce-scatter of
    ``all_gather_batch`` adds up their gradients.
    """
    return cast("Tensor", _DivideGradientByWorldSize.apply(values)) if rank_and_world_size()[1] > 1 else values


def all_gather_text(text: str) -> list[str]:
    """Return the ``text`` of every rank, in the order of ranks."""
    _, world_size = rank_and_world_size()
    if world_size == 1:
        return [text]
    gathered = [""] * world_size
    distributed.all_gather_object(gathered, text)
    return gathered


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, sizes: list[int]) -> Tensor:  # noqa: ANN401 - torch's
        ctx.sizes = sizes
        largest = max(sizes)
        if largest == 0:
            return values.view_as(values)
        padded = values.new_zeros(largest, values.shape[1])
        padded[: len(values)] = values
        gathered = values.new_empty(largest * len(sizes), values.shape[1])
        distributed.all_gather_into_tensor(gathered, padded)
        batches = torch.split(gathered, largest)
        return torch.cat([batch[:size] for batch, size in zip(batches, sizes, strict=True)])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's
        sizes: list[int] = ctx.sizes
        largest = max(sizes)
        if largest == 0:
            return gradient, None
        padded = gradient.new_zeros(largest * len(sizes), gradient.shape[1])
        for start, batch in zip(range(0, len(padded), largest), torch.split(gradient, sizes), strict=True):
            padded[start : start + len(batch)] = batch
        local = gradient.new_empty(largest, gradient.shape[1])
        distributed.reduce_scatter_tensor(local, padded)
        rank, world_size = rank_and_world_size()
        return local[: sizes[rank]] * world_size, None


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        return gradient


class _AllReduceLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        gathered = values.new_empty(rank_and_world_size()[1] * len(values))
        distributed.all_gather_into_tensor(gathered, values.contiguous())
        total = gathered.view(-1, len(values)).logsumexp(dim=0)
        ctx.save_for_backward(values, total)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        values, total = ctx.saved_tensors
        return cast("Tensor", gradient * (values - total.nan_to_num(neginf=0.0)).exp())


class _DivideGradientByWorldSize(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        return values.view_as(values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        return gradient / rank_and_world_size()[1]
