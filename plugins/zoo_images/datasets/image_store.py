"""Persistent store of decoded images: a memory-mapped file that any number of processes read and write.

A process that is killed or a system that crashes leaves the store consistent: an incomplete image or one of an older
state of its source is a miss and is written again. Writers take turns through a file lock, readers need no lock.
``image_store_format`` describes the file.
"""

from __future__ import annotations

import mmap
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from filelock import FileLock

from zoo_images.datasets.image_store_format import (
    FAILED,
    GROWTH,
    HEADER,
    OPEN,
    RECORD,
    TABLE_OFFSET,
    Header,
    Record,
    checksum,
    encode_path,
    is_usable,
    write_empty_store,
)

if TYPE_CHECKING:
    from zoo_core.api import UInt8Image

_LOCK_SECONDS = 60
_UNUSED_SECONDS = 60 * 86400


class ImageStore:
    """Decoded images by the digests of their source's path and state, both of 64 bits and not 0.

    Args:
        path: file of the store. It is created if it is missing, damaged or of another version, or if more than a
            quarter of ``limit`` holds images whose sources have changed or are missing.
        limit: bytes of pixels; an image that does not fit is not stored.

    Raises:
        OSError: the file can be neither opened nor created.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self._limit = limit
        self._pid = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if not is_usable(path, limit):
                self._create()
            self._open()
            self._write_state(OPEN)
        os.utime(path)
        _remove_unused_stores(path.parent)

    def get(self, path_digest: int, state_digest: int) -> UInt8Image | None:
        """Return the pixels of an image as a read-only view of the mapped file, or ``None``."""
        if self._pid != os.getpid():
            self._open()
        slot, record = self._find_slot(path_digest)
        if record.path_digest != path_digest or record.state_digest != state_digest:
            return None
        return self._pixels(slot, record)

    def put(self, path_digest: int, state_digest: int, image: UInt8Image, source: Path) -> None:
        """Store an image if it fits; it may be dropped once ``source`` is missing.

        Raises:
            OSError: this or another process cannot write, because the disk is full or gone.
        """
        header = self._header()
        if header.state == FAILED:
            msg = "another process could not write"
            raise OSError(msg)
        if not self._fits(header, image.nbytes):
            return
        data = image.tobytes() + encode_path(source)
        with self._lock():
            slot, old = self._find_slot(path_digest)
            current = old.path_digest == path_digest and old.state_digest == state_digest
            if current and self._pixels(slot, old) is not None:
                return  # another process was faster
            self._append(slot, old, Record(path_digest, state_digest, 0, image.shape[0], image.shape[1], 0), data)

    def disable_writing(self) -> bool:
        """Stop all processes from writing; return whether this process is the first to do so."""
        if self._pid != os.getpid():
            return True
        first = self._header().state != FAILED
        with suppress(OSError):
            self._write_state(FAILED)
        return first

    def __getstate__(self) -> dict[str, object]:
        return {name: self.__dict__[name] for name in ("path", "_limit")} | {"_pid": 0}

    def _open(self) -> None:
        # Unbuffered, and opened again in each process: a forked process would share the file position.
        self._file: IO[bytes] = self.path.open("r+b", buffering=0)
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        header = self._header()
        self._slots, self._start = header.slots, header.start
        self._verified = bytearray(self._slots)
        self._pid = os.getpid()

    def _lock(self) -> FileLock:
        # A new lock each time: one that a forked process inherits would not exclude that process.
        return FileLock(f"{self.path}.lock", timeout=_LOCK_SECONDS, is_singleton=False)

    def _create(self) -> None:
        temporary = Path(f"{self.path}.new")
        try:
            write_empty_store(temporary, self._limit)
            # Processes that read the old file keep it until they close it.
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)

    def _header(self) -> Header:
        return Header(*HEADER.unpack_from(self._map))

    def _write_state(self, state: int) -> None:
        # Only the state: a process whose write failed does not hold the lock, so the rest may have changed.
        self._write(HEADER.size - 8, state.to_bytes(8, "little"))

    def _write(self, offset: int, data: bytes | memoryview) -> None:
        # Through the file, not the mapping, where a full disk would kill the process.
        self._file.seek(offset)
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self._file.write(rest) :]

    def _find_slot(self, path_digest: int) -> tuple[int, Record]:
        """Find the slot of an image, or the free slot where it would be inserted."""
        for step in range(self._slots):
            slot = (path_digest + step) % self._slots
            record = Record(*RECORD.unpack_from(self._map, TABLE_OFFSET + slot * RECORD.size))
            if record.path_digest in {0, path_digest}:
                return slot, record
        msg = f"{self.path}: no free record, as if written by something else"
        raise OSError(msg)

    def _pixels(self, slot: int, record: Record) -> UInt8Image | None:
        if record.offset + record.nbytes > len(self._map):
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        if record.offset < self._start or record.offset + record.nbytes > len(self._map):
            return None
        pixels = np.frombuffer(self._map, np.uint8, record.nbytes, record.offset)
        if not self._verified[slot] and checksum(record, pixels.data) != record.checksum:
            return None
        self._verified[slot] = 1
        return pixels.reshape(record.height, record.width, 3)

    def _fits(self, header: Header, size: int) -> bool:
        return header.end + size - self._start <= self._limit and header.has_free_slots

    def _append(self, slot: int, old: Record, new: Record, data: bytes) -> None:
        header = self._header()
        if not self._fits(header, len(data)):
            return
        end = header.end + len(data)
        size = os.fstat(self._file.fileno()).st_size
        if end > size:
            self._file.truncate(min(max(end, size + GROWTH), self._start + self._limit))
        # In this order, so that a process killed at any point leaves at most a gap.
        self._write(header.end, data)
        records = header.records + (old.path_digest == 0)
        self._write(0, HEADER.pack(*header._replace(end=end, records=records, wasted=header.wasted + old.nbytes)))
        new = new._replace(offset=header.end)
        new = new._replace(checksum=checksum(new, data[: new.nbytes]))
        self._verified[slot] = 0
        self._write(TABLE_OFFSET + slot * RECORD.size, RECORD.pack(*new))


def _remove_unused_stores(folder: Path) -> None:
    """Remove stores that nobody has opened for a long time: their sources are gone or have moved."""
    for path in folder.glob("*.cache"):
        try:
            if time.time() - path.stat().st_mtime > _UNUSED_SECONDS:
                path.unlink()
                Path(f"{path}.lock").unlink()
        except OSError:  # another process removes it too
            continue
