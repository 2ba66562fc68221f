"""The class table that scales: of its rows a step reads and moves only those that take part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, distributed, nn

from zoo_margin.collectives import classes_of_rank, rank_and_world_size
from zoo_margin.sampling import initial_rows, sampled_classes

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_margin.row_optimizers import RowOptimizer

# Of the rows at first. Their lengths only set how far a step turns them.
DEVIATION = 0.01
# Rows that are read, moved and written back at a time: what a core's cache holds.
UPDATED_AT_ONCE = 2048


class Selection(NamedTuple):
    """The classes that take part in a step, as far as this rank has them.

    Attributes:
        rows: ``[S, width]``, which gradients flow to.
        own: ``[N, width]``, those of the labels, with gradients of their own: else these would be added up in another
            tensor of all rows. Zeros where a label is another rank's.
        columns: ``int64 [N]``, where in ``rows`` each label is, -1 where it is another rank's.
        correction: ``[S]``, to add to the logits, or ``None``.
    """

    rows: Tensor
    own: Tensor
    columns: Tensor
    correction: Tensor | None


class SparseTable(nn.Module):
    """A table of which a step reads, gives gradients to and updates only the rows that take part in it.

    The rows and their optimizer's state are no parameters and no buffers: no optimizer, DDP, clipping, averaging or
    ``state_dict`` sees them. They are made on first use, on the device of the labels and, where there is a process
    group, on each rank a share of them. Training calls ``apply_gradients`` once for each step of the network's
    optimizer, after the backward passes of all its batches. In all of these the same negatives take part.

    Args:
        num_classes: rows C, of all ranks.
        width: numbers a row.
        optimizer: what moves a row that has a gradient.
        negatives: how many classes to sample for a step beside those of the batch, of all ranks together; 1 or more.
        log_q: add ``log(C / negatives)`` to the logits of those classes that are there by chance alone, so that the
            sum over them is, by expectation, that over all (Bengio & Senecal 2008; each of them stands for
            ``C / negatives``).
        seed: of the first values and of the sampling.
        centers: how many directions a row is made of. The table only tells it to who saves it.

    Raises:
        ValueError: there are no negatives.

    Attributes:
        step: calls of ``apply_gradients`` so far.
        drawn: rows of first values that were ever made, those of classes that are gone among them.
    """

    def __init__(
        self,
        num_classes: int,
        width: int,
        *,
        optimizer: RowOptimizer,
        negatives: int,
        log_q: bool = False,
        seed: int = 0,
        centers: int = 1,
    ) -> None:
        super().__init__()
        if not isinstance(negatives, int) or negatives < 1:
            raise ValueError(f"negatives is {negatives}, but has to be a whole number above 0")
        self.num_classes, self.width, self.centers, self.seed, self.log_q = num_classes, width, centers, seed, log_q
        self.negatives = min(negatives, num_classes)
        self.optimizer = optimizer
        self.step = 0
        self.drawn = num_classes
        self.start, self.stop = 0, num_classes
        # Name to tensor: the rows, ``weight``, and their state, each with the rank's classes first.
        self._tensors: dict[str, Tensor] = {}
        # Of each batch since the last step: the rows' numbers and what was made of them.
        self._touched: list[tuple[Tensor, Selection]] = []

    @property
    def nbytes(self) -> int:
        """Bytes that rows and state of all ranks take together."""
        state = self.optimizer.state(1, self.width, torch.device("cpu"))
        return self.num_classes * (4 * self.width + sum(tensor.nbytes for tensor in state.values()))

    def tensors(self, device: torch.device) -> dict[str, Tensor]:
        """Return the rows of this rank, ``weight float32 [R, width]``, and their state; made if they are not there.

        They are classes ``start..stop - 1``.
        """
        if not self._tensors:
            self.start, self.stop = classes_of_rank(self.num_classes, *rank_and_world_size())
            weight = initial_rows(self.start, self.stop, self.width, seed=self.seed, std=DEVIATION)
            state = self.optimizer.state(self.stop - self.start, self.width, device)
            self._tensors = {"weight": weight.to(device), **state}
        return self._tensors

    def renew(self, rows: Tensor, first: int) -> None:
        """Give ``rows int64 [n]`` of this rank the first values of numbers from ``first`` on, and no state."""
        values = initial_rows(first, first + len(rows), self.width, seed=self.seed, std=DEVIATION)
        for name, tensor in self._tensors.items():
            ids = rows.to(tensor.device)
            if name == "weight":
                tensor.index_copy_(0, ids, values.to(tensor.device))
            else:
                tensor.index_fill_(0, ids, 0)

    def select(self, labels: Tensor) -> Selection:
        """Choose the classes of this step for ``labels int64 [N]``, those of all ranks."""
        weight = self.tensors(labels.device)["weight"]
        ids, columns, correction = _chosen(
            labels, self.num_classes, self.negatives, seed=self.seed, step=self.step, log_q=self.log_q
        )
        if self.stop - self.start < self.num_classes:
            bounds = torch.tensor([self.start, self.stop], device=ids.device)
            first, last = torch.searchsorted(ids, bounds).tolist()
            ids = ids[first:last]
            columns = torch.where((columns >= first) & (columns < last), columns - first, -1)
            correction = None if correction is None else correction[first:last]
        ids = ids - self.start
        rows = _gathered(weight, ids)
        own = rows.new_zeros(len(columns), self.width)
        (here,) = torch.nonzero(columns >= 0, as_tuple=True)
        own[here] = rows[columns[here]]
        selection = Selection(rows, own, columns, correction)
        if self.training and torch.is_grad_enabled():
            rows.requires_grad_()
            own.requires_grad_()
            self._touched.append((ids, selection))
        return selection

    @torch.no_grad()
    def apply_gradients(self, learning_rate: float, scale: float = 1.0) -> bool:
        """Move the rows that got gradients since the last call; on all ranks, or where a gradient is no number on none.

        Args:
            learning_rate: for this step.
            scale: what the loss was multiplied with before the backward passes (``GradScaler.get_scale()``).

        Returns:
            Whether all gradients were finite, on all ranks.
        """
        touched = [(ids, gradient) for ids, it in self._touched if (gradient := _gradient(it)) is not None]
        self.drop_gradients()
        finite = all(bool(gradient.sum().isfinite()) for _, gradient in touched)
        if rank_and_world_size()[1] > 1:
            flag = torch.tensor(float(finite), device=self._tensors["weight"].device)
            distributed.all_reduce(flag, distributed.ReduceOp.MIN)
            finite = bool(flag)
        if finite and touched:
            self._move(*_coalesced(touched), learning_rate, scale)
        return finite

    def drop_gradients(self) -> None:
        """Forget the gradients since the last step: this one does not count for the rows."""
        self._touched.clear()
        self.step += 1

    def extra_repr(self) -> str:
        """Describe the table in one line."""
        return f"{self.num_classes}x{self.width}, sparse, {self.negatives} negatives, {self.optimizer}"

    def _move(self, ids: Tensor, gradients: Tensor, learning_rate: float, scale: float) -> None:
        parts = (torch.split(tensor, UPDATED_AT_ONCE) for tensor in (ids, gradients))
        for part, gradient in zip(*parts, strict=True):
            state = {name: _gathered(tensor, part) for name, tensor in self._tensors.items()}
            rows = state.pop("weight")
            self.optimizer.update(rows, gradient if scale == 1 else gradient / scale, state, learning_rate)
            for name, values in {"weight": rows, **state}.items():
                _wide(self._tensors[name]).index_copy_(0, part, _wide(values))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SparseTable:  # noqa: FBT001, FBT002 - torch's
        """Follow the module to its device, and stay in float32."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call] # torch has no types for it
        for name, tensor in self._tensors.items():
            self._tensors[name] = tensor.to(fn(tensor[:0]).device)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Leave gradients behind: what travels to another process, or is copied, is the table."""
        return {**self.__dict__, "_touched": []}


def _chosen(
    labels: Tensor, classes: int, negatives: int, *, seed: int, step: int, log_q: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Classes ``[S]`` in order, where in them each label is ``[N]``, and the correction ``[S]`` of their logits."""
    if negatives >= classes:
        return torch.arange(classes, device=labels.device), labels, None
    by_chance = sampled_classes(classes, negatives, seed=seed, step=step).to(labels.device)
    ids, places = torch.unique(torch.cat([labels, by_chance]), return_inverse=True)
    columns = places[: len(labels)]
    if not log_q:
        return ids, columns, None
    correction = torch.full((len(ids),), classes / negatives, device=ids.device).log()
    correction[columns] = 0
    return ids, columns, correction


