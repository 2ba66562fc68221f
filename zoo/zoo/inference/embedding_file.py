"""Embeddings of many files in one file, in numpy's own form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.atomic import replacing
from zoo.inference.prediction import Unreadable
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from zoo.inference.prediction import Embedded
    from zoo_core.errors import ZooError


def write_embeddings(
    path: Path, found: Iterable[Embedded | Unreadable], dim: int, unreadable: Callable[[ZooError], object]
) -> int:
    """Write ``paths`` (text ``[N]``) and ``embeddings`` (``float32 [N, dim]``) as ``.npz``, and return their number.

    The file is written all or nothing. What could not be read is left out, and told to ``unreadable``.

    Raises:
        UsageError: a folder is there.
    """
    if path.is_dir():
        raise UsageError(f"{path}: a folder, not a file", hint="name a file in it")
    with replacing(path) as beside:
        # Before the work: a folder that cannot be written to is known at once.
        paths, numbers = [], bytearray()
        for one in found:
            if isinstance(one, Unreadable):
                unreadable(one.error)
            else:
                paths.append(str(one.path))
                numbers += one.embedding.tobytes()
        embeddings = np.frombuffer(numbers, np.float32).reshape(-1, dim)
        with beside.open("wb") as file:
            np.savez(file, paths=np.array(paths, dtype=np.str_), embeddings=embeddings)
    return len(paths)
