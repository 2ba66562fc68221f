"""A claim of a model and what came of it here, and all of them together."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Verdict: TypeAlias = Literal["holds", "false", "not re-run"]
HOLDS: Verdict = "holds"
FALSE: Verdict = "false"
NOT_RERUN: Verdict = "not re-run"


@dataclass(frozen=True)
class Check:
    """One claim.

    Attributes:
        place: the file that makes it.
        claim: its dotted key, or in a card its section and row.
        claimed: what the file says.
        found: what came of it here; None where nothing was done.
        verdict: ``holds``, ``false`` or ``not re-run``.
        note: how exactly it holds, or why it does not or was not re-run.
    """

    place: str
    claim: str
    claimed: Any
    found: Any
    verdict: Verdict
    note: str = ""

    @classmethod
    def of(cls, place: str, claim: str, claimed: object, found: object, *, holds: bool, note: str = "") -> Check:
        """Return a check that was made."""
        return cls(place, claim, claimed, found, HOLDS if holds else FALSE, note)

    @classmethod
    def skipped(cls, place: str, claim: str, why: str, claimed: object = None) -> Check:
        """Return a check that was not made."""
        return cls(place, claim, claimed, None, NOT_RERUN, why)


@dataclass(frozen=True, eq=False)
class Reproduction:
    """All claims of a model, each with its verdict.

    Attributes:
        model: what was asked for.
        path: the artifact folder.
        checks: the claims, by the files that make them.
    """

    model: str
    path: Path
    checks: tuple[Check, ...]

    @property
    def false(self) -> tuple[Check, ...]:
        """The claims that are false."""
        return tuple(check for check in self.checks if check.verdict == FALSE)

    @property
    def counts(self) -> dict[str, int]:
        """How many claims hold, are false, and were not re-run."""
        found = Counter(check.verdict for check in self.checks)
        return {"holds": found[HOLDS], "false": found[FALSE], "not_rerun": found[NOT_RERUN]}

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        checks = [asdict(check) for check in self.checks]
        return {"model": self.model, "path": str(self.path), "counts": self.counts, "checks": checks}

    def __str__(self) -> str:
        counts = self.counts
        return (
            f"{len(self.checks)} claims: {counts['holds']} hold, {counts['false']} false, "
            f"{counts['not_rerun']} not re-run"
        )
