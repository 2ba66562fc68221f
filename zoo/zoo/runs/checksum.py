"""The checksum at the end of a checkpoint: one changed bit anywhere in the file is noticed before it is read."""

from __future__ import annotations

import hashlib
import re
import warnings
from typing import IO, TYPE_CHECKING

from zoo_core.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

# A line of text after the archive, which every reader of ZIP files allows.
_LINE = re.compile(rb"\nzoo-sha256 ([0-9a-f]{64})\n")
_LENGTH = len(b"\nzoo-sha256 ") + 64 + 1
# An archive without a comment ends with this record, of 22 bytes.
_END_OF_ARCHIVE, _END_LENGTH = b"PK\5\6", 22


class HashingWriter:
    """Passes on to ``file`` what is written, and hashes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write ``data``."""
        self._digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()

    def finish(self) -> None:
        """Write the checksum of all that was written."""
        self._file.write(b"\nzoo-sha256 %s\n" % self._digest.hexdigest().encode())


def warn_unchecked(path: Path) -> None:
    """Warn that the checkpoint at ``path`` was read, and has no checksum."""
    warnings.warn(f"{path}: has no checksum yet, and is read unchecked", stacklevel=3)


def verify(path: Path, *, hint: str) -> bool:
    """Return whether ``path`` ends with a checksum; one written by an older zoo does not.

    Raises:
        RunError: its content is not what was written; with ``hint``.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - _LENGTH))
        end = file.read()
        found = _LINE.fullmatch(end)
        if found is None:
            # Nothing follows the archive of an older zoo; a damaged checksum would.
            if end[-_END_LENGTH:].startswith(_END_OF_ARCHIVE):
                return False
            raise RunError(f"{path}: it is damaged, or no checkpoint of tensors alone", hint=hint)
        file.seek(0)
        digest, left = hashlib.sha256(), length - _LENGTH
        while left and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
    if digest.hexdigest().encode() != found[1]:
        raise RunError(f"{path}: it is damaged: its checksum does not match its content", hint=hint)
    return True
