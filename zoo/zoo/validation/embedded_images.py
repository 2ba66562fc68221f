"""The embeddings of a validation set, in the order of the data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from zoo.validation.dataset import UNREADABLE_LABEL

if TYPE_CHECKING:
    import numpy.typing as npt

_SMALLEST = 1e-12


@dataclass(frozen=True)
class EmbeddedImages:
    """Embeddings of a validation set: ``float32 [N, D]`` of unit length, ``int64 [N]`` and ``bool [N]``.

    ``is_reference`` marks the first plain image of each class, against which the others are identified. ``items``:
    ``int64 [N]``, where each stands in the validation set. ``digests``: ``int64 [N]``, of each one's pixels.
    ``groups``: ``int64 [N]``, the group of each one's class, where the data say which classes are look-alikes.
    """

    embeddings: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    is_reference: npt.NDArray[np.bool_]
    items: npt.NDArray[np.int64]
    digests: npt.NDArray[np.int64] | None = None
    groups: npt.NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        embeddings: npt.NDArray[np.floating],
        labels: npt.NDArray[np.integer],
        plain: npt.NDArray[np.bool_],
        positions: npt.NDArray[np.integer],
        digests: npt.NDArray[np.integer],
        *,
        look_alikes: npt.NDArray[np.int64] | None = None,
    ) -> EmbeddedImages:
        """Bring gathered rows into the order of the data set, each once, and mark the references.

        ``look_alikes``: ``int64 [C]``, the group of each class.
        """
        items, rows = np.unique(positions, return_index=True)
        readable = labels[rows] != UNREADABLE_LABEL
        items, rows = items[readable], rows[readable]
        ordered_labels = labels[rows].astype(np.int64)
        plain_rows = np.flatnonzero(plain[rows])
        _, first = np.unique(ordered_labels[plain_rows], return_index=True)
        is_reference = np.zeros(len(rows), dtype=np.bool_)
        is_reference[plain_rows[first]] = True
        wide = embeddings[rows].astype(np.float32)
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        return cls(
            embeddings=wide / np.maximum(lengths, np.float32(_SMALLEST)),
            labels=ordered_labels,
            is_reference=is_reference,
            items=items.astype(np.int64),
            digests=digests[rows].astype(np.int64),
            groups=None if look_alikes is None else look_alikes[ordered_labels],
        )

    def nudged(self, size: float, seed: int) -> EmbeddedImages:
        """Return them with noise of standard deviation ``size`` in each number, of unit length again."""
        noise = np.random.default_rng(seed).normal(0, size, self.embeddings.shape)
        wide = self.embeddings + noise
        unit = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), _SMALLEST)
        return replace(self, embeddings=unit.astype(np.float32))

    @property
    def content(self) -> str:
        """The SHA-256 of what was embedded: pixels, classes and references, in their order."""
        digest = hashlib.sha256()
        for column in (self.items, self.labels, self.is_reference, self.digests):
            digest.update(b"" if column is None else np.ascontiguousarray(column, dtype="<i8").tobytes())
        return digest.hexdigest()
