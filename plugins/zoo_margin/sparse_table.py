"""The sparse class table: a step reads and updates a sample of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed, nn

from zoo_margin.collectives import classes_of_rank, rank_and_world_size
from zoo_margin.sampling import INITIAL_STD, initial_rows, sampled_classes
from zoo_margin.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_margin.row_optimizers import RowOptimizer

# Rows that are read, updated and written back at a time: what the cache of a core holds.
ROWS_PER_UPDATE = 2048


class SparseTable(nn.Module):
    """A class table of which a step reads and updates only the rows of the batch and of a sample of the other classes.

    The rows and their optimizer state are neither parameters nor buffers: no optimizer, DDP, clipping, averaging or
    ``state_dict`` sees them. They are made on first use, on the device of the labels, and sharded over the ranks of the
    process group, if there is one. Training calls ``apply_gradients`` once for each step of the network's optimizer,
    after the backward passes of all batches of the step, which share their sampled negatives.

    Args:
        num_classes: number of rows C on all ranks.
        width: length of a row.
        optimizer: updates the rows that have a gradient.
        negatives: how many classes to sample for a step beside those of the batch, on all ranks together; 1 or more.
        log_q: add ``log(C / negatives)`` to the logits of the classes that are in the sample but not in the batch, so
            that the expected sum over the sample is the sum over all classes (Bengio & Senecal 2008; each sampled class
            stands for ``C / negatives`` classes).
        seed: of the initial values and of the sampling.
        centers: number of directions that a row consists of. The table does not use it, but a saved table records it.

    Raises:
        ValueError: ``negatives`` is not a positive integer.

    Attributes:
        step: number of steps so far.
        initialized: number of rows that were ever given initial values, including those of removed classes.
        start, stop: this rank holds the rows of the classes ``start..stop - 1``.
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
        self.initialized = num_classes
        self.start, self.stop = 0, num_classes
        # The rows, as ``weight``, and their optimizer state, by name.
        self._tensors: dict[str, Tensor] = {}
        # For each batch since the last step, the indices of its rows among those of this rank, and its selection.
        self._selected: list[tuple[Tensor, Selection]] = []

    @property
    def nbytes(self) -> int:
        """Size in bytes of the rows and their state on all ranks together."""
        state = self.optimizer.state(1, self.width, torch.device("cpu"))
        return self.num_classes * (4 * self.width + sum(tensor.nbytes for tensor in state.values()))

    def tensors(self, device: torch.device) -> dict[str, Tensor]:
        """Return the rows of this rank, ``weight float32 [R, width]``, and their state; make them on the first call."""
        if not self._tensors:
            self.start, self.stop = classes_of_rank(self.num_classes, *rank_and_world_size())
            weight = initial_rows(self.start, self.stop, self.width, seed=self.seed, std=INITIAL_STD)
            state = self.optimizer.state(self.stop - self.start, self.width, device)
            self._tensors = {"weight": weight.to(device), **state}
        return self._tensors

    def restore(self, new: Tensor, first: int, *, step: int, initialized: int) -> None:
        """Continue at a saved step; this rank's rows ``new int64 [n]`` get initial values of ``first..``, no state."""
        self.step, self.initialized = step, initialized
        values = initial_rows(first, first + len(new), self.width, seed=self.seed, std=INITIAL_STD)
        for name, tensor in self._tensors.items():
            on_device = new.to(tensor.device)
            if name == "weight":
                tensor.index_copy_(0, on_device, values.to(tensor.device))
            else:
                tensor.index_fill_(0, on_device, 0)

    def select(self, labels: Tensor) -> Selection:
        """Select the classes of this step for ``labels int64 [N]`` of all ranks."""
        weight = self.tensors(labels.device)["weight"]
        classes, columns, correction = _selected_classes(
            labels, self.num_classes, self.negatives, seed=self.seed, step=self.step, log_q=self.log_q
        )
        if self.stop - self.start < self.num_classes:
            bounds = torch.tensor([self.start, self.stop], device=classes.device)
            first, last = torch.searchsorted(classes, bounds).tolist()
            classes = classes[first:last]
            columns = torch.where((columns >= first) & (columns < last), columns - first, -1)
            correction = None if correction is None else correction[first:last]
        indices = classes - self.start
        rows = _gather_rows(weight, indices)
        own_rows = rows.new_zeros(len(columns), self.width)
        if len(rows):
            own_rows = _where_on_this_rank(columns, rows[columns.clamp(min=0)])
        selection = Selection(rows, own_rows, columns, correction)
        if self.training and torch.is_grad_enabled():
            rows.requires_grad_()
            own_rows.requires_grad_()
            self._selected.append((indices, selection))
        return selection

    @torch.no_grad()
    def apply_gradients(self, learning_rate: float, scale: float = 1.0) -> bool:
        """Update the rows that got gradients since the last step; none on any rank if a gradient is not finite.

        Args:
            learning_rate: for this step.
            scale: what the loss was multiplied by before the backward passes (``GradScaler.get_scale()``).

        Returns:
            Whether all gradients of all ranks were finite.
        """
        gradients = [
            (indices, gradient)
            for indices, selection in self._selected
            if (gradient := _gradient_of(selection)) is not None
        ]
        self.drop_gradients()
        finite = all(bool(gradient.sum().isfinite()) for _, gradient in gradients)
        if rank_and_world_size()[1] > 1:
            flag = torch.tensor(float(finite), device=self._tensors["weight"].device)
            distributed.all_reduce(flag, distributed.ReduceOp.MIN)
            finite = bool(flag)
        if finite and gradients:
            _update_rows(self._tensors, self.optimizer, *_coalesced(gradients), learning_rate, scale)
        return finite

    def drop_gradients(self) -> None:
        """Drop the gradients since the last step, and count this step without updating a row."""
        self._selected.clear()
        self.step += 1

    def extra_repr(self) -> str:
        """Describe the table in one line."""
        return f"{self.num_classes}x{self.width}, sparse, {self.negatives} negatives, {self.optimizer}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SparseTable:  # noqa: ARG002, FBT001, FBT002 - torch's
        """Follow the module to its device, but stay in float32: there are no parameters, buffers and modules within."""
        for name, tensor in self._tensors.items():
            self._tensors[name] = tensor.to(fn(tensor[:0]).device)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the gradients: copies and other processes get the table alone."""
        return {**self.__dict__, "_selected": []}


def _selected_classes(
    labels: Tensor, num_classes: int, negatives: int, *, seed: int, step: int, log_q: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the classes ``[S]`` in order, the index in them of each label ``[N]``, and their correction ``[S]``."""
    if negatives >= num_classes:
        return torch.arange(num_classes, device=labels.device), labels, None
    sampled = sampled_classes(num_classes, negatives, seed=seed, step=step)
    if labels.device.type == "cuda":
        # Only from pinned memory a copy does not wait for what the device still has to do.
        sampled = sampled.pin_memory()
    sampled = sampled.to(labels.device, non_blocking=labels.device.type == "cuda")
    classes, inverse = torch.unique(torch.cat([labels, sampled]), return_inverse=True)
    columns = inverse[: len(labels)]
    if not log_q:
        return classes, columns, None
    correction = torch.full((len(classes),), num_classes / negatives, device=classes.device).log()
    correction[columns] = 0
    return classes, columns, correction


