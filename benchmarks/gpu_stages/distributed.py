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
from gpu_stages.recipes import SPARSE, UNVALIDATED, FromMemory, overrides_for, planned, trained
from gpu_stages.session import Skipped
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from gpu_stages.session import Session

BATCH = 1024
# Of loss and gradient, beside those without a process group.
TOLERANCE = 1e-4


def run(session: Session) -> None:
    """Train by one rank, then step shared class tables."""
    figure = _trained(session)
    session.report.add("one_rank", figure)
    session.report.add("alone", alone := ranks.measured(session.device, tiny=session.tiny))
    for count in (1, 2):
        shared = session.attempt(f"table_of_{count}", partial(_shared, session, count), least=10)
        if "skipped" in shared:
            continue
        apart = max(abs(shared[name] / alone[name] - 1) for name in ("loss", "gradient_norm", "rows_norm"))
        session.report.add(f"table_of_{count}", {**shared, "apart": apart, "tolerance": TOLERANCE})
        if not apart <= TOLERANCE:
            raise RunError(f"{count} ranks compute other numbers than one process without a group: {shared}, {alone}")


def _trained(session: Session) -> dict[str, Any]:
    """Train in a process group of this process alone; Lightning makes it, as it does of ``devices=1`` in a cluster."""
    limits = session.size(("trainer.max_time={seconds: 5}",), ("trainer.max_steps=3",))
    overrides = [*overrides_for(session, batch=BATCH), SPARSE, *UNVALIDATED, *limits]
    plan = planned([*overrides, "trainer.strategy=ddp", "trainer.precision=bf16-mixed"])
    backends: list[str] = []

    def after_batch(_: int) -> None:
        if not backends:
            backends.append(ranks.distributed.get_backend())

    with FromMemory(plan, session.device).fed():
        watched = trained(session, plan, "one-rank", after_batch=after_batch)
    if ranks.distributed.is_initialized():
        ranks.distributed.destroy_process_group()
    return {**watched.describe(), "backend": backends[0]}


def _shared(session: Session, count: int) -> dict[str, Any]:
    """Start so many processes, and return what the first one says."""
    cards = session.report.document["cards"]
    if session.on_gpu and cards < count:
        raise Skipped(f"there are not {count} cards, but {cards}")
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    command = [*launched, str(Path(ranks.__file__)), session.device.type, *(["--tiny"] if session.tiny else [])]
    # The script's folder is not to be searched for modules: stages are called like packages.
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        printed, error = process.communicate(timeout=None if session.tiny else max(10, session.left))
    except subprocess.TimeoutExpired:
        # Ranks that wait for each other: the launcher, and what it has launched.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode:
        raise RunError(f"{count} ranks failed: {error.strip()[-400:]}")
    said: dict[str, Any] = json.loads(printed.strip().rpartition("\n")[2])
    return said
