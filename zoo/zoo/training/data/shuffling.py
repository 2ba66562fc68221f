"""A pass over the data in random order, without holding the order in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]
    Words = npt.NDArray[np.uint64]

_ROUNDS = 4


def shuffled(positions: Integers, length: int, key: Sequence[int]) -> Integers:
    """Return where a random permutation of ``0..length - 1``, chosen by ``key``, sends ``positions`` (``int64 [N]``).

    A Feistel network over the next power of four, walked again where it leaves the range (Black and Rogaway 2002,
    "Ciphers with arbitrary finite domains"): the cost is that of the positions asked for, however long a pass is.
    """
    half = max(1, (max(length - 1, 1).bit_length() + 1) // 2)
    round_keys = np.random.SeedSequence(key).generate_state(_ROUNDS, np.uint64).astype(np.uint64)
    found = _feistel(positions.astype(np.uint64), half, round_keys)
    outside = found >= length
    while outside.any():
        found[outside] = _feistel(found[outside], half, round_keys)
        outside = found >= length
    return found.astype(np.int64)


def shuffled_in_windows(positions: Integers, length: int, key: Sequence[int], *, block: int, window: int) -> Integers:
    """Return where a random order of ``0..length - 1`` that keeps blocks together sends ``positions`` (``int64 [N]``).

    Each ``block`` consecutive numbers belong together. The order takes ``window`` random blocks, shuffles what they
    hold, and continues with the next ones: reading in this order needs few blocks at a time. ``length`` is a
    multiple of ``block``.
    """
    blocks = length // block
    number, offset = np.divmod(positions, window * block)
    found = np.empty_like(positions)
    for one in np.unique(number).tolist():
        here = number == one
        held = min(window, blocks - one * window) * block
        within = shuffled(offset[here], held, (*key, one))
        found[here] = shuffled(one * window + within // block, blocks, key) * block + within % block
    return found


def _feistel(values: Words, half: int, round_keys: Words) -> Words:
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> bits, values & mask
    for key in round_keys:
        left, right = right, left ^ (_mixed(right + key) & mask)
    return (left << bits) | right


def _mixed(values: Words) -> Words:
    """Mix all bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
