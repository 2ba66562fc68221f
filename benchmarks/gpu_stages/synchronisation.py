"""What makes the CPU wait for the device within a training step: calls of the driver, copies to the CPU, numbers read.

On a GPU the profiler counts the driver's calls, and torch says which line of zoo waits; on a CPU, where nothing waits,
it counts what would: a number that is read out of a tensor, and shapes that depend on values. There the part ``model``
says more than it means: torch's optimizers read their step counters, which are on the CPU whatever the device.
"""

from __future__ import annotations

import collections
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.profiler import ProfilerActivity, profile

from gpu_stages.recipes import SPARSE, UNVALIDATED, FromMemory, overrides_for, planned, trained
from gpu_stages.steps import ModelStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gpu_stages.session import Session

BATCH = 256
AIM = 0
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
COPIES_TO_CPU = "Memcpy DtoH"
# What reads numbers on any device; of the last ones the result's shape is such a number.
READS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::_unique2")
CHECKOUT = Path(__file__).resolve().parents[2]


def run(session: Session) -> None:
    """Count, for a step by hand and its parts, and for one of the trainer."""
    session.report.add("aim_synchronisations_per_step", AIM)
    # A sample of the classes, not all of them: only that one has to be searched for the labels.
    sampled = f"model.loss.options.class_table.negatives={session.size(128, 4)}"
    plan = planned([*overrides_for(session, batch=BATCH), SPARSE, sampled, *UNVALIDATED])
    step = ModelStep(session, plan)
    steps = session.size(10, 2)
    for _ in range(session.size(5, 1)):
        step()
    session.report.add("step", {**counted(session, step, steps), **places(session, step)})
    session.report.add("parts", _parts(session, step))
    session.report.add("trainer", _of_trainer(session, sampled, steps))


def counted(session: Session, work: Callable[[], object], steps: int) -> dict[str, Any]:
    """Run ``work`` so many times under the profiler and return what it counts of one step."""
    session.synchronise()
    with _profiler(session) as profiler:
        for _ in range(steps):
            work()
    return _of_one_step(session, profiler, steps)


def _profiler(session: Session) -> profile:
    return profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if session.on_gpu else [])])


def _of_one_step(session: Session, profiler: profile, steps: int) -> dict[str, Any]:
    with _profiler(session) as empty:
        pass
    # The profiler waits for the device too, when it stops.
    counts = _counts(profiler) - _counts(empty)
    waited = sum(counts[name] for name in (WAITS if session.on_gpu else READS))
    each = {name: round(count / steps, 2) for name, count in sorted(counts.items())}
    return {"synchronisations_per_step": round(waited / steps, 2), "per_step": each, "steps": steps}


def _counts(profiler: profile) -> collections.Counter[str]:
    counts = collections.Counter[str]()
    for event in profiler.key_averages():
        name = COPIES_TO_CPU if event.key.startswith(COPIES_TO_CPU) else event.key
        if name in {*WAITS, COPIES_TO_CPU, *READS}:
            counts[name] += event.count
    return counts


def places(session: Session, work: Callable[[], object]) -> dict[str, Any]:
    """Say which lines wait in one step; only a GPU tells."""
    if not session.on_gpu:
        return {}
    lines = collections.Counter[str]()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    for warning in (each for each in caught if "synchronizing" in str(each.message)):
        path = Path(warning.filename)
        name = path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else Path(*path.parts[-3:])
        lines[f"{name}:{warning.lineno}"] += 1
    return {"lines": dict(lines.most_common(20))}


def _parts(session: Session, step: ModelStep) -> dict[str, float]:
    """Count in forward pass, backward pass and the moves of class table and model apart."""
    found: dict[str, float] = {}
    loss = None

    def forward() -> None:
        nonlocal loss
        loss = step.forward()

    parts = {
        "forward": forward,
        "backward": lambda: step.backward(loss),
        "class_table": step.move_table,
        "model": step.move_model,
    }
    for name, part in parts.items():
        found[name] = counted(session, part, 1)["synchronisations_per_step"]
    return found


def _of_trainer(session: Session, sampled: str, steps: int) -> dict[str, Any]:
    """Count in steps of the trainer, with zoo's callbacks; its batches are on the device."""
    last = 3 + steps
    overrides = [*overrides_for(session, batch=BATCH), SPARSE, sampled, *UNVALIDATED, f"trainer.max_steps={last + 2}"]
    plan = planned(overrides)
    profiler = _profiler(session)

    def after_batch(batches: int) -> None:
        if batches == last - steps:
            session.synchronise()
            profiler.start()
        elif batches == last:
            profiler.stop()

    with FromMemory(plan, session.device).fed(), _profiled(profiler):
        trained(session, plan, "synchronisation", after_batch=after_batch)
    return _of_one_step(session, profiler, steps)


@contextmanager
def _profiled(profiler: profile) -> Iterator[None]:
    """Stop a profiler that an error has left running."""
    try:
        yield
    except BaseException:
        profiler.stop()
        raise