def _gathered(tensor: Tensor, ids: Tensor) -> Tensor:
    """Copy the rows ``ids`` of a tensor of the table."""
    return _wide(tensor).index_select(0, ids).view(tensor.dtype)


def _wide(tensor: Tensor) -> Tensor:
    """View numbers of 64 bits, where that goes: torch gathers and writes rows number by number."""
    fits = tensor.dim() > 1 and tensor.shape[-1] * tensor.dtype.itemsize % 8 == 0
    return tensor.view(torch.int64) if fits else tensor


def _gradient(selection: Selection) -> Tensor | None:
    """Gradients ``[S, width]`` of the rows, where there was a backward pass."""
    gradient, own = selection.rows.grad, selection.own.grad
    if gradient is None or own is None:
        return None
    (here,) = torch.nonzero(selection.columns >= 0, as_tuple=True)
    return gradient.index_add_(0, selection.columns[here], own[here])


def _coalesced(touched: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Add up the gradients ``[S, width]`` of several batches, each row once."""
    if len(touched) == 1:
        return touched[0]
    ids, places = torch.unique(torch.cat([ids for ids, _ in touched]), return_inverse=True)
    gradients = torch.cat([gradient for _, gradient in touched])
    return ids, gradients.new_zeros(len(ids), gradients.shape[1]).index_add_(0, places, gradients)
