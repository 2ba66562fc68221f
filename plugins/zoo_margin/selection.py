"""The rows of the class table that a step computes with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Selection(NamedTuple):
    """The classes of a step, as far as this rank holds their rows.

    Attributes:
        rows: ``[S, width]``; gradients flow to it.
        own_rows: ``[N, width]``, the row of each label; gradients flow to it separately, because adding them to those
            of ``rows`` would take another tensor of that size. Zeros where another rank holds the row.
        columns: ``int64 [N]``, the index of each label in ``rows``, -1 where another rank holds the row.
        correction: ``[S]``, added to the logits, or ``None``.
    """

    rows: Tensor
    own_rows: Tensor
    columns: Tensor
    correction: Tensor | None
