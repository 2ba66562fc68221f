"""What makes the CPU wait for the device within a training step: calls of the driver, copies to the CPU, numbers read.

Trainings by zoo's own loaders and trainer, the augmentation on the device. Their steps are profiled, each from the
start of its batch's transfer to that of the next one, and what waits is counted by the part of the step that it is in.
On a GPU the profiler counts the driver's calls, and torch says which line waits; on a CPU, where nothing waits, it
counts what would: a number that is read out of a tensor, and shapes that depend on values. There torch's optimizers
read their step counters, which are on the CPU whatever the device.
"""

from __future__ import annotations

import collections
import functools
import warnings
from bisect import bisect
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from gpu_stages.recipes import UNVALIDATED, overrides_for, planned_sparse, trained
from zoo.training.callbacks.class_table import ClassTableSteps
from zoo.training.module import EmbeddingTraining

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch._C._autograd import _KinetoEvent

    from gpu_stages.session import Session

BATCH = 256
AIM = 0
# Where the samples are, and the trainer's precision: all precisions without pixels to transfer, and one with them.
RUNS = (
    *(("resident", precision) for precision in ("32-true", "bf16-mixed", "16-mixed")),
    ("device", "bf16-mixed"),
)
# A CPU has no 16-mixed.
TINY_RUNS = (("resident", "32-true"), ("device", "bf16-mixed"))
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy", "cudaFree")
COPIES_TO_CPU = "Memcpy DtoH"
# What reads numbers on any device; of the last ones the result's shape is such a number.
READS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::_unique2")
# What torch says of a line that waits.
MESSAGE = "called a synchronizing CUDA operation"
# Parts of a step, of which the innermost counts; the rest are callbacks, averages and logs.
PARTS: dict[str, tuple[type, str]] = {
    "transfer": (EmbeddingTraining, "transfer_batch_to_device"),
    "augmentation": (EmbeddingTraining, "on_after_batch_transfer"),
    "forward": (EmbeddingTraining, "training_step"),
    "backward": (EmbeddingTraining, "backward"),
    "class_table": (ClassTableSteps, "on_before_optimizer_step"),
    "optimizer": (EmbeddingTraining, "optimizer_step"),
}
REST = "rest"
MARK, END = "gpu.py, part: ", "gpu.py, end"
# Steps before the profiled ones (or fewer, in the tests), and after them those whose lines are asked for.
WARM_UP, ASKED = (6, 1), 2
# Steps profiled, of which the trainer logs in one interval.
STEPS = 6
CHECKOUT = Path(__file__).resolve().parents[2]


def run(session: Session) -> None:
    """Count in each run."""
    session.report.add("aim_synchronisations_per_step", AIM)
    for data, precision in session.size(RUNS, TINY_RUNS):
        session.attempt(f"{data}, {precision}", partial(_counted, session, data, precision), least=8)


def _counted(session: Session, data: str, precision: str) -> dict[str, Any]:
    steps = session.size(*WARM_UP) + STEPS + ASKED + 1
    limits = (f"trainer.max_steps={steps}", f"trainer.log_every_n_steps={STEPS}")
    changed = (*UNVALIDATED, *limits, f"trainer.precision={precision}", "data.samples_per_epoch=1000000")
    plan = planned_sparse(session, [*overrides_for(session, batch=BATCH, data=data), *changed])
    with ProfiledSteps(session) as profiled, profiled.marked():
        watched = trained(session, plan, f"{data}-{precision}")
    return {**profiled.counted(), "precision": watched.precision, "resident": watched.resident}


