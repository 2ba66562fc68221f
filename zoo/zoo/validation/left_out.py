"""What data sets leave out: class folders without images, files of other types, links that lead nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_core.capabilities import HasSkipped
from zoo_core.contracts import StreamingDataset
from zoo_core.errors import RunError
from zoo_core.image_files import tally

if TYPE_CHECKING:
    from zoo_core.contracts import Dataset
    from zoo_core.image_files import Skipped

_SHOWN = 3


@dataclass(frozen=True)
class LeftOut:
    """What one data set of a recipe leaves out.

    Attributes:
        part: of the recipe's section ``data``: ``train``, ``train_also.0``, ``valid``.
        classes: class folders from which nothing is read.
        files: what may be images, and is not read.
        notes: text and tables that lie beside images.
        of_classes: classes, those that are left out included.
        of_files: samples and ``files``.
    """

    part: str
    classes: tuple[Skipped, ...]
    files: tuple[Skipped, ...]
    notes: tuple[Skipped, ...]
    of_classes: int
    of_files: int

    @classmethod
    def of(cls, part: str, dataset: Dataset | StreamingDataset) -> LeftOut:
        """Ask ``dataset``, which stands at ``data.part``; one that says nothing leaves nothing out."""
        skipped = dataset.skipped if isinstance(dataset, HasSkipped) else ()
        classes, files, notes = (
            tuple(one for one in skipped if one.kind == kind) for kind in ("class", "file", "note")
        )
        samples = (dataset.length or 0) if isinstance(dataset, StreamingDataset) else len(dataset)
        return cls(part, classes, files, notes, len(dataset.classes) + len(classes), samples + len(files))

    @property
    def lines(self) -> list[str]:
        """A line for the classes and one for the files: counts, and the first few."""
        lines = []
        if self.classes:
            shown = ", ".join(f"{one.source}: {one.reason}" for one in self.classes[:_SHOWN])
            more = f", and {len(self.classes) - _SHOWN:,} more" if len(self.classes) > _SHOWN else ""
            lines.append(
                f"data.{self.part}: {len(self.classes):,} of {self.of_classes:,} classes are left out: {shown}{more}"
            )
        if self.files:
            lines.append(
                f"data.{self.part}: {len(self.files):,} files are left out ({tally(self.files)}): "
                f"{self.files[0].source}{', ...' if len(self.files) > 1 else ''}"
            )
        return lines

    def is_much(self, share: float) -> bool:
        """Return whether more than ``share`` (0..1) of the classes or of the files are left out."""
        counts = ((len(self.classes), self.of_classes), (len(self.files), self.of_files))
        return any(left_out > share * all_of_them for left_out, all_of_them in counts)

    def require_little(self, share: float) -> None:
        """Refuse a data set of which more than ``share`` (0..1) is left out.

        Raises:
            RunError: it is.
        """
        if self.is_much(share):
            hint = f"more than data.unreadable_share {share:g}; convert, remove or rename them, or raise it"
            raise RunError("; ".join(self.lines), hint=hint)
