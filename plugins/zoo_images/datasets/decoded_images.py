"""Decoded images, each decoded once: kept in a file that all processes share, or in memory where that cannot be."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo_images.datasets.decoding import read_image
from zoo_images.datasets.image_store import ImageStore, digest, identify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo_core.api import UInt8Image

_log = logging.getLogger(__name__)


class DecodedImages:
    """Images by number, decoded once and read from the cache as long as their files stay as they are.

    Args:
        paths: the files.
        origin: what the files belong to; data sets of one origin share what they keep.
        max_side: images are kept reduced to this longest side, in pixels.
        cache: ``auto`` (``$XDG_CACHE_HOME/zoo/images``), a folder, or ``none``.
        cache_mb: size limit in MB. Nothing is evicted, what does not fit is decoded each time: an epoch reads every
            image once in random order, where evicting only costs. A file that is larger already stays so.

    Where the folder cannot be written, each process keeps images in its own memory, with a warning.
    """

    def __init__(self, paths: Sequence[Path], origin: Path, *, max_side: int, cache: str, cache_mb: int) -> None:
        self._paths = paths
        self._max_side = max_side
        self._cache_mb = cache_mb
        # (file, its state), filled when an image is first read: a run does not follow changes.
        self._keys = np.zeros((len(paths), 2), np.uint64)
        self._store: ImageStore | None = None
        self._memory: _Memory | None = None
        if cache == "none":
            return
        folder = default_folder() if cache == "auto" else Path(cache).expanduser()
        name = f"{digest(f'{origin.absolute()}:{max_side}'):016x}.cache"
        try:
            self._store = ImageStore(folder / name, cache_mb * 2**20)
        except OSError as error:
            self._keep_in_memory(folder, error)

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, number: int) -> UInt8Image:
        """Read image ``number``: ``uint8 [H, W, 3]``, not to be written to.

        Raises:
            UnreadableSample: it cannot be decoded.
        """
        if self._memory is not None and number in self._memory.kept:
            return self._memory.kept[number]
        if self._store is None:
            return self._decode(number)
        file, state = self._key(number)
        try:
            image = self._store.find(file, state)
        except OSError as error:
            self._keep_in_memory(self._store.path, error)
            image = None
        return self._decode(number, file, state) if image is None else image

    def _decode(self, number: int, file: int = 0, state: int = 0) -> UInt8Image:
        image = read_image(self._paths[number], self._max_side)
        image.setflags(write=False)
        if self._store is not None and file:
            try:
                self._store.keep(file, state, image, self._paths[number])
            except OSError as error:
                self._keep_in_memory(self._store.path, error)
        if self._memory is not None:
            self._memory.keep(number, image)
        return image

    def _key(self, number: int) -> tuple[int, int]:
        file, state = (int(part) for part in self._keys[number])
        if not file:
            try:
                file, state = identify(self._paths[number])
            except OSError:
                return 0, 0  # nothing is kept; reading it says what is wrong
            self._keys[number] = file, state
        return file, state

    def _keep_in_memory(self, place: Path, error: OSError) -> None:
        """Go on without the store for what it does not hold yet."""
        if self._memory is None:
            self._memory = _Memory(self._cache_mb * 2**20)
        if self._store is None or self._store.give_up():
            _log.warning("%s: decoded images are kept in memory (%s)", place, error.strerror or error)


class _Memory:
    """Images of this process, until no more fit."""

    def __init__(self, limit: int) -> None:
        self.kept: dict[int, UInt8Image] = {}
        self._free = limit

    def keep(self, number: int, image: UInt8Image) -> None:
        if image.nbytes <= self._free:
            self._free -= image.nbytes
            self.kept[number] = image


def default_folder() -> Path:
    """Where decoded images are kept, as the XDG specification has it."""
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (root if root.is_absolute() else Path.home() / ".cache") / "zoo" / "images"
