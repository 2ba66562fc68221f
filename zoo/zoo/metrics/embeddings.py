"""What all figures are computed from: unit vectors, and the class and the group of each image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zoo_core.errors import RunError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Labels = Integers | Sequence[int]


def unit_vectors(embeddings: npt.NDArray[np.floating]) -> Floats:
    """Divide each row of ``float [N, D]`` by its length, in ``float64``.

    Raises:
        RunError: an embedding is not finite, or zero.
    """
    if embeddings.ndim != 2:  # noqa: PLR2004 - rows and columns
        raise RunError(f"embeddings must be [N, D], not {list(embeddings.shape)}")
    # float64, so that scores do not depend on how the work is cut into blocks.
    wide = embeddings.astype(np.float64)
    broken = np.count_nonzero(~np.isfinite(wide).all(axis=1))
    if broken:
        raise RunError(
            f"{broken} of {len(wide)} embeddings are not finite (NaN or infinity)",
            hint="the model has diverged: lower the learning rate, or clip gradients",
        )
    # Scaled first, so that squares of very small or large values neither vanish nor overflow.
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0.0)
    zero = np.count_nonzero(largest == 0)
    if zero:
        raise RunError(
            f"{zero} of {len(wide)} embeddings are all zeros: they have no direction",
            hint="the model has collapsed: lower the learning rate, or train from other weights",
        )
    wide /= largest
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    return wide


def checked_labels(labels: Labels, count: int) -> Integers:
    """Return the class of each of ``count`` images as ``int64 [N]``.

    Raises:
        RunError: there are more or fewer, or they are no whole numbers.
    """
    found = np.asarray(labels)
    if found.shape != (count,):
        raise RunError(f"there are {count} embeddings, but labels of shape {list(found.shape)}")
    if not np.issubdtype(found.dtype, np.integer):
        raise RunError(f"labels must be whole numbers, not {found.dtype}")
    return found.astype(np.int64)


def checked_groups(groups: Labels | None, labels: Integers) -> Integers:
    """Return the group of each image's class as ``int64 [N]``; without groups each class is one of its own.

    Raises:
        RunError: there are more or fewer than images, or a class is in two groups.
    """
    if groups is None:
        return labels
    found = np.asarray(groups)
    if found.shape != labels.shape:
        raise RunError(f"there are {len(labels)} embeddings, but groups of shape {list(found.shape)}")
    pairs = np.unique(np.stack([labels, found.astype(np.int64)]), axis=1)
    repeated = np.flatnonzero(pairs[0, 1:] == pairs[0, :-1])
    if repeated.size:
        raise RunError(f"class {pairs[0, repeated[0]]} is in two groups of look-alikes; a class has one group")
    return found.astype(np.int64)
