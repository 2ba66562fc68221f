"""What an export report says of the graph in each precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.artifacts.layout import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Mapping


def verified_hashes(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each graph that was verified, by precision; an old report knows one.

    Raises:
        LookupError, TypeError, AttributeError: it is not what an export writes.
    """
    others = (report.get("precisions") or {}).get("files") or {}
    return {**{name: entry["sha256"] for name, entry in others.items()}, PRECISIONS[0]: report["sha256"]}
