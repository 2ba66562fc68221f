"""Cache decoded images: in a file that all processes share, or in memory if the file cannot be written."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo_images.datasets.decoding import read_plain, read_reduced
from zoo_images.datasets.image_store import ImageStore
from zoo_images.datasets.image_store_format import source_digests, text_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo_core.api import UInt8Image

_log = logging.getLogger(__name__)


class DecodedImages:
    """Images by index, decoded on first access and then read from the cache while their files stay unchanged.

    Args:
        paths: the image files.
        origin: folder or list that the files come from; datasets with the same origin and ``max_side``, or ``size``,
            share a cache.
        max_side: longest side of a decoded image, in pixels; larger images are reduced.
        cache: ``auto`` (``$XDG_CACHE_HOME/zoo/images``), a folder, or ``none``.
        cache_mb: size limit of the cache, in MB. Nothing is evicted and an image that does not fit is decoded on every
            access, because an epoch reads every image once in random order. A file that is already larger stays so.
        size: height and width that every image is resized to, as ``zoo predict`` does, instead of ``max_side``.

    If the folder cannot be written, each process caches images in its own memory and logs a warning.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        origin: Path,
        *,
        max_side: int,
        cache: str,
        cache_mb: int,
        size: tuple[int, int] | None = None,
    ) -> None:
        self._paths = paths
        self._max_side = max_side
        self._size = size
        self._cache_mb = cache_mb
        self._resized = partial(DecodedImages, paths, origin, max_side=max_side, cache=cache, cache_mb=cache_mb)
        self._by_size: dict[tuple[int, int], DecodedImages] = {}
        # Path digest and state digest of each file, filled on first access: later changes of a file are not noticed.
        self._digests = np.zeros((len(paths), 2), np.uint64)
        self._store: ImageStore | None = None
        self._memory: _MemoryCache | None = None
        if cache == "none":
            return
        folder = default_cache_folder() if cache == "auto" else Path(cache).expanduser()
        variant = max_side if size is None else "x".join(map(str, size))
        name = f"{text_digest(f'{origin.absolute()}:{variant}'):016x}.cache"
        try:
            self._store = ImageStore(folder / name, cache_mb * 2**20)
        except OSError as error:
            self._fall_back_to_memory(folder, error)

    def __len__(self) -> int:
        return len(self._paths)

    def at_size(self, size: tuple[int, int]) -> DecodedImages:
        """Return the same images, each resized to ``size`` (height, width), with a cache of their own."""
        if size not in self._by_size:
            self._by_size[size] = self._resized(size=size)
        return self._by_size[size]

    def read(self, index: int) -> UInt8Image:
        """Return image ``index``: ``uint8 [H, W, 3]``, read-only.

        Raises:
            UnreadableSample: it cannot be decoded.
        """
        if self._memory is not None and index in self._memory.images:
            return self._memory.images[index]
        if self._store is None:
            return self._decode(index)
        path_digest, state_digest = self._digests_of(index)
        try:
            image = self._store.get(path_digest, state_digest)
        except OSError as error:
            self._fall_back_to_memory(self._store.path, error)
            image = None
        return self._decode(index, path_digest, state_digest) if image is None else image

    def _decode(self, index: int, path_digest: int = 0, state_digest: int = 0) -> UInt8Image:
        path = self._paths[index]
        image = read_reduced(path, self._max_side) if self._size is None else read_plain(path, self._size)
        image.setflags(write=False)
        if self._store is not None and path_digest:
            try:
                self._store.put(path_digest, state_digest, image, path)
            except OSError as error:
                self._fall_back_to_memory(self._store.path, error)
        if self._memory is not None:
            self._memory.add(index, image)
        return image

    def _digests_of(self, index: int) -> tuple[int, int]:
        path_digest, state_digest = (int(digest) for digest in self._digests[index])
        if not path_digest:
            try:
                path_digest, state_digest = source_digests(self._paths[index])
            except OSError:
                return 0, 0  # not cached; reading the file raises the error that names the cause
            self._digests[index] = path_digest, state_digest
        return path_digest, state_digest

    def _fall_back_to_memory(self, path: Path, error: OSError) -> None:
        """Cache in memory what the store does not hold yet."""
        if self._memory is None:
            self._memory = _MemoryCache(self._cache_mb * 2**20)
        if self._store is None or self._store.disable_writing():
            _log.warning("%s: decoded images are kept in memory (%s)", path, error.strerror or error)


class _MemoryCache:
    """Images in the memory of this process, as many as fit into ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self.images: dict[int, UInt8Image] = {}
        self._free = limit

    def add(self, index: int, image: UInt8Image) -> None:
        if image.nbytes <= self._free:
            self._free -= image.nbytes
            self.images[index] = image


def default_cache_folder() -> Path:
    """Return the user's folder of decoded images, which the XDG base directory specification defines."""
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (root if root.is_absolute() else Path.home() / ".cache") / "zoo" / "images"