def _update_rows(
    tensors: dict[str, Tensor],
    optimizer: RowOptimizer,
    indices: Tensor,
    gradients: Tensor,
    learning_rate: float,
    scale: float,
) -> None:
    """Update the rows ``indices`` of ``tensors`` in place, ``ROWS_PER_UPDATE`` at a time."""
    chunks = (torch.split(tensor, ROWS_PER_UPDATE) for tensor in (indices, gradients))
    for chunk, gradient in zip(*chunks, strict=True):
        state = {name: _gather_rows(tensor, chunk) for name, tensor in tensors.items()}
        rows = state.pop("weight")
        optimizer.update(rows, gradient if scale == 1 else gradient / scale, state, learning_rate)
        for name, values in {"weight": rows, **state}.items():
            _as_int64(tensors[name]).index_copy_(0, chunk, _as_int64(values))


def _gather_rows(tensor: Tensor, indices: Tensor) -> Tensor:
    """Copy the rows ``indices`` of a tensor of the table."""
    return _as_int64(tensor).index_select(0, indices).view(tensor.dtype)


def _as_int64(tensor: Tensor) -> Tensor:
    """View the rows as int64 where their size allows: torch copies rows element by element, so fewer are faster."""
    fits = tensor.dim() > 1 and tensor.shape[-1] * tensor.dtype.itemsize % 8 == 0
    return tensor.view(torch.int64) if fits else tensor


def _gradient_of(selection: Selection) -> Tensor | None:
    """Return the gradients ``[S, width]`` of the rows, or ``None`` without a backward pass."""
    gradient, own_gradient = selection.rows.grad, selection.own_rows.grad
    if gradient is None or own_gradient is None:
        return None
    if not len(gradient):
        return gradient
    own_gradient = _where_on_this_rank(selection.columns, own_gradient)
    return gradient.index_add_(0, selection.columns.clamp(min=0), own_gradient)


def _where_on_this_rank(columns: Tensor, values: Tensor) -> Tensor:
    """Return ``values [N, width]``, with zeros where ``columns [N]`` say that another rank holds the row.

    A list of those that it holds would do as well, but its length would have to be read from the device.
    """
    return torch.where((columns >= 0)[:, None], values, 0)


def _coalesced(gradients: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Add up the gradients ``[S, width]`` of several batches, so that each row is there once."""
    if len(gradients) == 1:
        return gradients[0]
    indices, inverse = torch.unique(torch.cat([indices for indices, _ in gradients]), return_inverse=True)
    values = torch.cat([gradient for _, gradient in gradients])
    return indices, values.new_zeros(len(indices), values.shape[1]).index_add_(0, inverse, values)
