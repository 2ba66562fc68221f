"""The file of decoded images: memory-mapped, shared by any number of processes, and whole whatever happens to them.

A header, a hash table of records, then each image's pixels and the path of its source, which are only ever appended.
A record holds the state of its source and a checksum of its pixels: what a killed process or a crashed system left
behind, or what belongs to an older state of the source, is a miss and is written anew. Writers take turns by a file
lock; readers need none.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np
from filelock import FileLock

from zoo_images.datasets.decoding import DECODING_VERSION

if TYPE_CHECKING:
    from zoo_core.api import UInt8Image

_MAGIC = b"zoo-px%02d" % DECODING_VERSION
_HEADER = struct.Struct("<8sQQQQQ")
_RECORD = struct.Struct("<QQQHHI")
_TABLE = np.dtype([("file", "<u8"), ("rest", "V24")])
_PAGE = 4096
# The file grows by this much, so that readers map it anew now and then only.
_STEP = 2**24
_BYTES_PER_SLOT = 4096
_LOCK_SECONDS = 60
_UNUSED_SECONDS = 60 * 86400
# So many sources are looked for when a store is opened: by hash, so from all over, and over a network in a moment.
_LOOKED_FOR = 100

_OPEN, _FAILED = range(2)


class _Header(NamedTuple):
    """``end`` of the pixels and what of them is ``wasted``, in bytes; ``state`` is open or failed."""

    magic: bytes
    slots: int
    records: int
    end: int
    wasted: int
    state: int

    @property
    def start(self) -> int:
        """Where the pixels begin."""
        return -(-(_PAGE + self.slots * _RECORD.size) // _PAGE) * _PAGE

    @property
    def has_free_slots(self) -> bool:
        """Whether the table takes more: one more than 7/8 full is searched for long."""
        return self.records < self.slots * 7 // 8


class _Record(NamedTuple):
    """One image: digests of its file's name and state, where its pixels lie, their shape and checksum."""

    file: int
    state: int
    offset: int
    height: int
    width: int
    checksum: int

    @property
    def nbytes(self) -> int:
        return self.height * self.width * 3


