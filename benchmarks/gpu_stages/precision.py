"""Single and mixed precisions: the model alone, compiled, and a short training by the trainer in each.

``tf32`` is ``fp32`` with the matrix products of tensor cores (``torch.set_float32_matmul_precision("high")``).
"""

from __future__ import annotations

import math
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from gpu_stages.recipes import SPARSE, UNVALIDATED, FromMemory, overrides_for, planned, trained
from gpu_stages.session import Skipped
from gpu_stages.steps import AUTOCAST, ModelStep, measure

if TYPE_CHECKING:
    from gpu_stages.session import Session

BATCH = 1024
TRAINER_NAMES = {"fp32": "32-true"}


def run(session: Session) -> None:
    """Measure."""
    figures: dict[str, dict[str, Any]] = {name: {} for name in (*AUTOCAST, "tf32")}
    # First all models alone, then all trainings, then what takes longest: a stage that is cut has some of each.
    for kind, one in (("model_only", _alone), ("trainer", _by_trainer), ("compiled", _compiled)):
        for name, of_it in figures.items():
            if kind == "trainer" and name == "tf32":
                continue
            of_it[kind] = session.tried(partial(one, session, name), least=8)
            session.report.add(name, of_it)


def _alone(session: Session, name: str, backend: str | None = None) -> dict[str, Any]:
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    precision = "fp32" if name == "tf32" else name
    try:
        plan = planned([*overrides_for(session, batch=BATCH), SPARSE, *UNVALIDATED])
        step = ModelStep(session, plan, precision=precision, backend=backend)
        return {**measure(session, step), "finite": step.value is not None and math.isfinite(float(step.value))}
    finally:
        torch.set_float32_matmul_precision("highest")


def _compiled(session: Session, name: str) -> dict[str, Any]:
    """Measure the model compiled; at the tests' sizes its graph is only captured, which needs no compiler."""
    backend = session.size("inductor", "eager")
    if backend == "inductor" and not any(map(shutil.which, ("gcc", "clang", "cc"))):
        raise Skipped("torch.compile wants a C compiler, and there is none")
    try:
        return {**_alone(session, name, backend), "backend": backend}
    finally:
        torch.compiler.reset()


def _by_trainer(session: Session, name: str) -> dict[str, Any]:
    """Train from memory by Lightning, whose GradScaler the class table's steps follow."""
    limits = session.size(("trainer.max_time={seconds: 5}",), ("trainer.max_steps=3",))
    overrides = [*overrides_for(session, batch=BATCH), SPARSE, *UNVALIDATED, *limits]
    plan = planned([*overrides, f"trainer.precision={TRAINER_NAMES.get(name, name)}"])
    with FromMemory(plan, session.device).fed():
        run = trained(session, plan, f"precision-{name}")
    return run.describe()
