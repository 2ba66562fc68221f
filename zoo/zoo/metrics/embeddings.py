"""What all figures are computed from: unit vectors, and the class and the group of each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_core.errors import RunError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Labels = Integers | Sequence[int]


def unit_vectors(embeddings: npt.ArrayLike) -> Floats:
    """Divide each row of ``float [N, D]`` by its length, in ``float64``.

    Raises:
        RunError: they are no rows of real numbers, there is none, or one is not finite, or zero.
    """
    rows = _array(embeddings, "embeddings")
    if rows.ndim != 2 or not len(rows):  # noqa: PLR2004 - rows and columns
        raise RunError(f"embeddings must be [N, D], not {list(rows.shape)}")
    if rows.dtype.kind not in "fiu":
        raise RunError(f"embeddings must be real numbers, not {rows.dtype}")
    # float64, so that scores do not depend on how the work is cut into blocks.
    wide = rows.astype(np.float64)
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
    return _whole_numbers(labels, count, "labels")


def checked_groups(groups: Labels | None, labels: Integers) -> Integers:
    """Return the group of each image's class as ``int64 [N]``; without groups each class is one of its own.

    Raises:
        RunError: there are more or fewer than images, they are no whole numbers, or a class is in two groups.
    """
    if groups is None:
        return labels
    found = _whole_numbers(groups, len(labels), "groups")
    pairs = np.unique(np.stack([labels, found]), axis=1)
    repeated = np.flatnonzero(pairs[0, 1:] == pairs[0, :-1])
    if repeated.size:
        raise RunError(f"class {pairs[0, repeated[0]]} is in two groups of look-alikes; a class has one group")
    return found


def checked_references(is_reference: Booleans | Sequence[bool], count: int) -> Booleans:
    """Return which of ``count`` images are references as ``bool [N]``.

    Raises:
        RunError: there are more or fewer, or they are no booleans.
    """
    found = _array(is_reference, "is_reference")
    if found.shape != (count,):
        raise RunError(f"there are {count} embeddings, but is_reference of shape {list(found.shape)}")
    if found.dtype != np.bool_:
        raise RunError(f"is_reference must be booleans, not {found.dtype}")
    return found


def _whole_numbers(values: Labels, count: int, name: str) -> Integers:
    found = _array(values, name)
    if found.shape != (count,):
        raise RunError(f"there are {count} embeddings, but {name} of shape {list(found.shape)}")
    if not np.issubdtype(found.dtype, np.integer):
        raise RunError(f"{name} must be whole numbers, not {found.dtype}")
    return found.astype(np.int64)


def _array(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise RunError(f"{name} are no array: their rows differ in length") from error
