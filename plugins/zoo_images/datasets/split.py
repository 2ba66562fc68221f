"""Hold a part of the data out, the same part on every machine."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Literal

Split = Literal["all", "train", "unseen"]


def belongs(name: str, split: Split, unseen_share: float) -> bool:
    """Whether ``name`` is in ``split``; about ``unseen_share`` (0..1) of all names are unseen, the rest is train.

    Decided by the SHA-256 of the name alone, so that adding files moves no other file. The name is normalised
    to NFC first: file systems disagree about how accents are written.
    """
    if split == "all":
        return True
    digest = hashlib.sha256(unicodedata.normalize("NFC", name).encode()).digest()
    unseen = int.from_bytes(digest[:8], "big") < unseen_share * 2**64
    return unseen == (split == "unseen")
