"""Thresholds in files, checked: no score is above NaN, so that every image would be unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.artifacts.digests import sha256
from zoo.atomic import read_json
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The false positive rate of pairs whose threshold an artifact recommends.
RECOMMENDED_FPR = 1e-3


def read_thresholds(path: Path, *, hint: str) -> dict[float, float]:
    """Read the thresholds in a ``metrics.json``, each by its false positive rate.

    Points without one are left out, and those that rest on too few pairs.

    Raises:
        UsageError: the file is missing, is not what an evaluation writes, or holds a number that is not finite.
    """
    try:
        points = [
            (point["fpr_target"], point["threshold"], point.get("too_few_pairs"))
            for point in read_json(path)["thresholds"]
        ]
    except (LookupError, TypeError, AttributeError):
        msg = f"{path}: not what 'zoo eval' writes: thresholds has to list fpr_target and threshold"
        raise UsageError(msg, hint=hint) from None
    read = [
        (finite(path, "fpr_target", target, hint=hint), finite(path, "threshold", threshold, hint=hint), few)
        for target, threshold, few in points
        if threshold is not None
    ]
    return {target: threshold for target, threshold, few in read if not few}


def recommended_threshold(path: Path, *, hint: str) -> dict[str, Any] | None:
    """Return the threshold that an evaluation recommends, with what it means, as ``config.json`` holds it.

    None where the evaluation has too few pairs for one.

    Raises:
        UsageError: the ``metrics.json`` at ``path`` is missing or malformed.
    """
    thresholds = read_thresholds(path, hint=hint)
    if RECOMMENDED_FPR not in thresholds:
        return None
    document = read_json(path)
    counts, data = _mapping(document.get("counts")), _mapping(document.get("data"))
    protocol = _mapping(document.get("protocol"))
    point = next(one for one in document["thresholds"] if one["fpr_target"] == RECOMMENDED_FPR)
    return {
        "fpr_target": RECOMMENDED_FPR,
        "value": thresholds[RECOMMENDED_FPR],
        "rate": "false positive rate of pairs",
        "protocol": {"name": protocol.get("name", data.get("name")), "digest": protocol.get("digest")},
        "impostor_pairs": counts.get("impostor_pairs"),
        "strangers_only": "look_alike_pairs" in counts,
        "expected_fpir": _mapping(point.get("expected_fpir")),
    }


@dataclass(frozen=True)
class ModelThreshold:
    """The threshold that a model brings along, and what it means; an older artifact says less.

    Attributes:
        value: the score from which on a pair is accepted.
        fpr: the false positive rate of pairs, 0..1.
        protocol: on which data: their name, and the hash of the protocol.
        pairs: on how many impostor pairs it rests.
        strangers_only: whether pairs of look-alikes were left out.
        expected_fpir: the rate of accepted strangers by the number of references.
    """

    value: float
    fpr: float | None = None
    protocol: str | None = None
    pairs: int | None = None
    strangers_only: bool = False
    expected_fpir: Mapping[int, float] | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any], value: float) -> ModelThreshold:
        """Read what ``config.json`` says of the threshold ``value``; what is missing or malformed is left out."""
        protocol, pairs = _mapping(said.get("protocol")), said.get("impostor_pairs")
        name, digest = protocol.get("name"), protocol.get("digest")
        rates = {size: _number(rate) for size, rate in _mapping(said.get("expected_fpir")).items()}
        return cls(
            value=value,
            fpr=_number(said.get("fpr_target")),
            protocol=(f"{name} (protocol {digest})" if digest else str(name)) if name else None,
            pairs=pairs if isinstance(pairs, int) else None,
            strangers_only=said.get("strangers_only") is True,
            expected_fpir={int(size): rate for size, rate in rates.items() if size.isdecimal() and rate is not None},
        )

    def describe(self, references: int) -> str | None:
        """Say in one line what the threshold means for a gallery of so many references; None where nothing is known."""
        if self.fpr is None:
            return None
        kind = "strangers" if self.strangers_only else "two classes"
        of = "" if self.pairs is None else f", {self.pairs:,} pairs of {kind}"
        where = f" on {self.protocol}{of}" if self.protocol else ""
        # Each reference is one more chance: the sum of all rates is a bound, however they depend on each other.
        most = min(1.0, self.fpr * references)
        sizes = ", ".join(f"{rate:.2g} with {size:,}" for size, rate in (self.expected_fpir or {}).items())
        known = f" (there: {sizes})" if sizes else ""
        return (
            f"threshold {self.value:.4f}: false positive rate {self.fpr:g} of pairs{where}; with {references:,} "
            f"references expect up to {most:.2g} of strangers to be accepted{known}: see 'zoo calibrate'"
        )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None  # type: ignore[arg-type]


@dataclass(frozen=True)
class CalibratedThreshold:
    """The threshold that ``zoo calibrate`` has written, and for a gallery of how many classes it holds."""

    value: float
    classes: int


def read_calibration(path: Path, graph: Path) -> CalibratedThreshold:
    """Read what ``zoo calibrate`` has written for the graph at ``graph``.

    Raises:
        UsageError: the file is missing, is something else, or was written for another model.
    """
    hint = "write one with: zoo calibrate -o FILE.json"
    document = read_json(path)
    try:
        value, classes = document["threshold"], int(document["gallery"]["classes"])
        written_for = document["model"]["graph_sha256"]
    except (LookupError, TypeError, ValueError):
        raise UsageError(f"{path}: not what 'zoo calibrate' writes", hint=hint) from None
    if written_for != sha256(graph):
        raise UsageError(f"{path}: is the threshold of another model than {graph}", hint=hint)
    return CalibratedThreshold(finite(path, "threshold", value, hint=hint), classes)


def finite(path: Path, key: str, value: object, *, hint: str) -> float:
    """Return ``value`` of ``key`` in the file at ``path``.

    Raises:
        UsageError: it is not a finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{path}: {key} is {value!r}, not a finite number", hint=hint)
    return float(value)
