"""On-disk format of an image store.

One page with the header, then a hash table of records, then the pixels of each image followed by the path of its
source. Pixels and paths are only ever appended. A record holds the state of the source and a checksum of the pixels.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from zoo_images.datasets.decoding import DECODING_VERSION

HEADER = struct.Struct("<8sQQQQQ")
RECORD = struct.Struct("<QQQHHI")
_PAGE = 4096
TABLE_OFFSET = _PAGE
# The file grows in steps of this size, so that readers rarely need to map it again.
GROWTH = 2**24
OPEN, FAILED = range(2)

_MAGIC = b"zoo-px%02d" % DECODING_VERSION
_TABLE = np.dtype([("path_digest", "<u8"), ("rest", "V24")])
_BYTES_PER_SLOT = 4096
# Sources checked when a store is opened. Slots are ordered by hash, so these are a random sample; a hundred are checked
# quickly even on a network file system.
_SOURCES_CHECKED = 100


class Header(NamedTuple):
    """The state of the file: ``end`` is the offset after the last data, ``wasted`` the bytes of outdated pixels.

    ``state`` is ``OPEN``, or ``FAILED`` once a process could not write.
    """

    magic: bytes
    slots: int
    records: int
    end: int
    wasted: int
    state: int

    @property
    def start(self) -> int:
        """Offset of the first pixels."""
        return -(-(TABLE_OFFSET + self.slots * RECORD.size) // _PAGE) * _PAGE

    @property
    def has_free_slots(self) -> bool:
        """Whether the table takes more records: beyond 7/8 full, searches become slow."""
        return self.records < self.slots * 7 // 8


class Record(NamedTuple):
    """One image: digests of its source's path and state, offset of its pixels, their shape and checksum."""

    path_digest: int
    state_digest: int
    offset: int
    height: int
    width: int
    checksum: int

    @property
    def nbytes(self) -> int:
        """Size of the pixels."""
        return self.height * self.width * 3


def source_digests(source: Path) -> tuple[int, int]:
    """Return the digests of a file's path and of its state (path, size and modification time).

    Raises:
        OSError: it does not exist.
    """
    path = source.absolute()
    stat = path.stat()
    return text_digest(str(path)), text_digest(f"{path}:{stat.st_size}:{stat.st_mtime_ns}")


def text_digest(text: str) -> int:
    """Return a hash of 64 bits that is never 0, which marks a free slot."""
    digest = hashlib.blake2b(os.fsencode(text), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def checksum(record: Record, pixels: bytes | memoryview) -> int:
    """Return the checksum of a record and its pixels."""
    return zlib.crc32(pixels, zlib.crc32(RECORD.pack(*record._replace(checksum=0))))


def encode_path(source: Path) -> bytes:
    """Return the absolute path of ``source`` after its length in 2 bytes."""
    path = os.fsencode(source.absolute())
    return len(path).to_bytes(2, "little") + path


def write_empty_store(path: Path, limit: int) -> None:
    """Write a store without images for up to ``limit`` bytes of pixels."""
    with path.open("wb") as file:
        header = Header(_MAGIC, _slots_for(limit), 0, 0, 0, OPEN)
        start = header.start
        # Written, not left sparse: on tmpfs reading a hole allocates memory, or raises SIGBUS when there is none.
        file.write(HEADER.pack(*header._replace(end=start)).ljust(start, b"\0"))
        file.truncate(start + min(GROWTH, limit))


def is_usable(path: Path, limit: int) -> bool:
    """Return whether the file is a store of this version that has slots for ``limit`` and is not mostly outdated."""
    try:
        with path.open("rb") as file:
            header = Header(*HEADER.unpack(file.read(HEADER.size)))
            size = file.seek(0, os.SEEK_END)
            valid = header.magic == _MAGIC and header.slots > 0 and header.start <= header.end <= size
            # A higher limit may need more slots than there are.
            if not valid or not (header.has_free_slots or header.slots >= _slots_for(limit)):
                return False
            outdated = _outdated_share(file, header) * (header.end - header.start - header.wasted)
    except (FileNotFoundError, struct.error):
        return False
    return header.wasted + outdated <= limit // 4


def _slots_for(limit: int) -> int:
    return max(64, limit // _BYTES_PER_SLOT)


def _outdated_share(file: IO[bytes], header: Header) -> float:
    """Return the share of a sample of records whose sources have changed or are missing."""
    file.seek(TABLE_OFFSET)
    table = np.frombuffer(file.read(header.slots * RECORD.size), _TABLE)
    sample = table[table["path_digest"] != 0][:_SOURCES_CHECKED]
    outdated = 0
    for entry in sample:
        record = Record(*RECORD.unpack(entry.tobytes()))
        file.seek(min(record.offset + record.nbytes, header.end))
        path = os.fsdecode(file.read(int.from_bytes(file.read(2), "little")))
        try:
            outdated += source_digests(Path(path)) != record[:2]
        except (OSError, ValueError):  # a damaged record may hold something that is not a path
            outdated += 1
    return outdated / max(1, len(sample))
