"""The class names of a class table."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class ClassNames:
    """The names of a table's classes, read only when they are needed, because there may be millions.

    Args:
        names: a name for each class; default: the indices of the classes.
        count: number of classes.
    """

    def __init__(self, names: Sequence[str] | None, count: int) -> None:
        if names is not None and len(names) != count:
            raise ValueError(f"{len(names)} names of {count} classes")
        self._names = names
        self._count = count

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the names in order."""
        digest = hashlib.sha256()
        for name in self:
            encoded = name.encode("utf-8", "surrogatepass")
            # With its length, because a name may contain any character that could separate names.
            digest.update(b"%d:%b" % (len(encoded), encoded))
        return digest.hexdigest()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names) if self._names is not None else map(str, range(self._count))
