"""The embeddings of a validation set, in the order of the data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from zoo.validation.dataset import UNREADABLE_LABEL

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor


@dataclass(frozen=True)
class EmbeddedImages:
    """Embeddings of a validation set: ``float32 [N, D]`` of unit length, ``int64 [N]`` and ``bool [N]``.

    ``is_reference`` marks the first plain image of each class, against which the others are identified. ``items``:
    ``int64 [N]``, where each stands in the validation set.
    """

    embeddings: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    is_reference: npt.NDArray[np.bool_]
    items: npt.NDArray[np.int64]

    @classmethod
    def of(cls, embeddings: Tensor, labels: Tensor, plain: Tensor, index: Tensor) -> EmbeddedImages:
        """Bring gathered rows into the order of the data set, each once, and mark the references."""
        items, rows = np.unique(index.cpu().numpy(), return_index=True)
        readable = labels.cpu().numpy()[rows] != UNREADABLE_LABEL
        items, rows = items[readable], rows[readable]
        ordered_labels = labels.cpu().numpy()[rows].astype(np.int64)
        plain_rows = np.flatnonzero(plain.cpu().numpy()[rows])
        _, first = np.unique(ordered_labels[plain_rows], return_index=True)
        is_reference = np.zeros(len(rows), dtype=np.bool_)
        is_reference[plain_rows[first]] = True
        unit = nn.functional.normalize(embeddings.float(), dim=1).cpu().numpy()[rows]
        return cls(unit, ordered_labels, is_reference, items.astype(np.int64))
