"""A process group: a training of one rank, and the class table shared by as many ranks as there are cards, up to two.

nccl on GPUs, gloo on a CPU, where there are always two ranks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu_stages import ranks
from gpu_stages.recipes import UNVALIDATED, FromMemory, overrides_for, planned_sparse, trained
from gpu_stages.session import Skipped, is_measured
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from gpu_stages.session import Session

BATCH = 1024
# Of loss and gradient, beside those without a process group.
TOLERANCE = 1e-4


def run(session: Session) -> None:
    """Train by one rank, then step shared class tables."""
    session.attempt("one_rank", partial(_trained, session))
    alone = session.attempt("alone", partial(ranks.measured, session.device, tiny=session.tiny))
    if is_measured(alone):
        for count in (1, 2):
            session.attempt(f"table_of_{count}", partial(_compared, session, count, alone), least=10)


def _trained(session: Session) -> dict[str, Any]:
    """Train in a process group of this process alone; Lightning makes it, as it does of ``devices=1`` in a cluster."""
    limits = session.size(("trainer.max_time={seconds: 5}",), ("trainer.max_steps=3",))
    overrides = [*overrides_for(session, batch=BATCH), *UNVALIDATED, *limits]
    plan = planned_sparse(session, [*overrides, "trainer.strategy=ddp", "trainer.precision=bf16-mixed"])
    backends: list[str] = []

    def before(*_: object) -> None:
        backends.append(ranks.distributed.get_backend())

    try:
        with FromMemory(plan, session.device).fed():
            watched = trained(session, plan, "one-rank", before=before)
    finally:
        # What is measured next is without one.
        if ranks.distributed.is_initialized():
            ranks.distributed.destroy_process_group()
    return {**watched.describe(), "backend": backends[0]}


def _compared(session: Session, count: int, alone: dict[str, Any]) -> dict[str, Any]:
    shared = _shared(session, count)
    apart = max(abs(shared[name] / alone[name] - 1) for name in ("loss", "gradient_norm", "rows_norm"))
    if not apart <= TOLERANCE:
        raise RunError(f"{count} ranks compute other numbers than one process without a group: {shared}, {alone}")
    return {**shared, "apart": apart, "tolerance": TOLERANCE}


def _shared(session: Session, count: int) -> dict[str, Any]:
    """Start so many processes, and return what the first one says."""
    cards = session.report.document["cards"]
    if session.on_gpu and cards < count:
        raise Skipped(f"there are not {count} cards, but {cards}")
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    launched += ["--nproc-per-node", str(count)]
    command = [*launched, str(Path(ranks.__file__)), session.device.type, *(["--tiny"] if session.tiny else [])]
    # The script's folder is not to be searched for modules: stages are called like packages.
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        printed, error = process.communicate(timeout=None if session.tiny else max(10, session.left))
    finally:
        if process.poll() is None:
            # Ranks that wait for each other, or the stage's time is over: the launcher, and what it has launched.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        raise RunError(f"{count} ranks failed: {error.strip()[-400:]}")
    said: dict[str, Any] = json.loads(printed.strip().rpartition("\n")[2])
    return said
