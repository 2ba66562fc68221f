"""What could not be read: counted over all processes that read, listed in the run folder, and refused when too much."""

from __future__ import annotations

import csv
import io
import os
import re
from typing import TYPE_CHECKING

from zoo.atomic import write_text
from zoo_core.errors import RunError
from zoo_core.escaping import escaped

if TYPE_CHECKING:
    from pathlib import Path

    from zoo_core.errors import UnreadableSample

COLUMNS = ("part", "path", "reason", "samples")
# Samples, or a share of the data set.
_LOST = re.compile(r"[0-9]+|[0-9]+\.[0-9]+%")
_SHOWN = 3
_LONGEST = 500


class UnreadableSamples:
    """The list of a run's unreadable samples, ``skipped.csv``.

    Loader processes and ranks append to it, one row at a time, and read what the others appended: a copy of this object
    in another process is as good as this one. Without a file, as before the run folder exists, each counts for itself.

    Args:
        path: of the list.
        share: 0..1, how much of a data set may be unreadable.
    """

    def __init__(self, path: Path | None = None, share: float = 0.01) -> None:
        self.path = path
        self.share = share
        self._read = 0
        self._rows: dict[tuple[str, str], dict[str, str]] = {}

    def record(self, part: str, error: UnreadableSample, length: int) -> None:
        """Count an unreadable sample of ``part``, a data set of ``length`` samples, once however often it is met.

        Raises:
            RunError: with it, more than the share of the data set is unreadable.
        """
        self._catch_up()
        # One row, one line: what another process has half written is known by its end.
        source, reason = escaped(error.source), escaped(error.reason)
        if (part, source) in self._rows:
            return
        lost_with_it = f"{error.share:.9%}" if error.share else str(error.samples)
        row = dict(zip(COLUMNS, (part, source, reason[:_LONGEST], lost_with_it), strict=True))
        self._append(row)
        lost = [row for row in self._rows.values() if row["part"] == part]
        count, share = _sum(lost)
        # Sums of shares round.
        if count / length + share > self.share + 1e-9:
            shown = ", ".join(f"{row['path']} ({row['reason']})" for row in lost[:_SHOWN])
            more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
            much = _much(share, f"{count:,} of {length:,} samples" if count else "")
            msg = f"data.{part}: {much} cannot be read: {shown}{more}"
            where = f"; {self.path} lists all so far" if self.path else ""
            raise RunError(msg, hint=f"more than data.unreadable_share {self.share:g}{where}")

    def _append(self, row: dict[str, str]) -> None:
        if self.path is None or not self.path.parent.is_dir():
            self._rows[row["part"], row["path"]] = row
            return
        flags, new = os.O_WRONLY | os.O_APPEND | os.O_CREAT, True
        try:
            handle = os.open(self.path, flags | os.O_EXCL, 0o666)
        except FileExistsError:
            handle, new = os.open(self.path, flags, 0o666), False
        try:
            # One write at the end of the file is whole, whoever else writes.
            os.write(handle, _text([row], header=new).encode())
        finally:
            os.close(handle)
        self._catch_up()

    def _catch_up(self) -> None:
        if self.path is None:
            return
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for row in _parsed(whole.decode(errors="replace")):
            self._rows.setdefault((row["part"], row["path"]), row)


def clear(path: Path, part: str = "") -> None:
    """Clear the list, or the rows of one part: files may have been repaired."""
    rows = [row for row in read_list(path) if part and row["part"] != part]
    if rows:
        write_text(path, _text(rows, header=True))
    else:
        path.unlink(missing_ok=True)


def summarize(path: Path, part: str = "") -> str | None:
    """Put the list in order, each source once, and return a summary of it or of a part: ``None`` if it is empty."""
    rows = sorted(read_list(path), key=lambda row: (row["part"], row["path"]))
    if rows:
        write_text(path, _text(rows, header=True))
    rows = [row for row in rows if part in {"", row["part"]}]
    if not rows:
        return None
    sums = {
        name: _sum([row for row in rows if row["part"] == name]) for name in dict.fromkeys(row["part"] for row in rows)
    }
    counts = ", ".join(
        f"{_much(share, f'{count:,}' if count else '')} of data.{name}" for name, (count, share) in sums.items()
    )
    return f"unreadable and skipped: {counts}; see {path}"


def read_list(path: Path) -> list[dict[str, str]]:
    """Read the list: a row for each source, with the keys ``COLUMNS``."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    rows = _parsed(text)
    return list({(row["part"], row["path"]): row for row in rows}.values())


def _sum(rows: list[dict[str, str]]) -> tuple[int, float]:
    """Return what is lost with all ``rows``: samples, and the share of the data set that could not be counted."""
    lost = [row["samples"] for row in rows]
    share = sum(float(one[:-1]) / 100 for one in lost if one.endswith("%"))
    return sum(int(one) for one in lost if not one.endswith("%")), share


def _much(share: float, counted: str) -> str:
    return " and ".join(filter(None, [f"up to {100 * share:.3g}%" if share else "", counted]))


def _parsed(text: str) -> list[dict[str, str]]:
    rows = csv.reader(io.StringIO(text, newline=""))
    return [
        dict(zip(COLUMNS, row, strict=True)) for row in rows if len(row) == len(COLUMNS) and _LOST.fullmatch(row[-1])
    ]


def _text(rows: list[dict[str, str]], *, header: bool) -> str:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    for row in rows:
        writer.writerow(row)
    return table.getvalue()
