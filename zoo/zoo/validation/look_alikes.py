"""Which classes of a data set are look-alikes of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo_core.capabilities import HasLookAlikes
from zoo_core.errors import RunError

if TYPE_CHECKING:
    import numpy.typing as npt

    from zoo_core.contracts import Dataset


def look_alikes_of(dataset: Dataset) -> npt.NDArray[np.int64] | None:
    """Return the group of each class as ``int64 [C]``; None where the data set names no look-alikes.

    Raises:
        RunError: there are more groups than classes, or fewer, or they are no whole numbers.
    """
    if not isinstance(dataset, HasLookAlikes):
        return None
    groups = np.asarray(dataset.look_alikes)
    if groups.shape != (len(dataset.classes),) or not np.issubdtype(groups.dtype, np.integer):
        message = f"{type(dataset).__name__}.look_alikes: {groups.dtype} {list(groups.shape)}"
        raise RunError(message, hint=f"return one whole number for each of the {len(dataset.classes):,} classes")
    return groups.astype(np.int64) if np.unique(groups).size < groups.size else None
