"""What a calibration finds, and its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.atomic import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zoo.calibration.price import Price


@dataclass(frozen=True)
class Rate:
    """A rate in 0..1, with what it is not below and not above, and how many classes and pictures it rests on."""

    measured: float
    low: float
    high: float
    classes: int
    pictures: int


@dataclass(frozen=True)
class Calibration:
    """A threshold that keeps a promised rate of accepted strangers.

    Attributes:
        threshold: the score from which on a picture is a match, rounded up to six decimals.
        fpir: the share of strangers that it accepts, each class counting the same; ``low`` and ``high`` hold each by
            itself at the confidence asked for.
        tpir: the share of pictures of known classes that are found again, with an interval that holds at that
            confidence; None where there are none.
        price: what the promise costs in TPIR, and how many strangers would make that little; None where ``tpir`` is.
        expected_fpir: the mean FPIR by the number of classes in a gallery.
        closest: the strangers that score highest, best first, with their score: they decide the threshold.
        document: what ``write`` writes.
    """

    threshold: float
    fpir: Rate
    tpir: Rate | None
    price: Price | None
    expected_fpir: Mapping[int, float]
    closest: tuple[tuple[Path, float], ...]
    document: Mapping[str, Any] = field(repr=False)

    def write(self, path: Path) -> None:
        """Write the file that ``zoo predict --threshold`` takes, all or nothing."""
        write_json(path, self.document)
