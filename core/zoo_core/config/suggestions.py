"""What somebody who mistyped a name may have meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTED = 12
SHORTEST_START = 3


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return ``did you mean 'x'?`` for the known name nearest to ``name``; ``None`` when none is near."""
    by_folded: dict[str, list[str]] = {}
    for one in known:
        by_folded.setdefault(one.casefold(), []).append(one)
    folded = name.casefold()
    near = difflib.get_close_matches(folded, by_folded, n=3)
    if not near and len(folded) >= SHORTEST_START:
        near = [one for one in by_folded if one.startswith(folded)][:1]
    if not near:
        return None
    # Of names that are as near the one in the same case: AdamW is torch's, adamw timm's.
    best = max(
        (one for fold in near for one in by_folded[fold]),
        key=lambda one: (_likeness(folded, one.casefold()), _likeness(name, one)),
    )
    return f"did you mean {best!r}?"


def suggest(name: str, known: Iterable[str], what: str) -> str | None:
    """Return the nearest known name as a hint, else all of them when they are few."""
    names = sorted(set(known))
    hint = did_you_mean(name, names)
    if hint or not names or len(names) > LISTED:
        return hint
    return f"{what}: {', '.join(names)}"


def _likeness(name: str, other: str) -> float:
    return difflib.SequenceMatcher(None, name, other).ratio()