class ImageStore:
    """Decoded images by (digest of the file's name, digest of its state), both 64 bits and not 0.

    Args:
        path: of the store; made where it is missing, broken, of another version, or where more than a quarter of
            ``limit`` are images whose sources have changed or are gone.
        limit: bytes of pixels; what does not fit is not kept.

    Raises:
        OSError: it can be neither opened nor made.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self._limit = limit
        self._process = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if not self._is_usable():
                self._make()
            self._open()
            self._write_state(_OPEN)
        os.utime(path)
        self._forget_unused()

    def find(self, file: int, state: int) -> UInt8Image | None:
        """Return the pixels of an image, or ``None``; a view of the mapped file, not to be written to."""
        if self._process != os.getpid():
            self._open()
        slot, record = self._slot(file)
        if record.file != file or record.state != state:
            return None
        return self._pixels(slot, record)

    def keep(self, file: int, state: int, image: UInt8Image, source: Path) -> None:
        """Keep an image, if there is room; when ``source`` is gone it may be forgotten.

        Raises:
            OSError: writing failed: the disk is full, or was taken away.
        """
        header = self._header()
        if header.state == _FAILED:
            msg = "another process could not write"
            raise OSError(msg)
        if not self._fits(header, image.nbytes):
            return
        data = image.tobytes() + _packed(source)
        with self._lock():
            slot, old = self._slot(file)
            if old.file == file and old.state == state and self._pixels(slot, old) is not None:
                return  # another process was faster
            self._append(slot, old, _Record(file, state, 0, image.shape[0], image.shape[1], 0), data)

    def give_up(self) -> bool:
        """Keep all processes from writing; return whether this one is the first that noticed."""
        if self._process != os.getpid():
            return True
        first = self._header().state != _FAILED
        with suppress(OSError):
            self._write_state(_FAILED)
        return first

    def __getstate__(self) -> dict[str, object]:
        return {name: self.__dict__[name] for name in ("path", "_limit")} | {"_process": 0}

    def _open(self) -> None:
        # Unbuffered, and opened anew in each process: a forked one would share the position in the file.
        self._file: IO[bytes] = self.path.open("r+b", buffering=0)
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        header = self._header()
        self._slots, self._start = header.slots, header.start
        self._verified = bytearray(self._slots)
        self._process = os.getpid()

    def _lock(self) -> FileLock:
        # Made anew each time: one that a forked process inherits would not keep it out.
        return FileLock(f"{self.path}.lock", timeout=_LOCK_SECONDS, is_singleton=False)

    def _is_usable(self) -> bool:
        try:
            with self.path.open("rb") as file:
                header = _Header(*_HEADER.unpack(file.read(_HEADER.size)))
                size = file.seek(0, os.SEEK_END)
                whole = header.magic == _MAGIC and header.slots > 0 and header.start <= header.end <= size
                # A higher limit may need more slots than there are.
                if not whole or not (header.has_free_slots or header.slots >= self._wanted_slots()):
                    return False
                outdated = _outdated(file, header) * (header.end - header.start - header.wasted)
        except (FileNotFoundError, struct.error):
            return False
        return header.wasted + outdated <= self._limit // 4

    def _wanted_slots(self) -> int:
        return max(64, self._limit // _BYTES_PER_SLOT)

    def _make(self) -> None:
        beside = Path(f"{self.path}.new")
        try:
            self._write_empty(beside)
            # Who reads the old file keeps it until it is closed.
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)

    def _write_empty(self, path: Path) -> None:
        with path.open("wb") as file:
            header = _Header(_MAGIC, self._wanted_slots(), 0, 0, 0, _OPEN)
            start = header.start
            # Written, not left as a hole: where memory is the disk, to look into a hole takes room, or kills.
            file.write(_HEADER.pack(*header._replace(end=start)).ljust(start, b"\0"))
            file.truncate(start + min(_STEP, self._limit))

    def _forget_unused(self) -> None:
        """Remove stores beside this one that nobody has opened for long: their sources are gone or have moved."""
        for path in self.path.parent.glob("*.cache"):
            try:
                if time.time() - path.stat().st_mtime > _UNUSED_SECONDS:
                    path.unlink()
                    Path(f"{path}.lock").unlink()
            except OSError:  # another process does the same
                continue

    def _header(self) -> _Header:
        return _Header(*_HEADER.unpack_from(self._map))

    def _write_state(self, state: int) -> None:
        # Alone, because who fails does not hold the lock, and the rest may have moved on.
        self._write(_HEADER.size - 8, state.to_bytes(8, "little"))

    def _write(self, offset: int, data: bytes | memoryview) -> None:
        # Written, not stored through the mapping: there a full disk would kill the process.
        self._file.seek(offset)
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self._file.write(rest) :]

    def _slot(self, file: int) -> tuple[int, _Record]:
        """Find the slot of ``file``, or the free one where it belongs."""
        for step in range(self._slots):
            slot = (file + step) % self._slots
            record = _Record(*_RECORD.unpack_from(self._map, _PAGE + slot * _RECORD.size))
            if record.file in {0, file}:
                return slot, record
        msg = f"{self.path}: no free record, as if written by something else"
        raise OSError(msg)

    def _pixels(self, slot: int, record: _Record) -> UInt8Image | None:
        if record.offset + record.nbytes > len(self._map):
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        if record.offset < self._start or record.offset + record.nbytes > len(self._map):
            return None
        pixels = np.frombuffer(self._map, np.uint8, record.nbytes, record.offset)
        if not self._verified[slot] and _checksum(record, pixels.data) != record.checksum:
            return None
        self._verified[slot] = 1
        return pixels.reshape(record.height, record.width, 3)

    def _fits(self, header: _Header, size: int) -> bool:
        return header.end + size - self._start <= self._limit and header.has_free_slots

    def _append(self, slot: int, old: _Record, new: _Record, data: bytes) -> None:
        header = self._header()
        if not self._fits(header, len(data)):
            return
        end = header.end + len(data)
        size = os.fstat(self._file.fileno()).st_size
        if end > size:
            self._file.truncate(min(max(end, size + _STEP), self._start + self._limit))
        # In this order: killed at any point, it leaves at worst a gap.
        self._write(header.end, data)
        filled = header._replace(end=end, records=header.records + (old.file == 0), wasted=header.wasted + old.nbytes)
        self._write(0, _HEADER.pack(*filled))
        new = new._replace(offset=header.end)
        new = new._replace(checksum=_checksum(new, data[: new.nbytes]))
        self._verified[slot] = 0
        self._write(_PAGE + slot * _RECORD.size, _RECORD.pack(*new))


def identify(source: Path) -> tuple[int, int]:
    """The digests of a file's name and of its state.

    Raises:
        OSError: it is not there.
    """
    path = source.absolute()
    stat = path.stat()
    return digest(str(path)), digest(f"{path}:{stat.st_size}:{stat.st_mtime_ns}")


def digest(text: str) -> int:
    """64 bits of a hash, not 0."""
    made = hashlib.blake2b(os.fsencode(text), digest_size=8).digest()
    return int.from_bytes(made, "little") or 1


def _packed(source: Path) -> bytes:
    path = os.fsencode(source.absolute())
    return len(path).to_bytes(2, "little") + path


def _outdated(file: IO[bytes], header: _Header) -> float:
    """Look for the sources of some records; return the share of those that have changed or are gone."""
    file.seek(_PAGE)
    table = np.frombuffer(file.read(header.slots * _RECORD.size), _TABLE)
    found = table[table["file"] != 0][:_LOOKED_FOR]
    outdated = 0
    for row in found:
        record = _Record(*_RECORD.unpack(row.tobytes()))
        file.seek(min(record.offset + record.nbytes, header.end))
        path = os.fsdecode(file.read(int.from_bytes(file.read(2), "little")))
        try:
            outdated += identify(Path(path)) != record[:2]
        except (OSError, ValueError):  # of a damaged record it may be no path at all
            outdated += 1
    return outdated / max(1, len(found))


def _checksum(record: _Record, pixels: bytes | memoryview) -> int:
    return zlib.crc32(pixels, zlib.crc32(_RECORD.pack(*record._replace(checksum=0))))
