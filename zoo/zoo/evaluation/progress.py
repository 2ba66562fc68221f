"""How far an evaluation is, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterable


def shown(batches: Iterable[Any]) -> Iterable[Any]:
    """Yield ``batches`` with a bar on stderr, where that is a terminal."""
    console = Console(stderr=True)
    return track(batches, "embedding", console=console, disable=not console.is_terminal, transient=True)
