"""Class names of streams: read from a file, or collected by a scan of all labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.api import ComponentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zoo_core.api import UnreadableSample

# A longer label is no class index, and beyond some length Python refuses to parse it.
MAX_INDEX_DIGITS = 18


def read_class_names(file: str) -> list[str]:
    """Read class names, one per line or as a JSON list.

    Raises:
        ComponentError: the file is missing or empty, or has a name twice.
    """
    path = Path(file).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = json.loads(text) if path.suffix == ".json" else [line.strip() for line in text.split("\n")]
    except (OSError, ValueError) as error:
        msg = f"{path}: the classes cannot be read ({error})"
        raise ComponentError(msg, hint="one name a line, or a JSON list") from error
    while isinstance(names, list) and names and not names[-1]:
        names.pop()
    if not isinstance(names, list) or not names:
        raise ComponentError(f"{path}: no classes", hint="one name a line, or a JSON list")
    line_of: dict[str, int] = {}
    for line, name in enumerate(map(str, names), 1):
        if not name:
            msg = f"{path}:{line}: no name"
            raise ComponentError(msg, hint="one name a line, or a JSON list")
        if line_of.setdefault(name, line) != line:
            msg = f"{path}:{line}: {name!r} stands in line {line_of[name]} already"
            raise ComponentError(msg, hint="each class once, in the order of its labels")
    return list(line_of)


def scan_class_names(shards: Iterable[Iterator[str | UnreadableSample]]) -> tuple[list[str], int]:
    """Read the labels of all ``shards``; return the sorted class names and the number of samples.

    Names that are all integers are sorted as such.
    """
    names: set[str] = set()
    count = 0
    for shard in shards:
        for label in shard:
            count += 1
            if isinstance(label, str):
                names.add(label)
    numeric = all(name.isdecimal() and len(name) <= MAX_INDEX_DIGITS for name in names)
    return sorted(names, key=lambda name: (int(name) if numeric else 0, name)), count
