"""Single and mixed precisions: the model alone, a short training by the trainer in each, and the model compiled.

``tf32`` is ``fp32`` with the matrix products and convolutions of tensor cores, which torch allows for convolutions by
default: ``fp32`` of the model alone is without them, and ``fp32`` by the trainer is as torch has it.
"""

from __future__ import annotations

import math
import shutil
import sysconfig
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gpu_stages.recipes import UNVALIDATED, FromMemory, overrides_for, planned_sparse, trained
from gpu_stages.session import Skipped
from gpu_stages.steps import AUTOCAST, ModelStep, measure

if TYPE_CHECKING:
    from gpu_stages.session import Session

BATCH = 1024
TRAINER_NAMES = {"fp32": "32-true"}
# A first compilation takes some half a minute, and nothing ends it on its way: only where so many seconds are left.
COMPILED, COMPILATION_S = ("bf16-mixed", "16-mixed"), 45


def run(session: Session) -> None:
    """Measure."""
    figures: dict[str, dict[str, Any]] = {name: {} for name in (*AUTOCAST, "tf32")}
    # First all models alone, then all trainings, then what takes longest: a stage that is cut has some of each.
    for kind, one, names, least in (
        ("model_only", _alone, (*AUTOCAST, "tf32"), 8),
        ("trainer", _by_trainer, (*AUTOCAST,), 8),
        ("compiled", _compiled, COMPILED, COMPILATION_S),
    ):
        for name in names:
            figures[name][kind] = session.tried(f"{name}, {kind}", partial(one, session, name), least=least)
            session.report.add(name, figures[name])


def _alone(session: Session, name: str, backend: str | None = None) -> dict[str, Any]:
    before = torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    precision = "fp32" if name == "tf32" else name
    try:
        plan = planned_sparse(session, [*overrides_for(session, batch=BATCH), *UNVALIDATED])
        step = ModelStep(session, plan, precision=precision, backend=backend)
        return {**measure(session, step), "finite": step.value is not None and math.isfinite(float(step.value))}
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = before


def _compiled(session: Session, name: str) -> dict[str, Any]:
    """Measure the model compiled; at the tests' sizes its graph is only captured, which needs no compiler."""
    backend = session.size("inductor", "eager")
    if backend == "inductor" and (missing := missing_to_compile()):
        raise Skipped(f"torch.compile wants what is not here: {', '.join(missing)}")
    try:
        return {**_alone(session, name, backend), "backend": backend}
    finally:
        torch.compiler.reset()


def missing_to_compile() -> list[str]:
    """Return what ``torch.compile`` needs on a GPU and this machine lacks."""
    headers = Path(sysconfig.get_path("include"), "Python.h")
    there = {
        "a C compiler": any(map(shutil.which, ("cc", "gcc", "clang"))),
        str(headers): headers.is_file(),
        "triton": find_spec("triton") is not None,
    }
    return [name for name, found in there.items() if not found]


def _by_trainer(session: Session, name: str) -> dict[str, Any]:
    """Train from memory by Lightning, whose GradScaler the class table's steps follow."""
    limits = session.size(("trainer.max_time={seconds: 5}",), ("trainer.max_steps=3",))
    precision = f"trainer.precision={TRAINER_NAMES.get(name, name)}"
    plan = planned_sparse(session, [*overrides_for(session, batch=BATCH), *UNVALIDATED, *limits, precision])
    with FromMemory(plan, session.device).fed():
        run = trained(session, plan, f"precision-{name}")
    return run.describe()
