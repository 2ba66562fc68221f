"""Class names that are made on access, because there may be millions of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class LazyNames(Sequence[str]):
    """A sequence of ``count`` names, of which ``name_of`` makes the one of an index ``0..count - 1``.

    A dataset's ``classes`` travel to the loader's processes: ``name_of`` has to be picklable, such as a
    ``functools.partial`` of a function of a module.
    """

    def __init__(self, count: int, name_of: Callable[[int], str]) -> None:
        if count > sys.maxsize:
            msg = f"{count:,} names are more than this machine counts"
            raise ValueError(msg)
        self._indices = range(count)
        self._name_of = name_of

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[str]:
        return map(self._name_of, self._indices)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._name_of(one) for one in self._indices[index]]
        return self._name_of(self._indices[index])
