"""Hold out a share of the data, the same share on every machine."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import TYPE_CHECKING, Literal

from zoo_core.api import ComponentError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

Split = Literal["all", "train", "unseen"]


def belongs(name: str, split: Split, unseen_share: float) -> bool:
    """Return whether ``name`` is in ``split``: about ``unseen_share`` (0..1) of all names are unseen, the rest train.

    The SHA-256 of the name alone decides, so that adding files moves no other file. The name is normalised to NFC
    first, because file systems differ in how they encode accents. Bytes that are no UTF-8 are hashed as they are.
    """
    if split == "all":
        return True
    # Half a surrogate pair stands for a byte of a file's name that is not UTF-8.
    digest = hashlib.sha256(unicodedata.normalize("NFC", name).encode(errors="surrogatepass")).digest()
    unseen = int.from_bytes(digest[:8], "big") < unseen_share * 2**64
    return unseen == (split == "unseen")


def require_nonempty_split(
    selected: Collection[object], folder: Path, unit: str, split: Split, unseen_share: float
) -> None:
    """Check that ``split`` selected something; ``unit`` is what it selects, for the message.

    Raises:
        ComponentError: nothing is selected.
    """
    if not selected:
        msg = f"{folder}: no {unit} falls into split {split!r} with unseen_share {unseen_share}"
        raise ComponentError(msg, hint="change `unseen_share`, or use `split: all`")
