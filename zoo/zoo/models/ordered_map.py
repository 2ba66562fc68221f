"""A function over a stream of items, in threads: results in order, memory for a few of them."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")
# So many items per worker are under way: while one is worked on, the next is ready.
_AHEAD = 2


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item | None], workers: int
) -> Generator[Result, None, None]:
    """Yield ``function`` of each item, in order; with one worker in the caller's thread.

    A None among ``items`` says that the next may take long: all results that are under way come before it is asked for.
    """
    if workers == 1:
        yield from (function(item) for item in items if item is not None)
        return
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="zoo") as pool:
        try:
            for item in items:
                if item is not None:
                    pending.append(pool.submit(function, item))
                while pending and (item is None or len(pending) > _AHEAD * workers or pending[0].done()):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def batched(items: Iterable[Item | None], size: int, *, workers: int = 0) -> Iterator[list[Item] | None]:
    """Yield lists of ``size`` items, the last shorter; a None ends a list and is passed on.

    With ``workers`` the first lists are shorter, too, so that few items are shared fairly.
    """
    batch: list[Item] = []
    count = 0
    for item in items:
        if item is not None:
            batch.append(item)
            count += 1
        if batch and (item is None or len(batch) >= min(size, count // (_AHEAD * workers) if workers else size)):
            yield batch
            batch = []
        if item is None:
            yield None
    if batch:
        yield batch