class ProfiledSteps:
    """The steps of a training under the profiler; a context, which an error may leave at any step."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.profiler = profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if session.on_gpu else [])])
        self.caught: list[warnings.WarningMessage] = []
        self._begun = 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what is running."""
        self._open.close()

    @contextmanager
    def marked(self) -> Iterator[None]:
        """Mark the parts of each step for the profiler."""
        with ExitStack() as patches:
            for name, (owner, method) in PARTS.items():
                # A step begins with the first of them.
                first = self._begin_step if name == "transfer" else None
                patches.enter_context(mock.patch.object(owner, method, _marked(name, getattr(owner, method), first)))
            yield

    def _begin_step(self) -> None:
        profiled = self._begun - self.session.size(*WARM_UP)
        self._begun += 1
        if profiled == 0:
            self.session.synchronise()
            self._open.enter_context(self.profiler)
        elif profiled == STEPS:
            # The profiler waits for the device, too, when it stops.
            with record_function(END):
                pass
            self._open.close()
            self.caught = self._open.enter_context(_asked(self.session))
        elif profiled == STEPS + ASKED:
            self._open.close()

    def counted(self) -> dict[str, Any]:
        """Return what waits in a step, in which of its parts and lines, and what logging adds in ``STEPS`` steps."""
        # Not its ``events()``, which take minutes to find out what has called what.
        results = self.profiler.profiler
        everything = results.kineto_results.events() if results else []
        events = [event for event in everything if event.device_type() == DeviceType.CPU]
        (end,) = (event.start_ns() for event in events if event.name() == END)
        marks = [event for event in events if event.name().startswith(MARK)]
        starts = sorted(mark.start_ns() for mark in marks if mark.name() == MARK + "transfer")
        named = [event for event in events if event.name() in {*WAITS, *READS}]
        named = [event for event in named if starts[0] <= event.start_ns() < end]
        waits = [event for event in named if event.name() in (WAITS if self.session.on_gpu else READS)]
        by_step = [0] * len(starts)
        for wait in waits:
            by_step[bisect(starts, wait.start_ns()) - 1] += 1
        by_part = collections.Counter(_part_of(wait, marks) for wait in waits)
        per_step = collections.Counter(event.name() for event in named)
        per_step[COPIES_TO_CPU] = sum(event.name().startswith(COPIES_TO_CPU) for event in everything)
        usual = median(by_step)
        return {
            "synchronisations_per_step": usual,
            "logging_adds": sum(by_step) - len(starts) * usual,
            "by_step": by_step,
            "by_part": {name: round(by_part[name] / len(starts), 2) for name in (*PARTS, REST)},
            "per_step": {name: round(count / len(starts), 2) for name, count in sorted(per_step.items())},
            "lines": lines(self.caught),
        }


def _marked(name: str, method: Callable[..., Any], first: Callable[[], None] | None) -> Callable[..., Any]:
    @functools.wraps(method)
    def marked(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - the method's
        if first:
            first()
        with record_function(MARK + name):
            return method(*arguments, **named)

    return marked


def _part_of(wait: _KinetoEvent, marks: Iterable[_KinetoEvent]) -> str:
    """Return the innermost part whose time a wait is in: backward passes have a thread of their own on a GPU."""
    around = [mark for mark in marks if mark.start_ns() <= wait.start_ns() < mark.end_ns()]
    innermost = max(around, key=lambda mark: mark.start_ns(), default=None)
    return innermost.name().removeprefix(MARK) if innermost else REST


@contextmanager
def _asked(session: Session) -> Iterator[list[warnings.WarningMessage]]:
    """Let torch warn of each line that waits; only a GPU does."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if session.on_gpu:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield caught
        finally:
            if session.on_gpu:
                torch.cuda.set_sync_debug_mode("default")


def lines(caught: Iterable[warnings.WarningMessage]) -> dict[str, int]:
    """Return which lines wait, and how often in ``ASKED`` steps, out of what torch has warned of."""
    found = collections.Counter[str]()
    for warning in (each for each in caught if MESSAGE in str(each.message)):
        path = Path(warning.filename)
        name = path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else Path(*path.parts[-3:])
        found[f"{name}:{warning.lineno}"] += 1
    return dict(found.most_common(20))
