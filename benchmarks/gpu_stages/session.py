"""What a stage works with: its device, its sizes, its time, and the report that it fills."""

from __future__ import annotations

import gc
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from zoo.atomic import write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEBIBYTE = 2**20
T = TypeVar("T")


class Skipped(Exception):  # noqa: N818 - it is no error
    """The stage, or a part of it, cannot run on this machine; the text says why."""


def reason_of(error: BaseException) -> str:
    """Return an error's type and message in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]


def is_measured(figure: dict[str, Any]) -> bool:
    """Return whether a figure was measured, neither skipped nor failed."""
    return "skipped" not in figure and "failed" not in figure


@dataclass
class Report:
    """The JSON of one stage, written anew with each figure, whole each time.

    Attributes:
        path: the file.
        document: what it holds.
        began: when the stage began.
        failures: figures that failed, and why.
    """

    path: Path
    document: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, figure: object) -> None:
        """Keep a figure; the file has it from now on."""
        self.document["figures"][name] = figure
        self.write(self.document["status"])

    def write(self, status: str, **more: object) -> None:
        """Write the file with this status."""
        seconds = round(time.monotonic() - self.began, 1)
        date = datetime.now(UTC).isoformat(timespec="seconds")
        self.document |= {"status": status, "seconds": seconds, "date": date, **more}
        write_json(self.path, self.document)


@dataclass(frozen=True)
class Session:
    """What a stage is told.

    Attributes:
        device: what is measured.
        tiny: whether the sizes are the smallest ones.
        work: a folder for runs, deleted in the end.
        report: takes the figures.
        seconds: after which a stage stops measuring.
    """

    device: torch.device
    tiny: bool
    work: Path
    report: Report
    seconds: float

    @property
    def on_gpu(self) -> bool:
        """Whether the device is one that works while the CPU goes on."""
        return self.device.type == "cuda"

    @property
    def accelerator(self) -> str:
        """The device as a recipe's trainer names it."""
        return "gpu" if self.on_gpu else "cpu"

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.seconds - (time.monotonic() - self.report.began)

    def size(self, full: T, tiny: T) -> T:
        """Return the size that is meant."""
        return tiny if self.tiny else full

    def attempt(self, name: str, measure: Callable[[], Any], least: float = 1.0) -> dict[str, Any]:
        """Report and return what ``measure`` returns, as ``tried`` does."""
        figure = self.tried(name, measure, least)
        self.report.add(name, figure)
        return figure

    def tried(self, name: str, measure: Callable[[], Any], least: float = 1.0) -> dict[str, Any]:
        """Return what ``measure`` returns.

        Where it cannot run, memory is short, or fewer than ``least`` seconds are left: ``skipped`` with the reason.
        Where it fails: ``failed`` with the reason; the stage goes on, and has failed in the end.
        """
        if self.left < least and not self.tiny:
            return {"skipped": "the stage's time is used up"}
        try:
            figure: dict[str, Any] = measure()
        except Skipped as reason:
            figure = {"skipped": str(reason)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the other figures are to be measured
            if short := _shortage(error):
                figure = {"skipped": f"does not fit: {str(short).splitlines()[0]}"}
            else:
                traceback.print_exc()
                figure = {"failed": reason_of(error)}
                self.report.failures.append(f"{name}: {reason_of(error)}")
        self.free()
        return figure

    def synchronise(self) -> None:
        """Wait for the device."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def free(self) -> None:
        """Give memory back that nothing uses any more, and count its peak anew."""
        if self.on_gpu:
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_mb(self) -> float | None:
        """Return the most memory of the device that tensors took since ``free``; ``None`` for a CPU."""
        return round(torch.cuda.max_memory_allocated(self.device) / MEBIBYTE, 1) if self.on_gpu else None

    def timed(self, work: Callable[[], object], *, repeat: int = 1) -> float:
        """Return the milliseconds of one call of ``repeat`` in a row, the device waited for before and after them."""
        self.synchronise()
        start = time.perf_counter()
        for _ in range(repeat):
            work()
        self.synchronise()
        return 1e3 * (time.perf_counter() - start) / repeat

    def measured(self, work: Callable[[], object], *, repeat: int = 10, rounds: int = 5, warm_up: int = 5) -> float:
        """Return the median milliseconds of a call over rounds of ``repeat`` calls, after some that do not count."""
        repeat, rounds, warm_up = (2, 1, 1) if self.tiny else (repeat, rounds, warm_up)
        for _ in range(warm_up):
            work()
        return median(self.timed(work, repeat=repeat) for _ in range(rounds))


def _shortage(error: BaseException | None) -> torch.OutOfMemoryError | None:
    """Return the shortage of the device's memory that an error is, or comes from: a training reports it as its own."""
    while error is not None and not isinstance(error, torch.OutOfMemoryError):
        error = error.__cause__
    return error
