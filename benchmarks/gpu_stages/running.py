"""A stage run in a process of its own: what it crashes or hangs takes no other stage with it."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gpu_stages.session import Report, Session, Skipped, reason_of
from zoo.training.trainer import quiet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

# Less is not worth a start.
LEAST = 10
# Seconds in which a process that ran too long may end what it has started.
ENDING = 8
# How a process ends that cannot use the GPU: CUDA does not survive a fork.
_CUDA_STARTED = 77
# Imported once, before the stages' processes split off.
_TOGETHER = ("timm", "zoo.training.plan", "zoo.training.run", "zoo_margin.factories", "zoo_images.capture.augmentation")


def facts_of(device: str | None, *, made_importable: bool) -> dict[str, Any]:
    """Return what each JSON says of the machine."""
    card: dict[str, Any] = {"cards": 0, "name": None, "driver": None} if device == "cpu" else _card()
    kind = device or ("cuda" if card["cards"] else "cpu")
    shared = Path("/dev/shm")  # noqa: S108 - only its size is read
    return {
        "schema": 1,
        "device": kind,
        "device_name": card["name"] or platform.processor() or platform.machine(),
        "cards": card["cards"],
        "driver": card["driver"],
        "cuda": torch.version.cuda,
        "versions": {each: _version(each) for each in ("torch", "lightning", "timm", "onnxruntime", "plugzoo")},
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "shared_memory_mb": shutil.disk_usage(shared).total // 2**20 if shared.is_dir() else None,
        "plugins_from_checkout": made_importable,
    }


def start_together() -> None:
    """Import what the stages share, and leave out what they would say again and again."""
    for name in _TOGETHER:
        import_module(name)
    quiet()
    warnings.filterwarnings("ignore", message=".*could not find the monitored key.*")  # some runs validate nothing
    warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)


class Ended(BaseException):
    """The stage's time is over: no figure is to catch it."""


def run_stage(
    stage: str, out: Path, facts: Mapping[str, Any], *, seconds: float, limit: float | None, tiny: bool
) -> dict[str, Any]:
    """Run a stage and return its JSON, which it also leaves in ``out``.

    Args:
        stage: its name.
        out: the folder of the JSON files.
        facts: what they say of the machine.
        seconds: after which the stage starts no further measurement.
        limit: seconds after which its process is ended; ``None``: never.
        tiny: whether the sizes are the smallest ones.
    """
    path = out / f"{stage}.json"
    path.unlink(missing_ok=True)
    report = Report(path, {**facts, "stage": stage, "tiny": tiny, "figures": {}})
    if seconds < LEAST:
        report.write("skipped", reason="the whole run's time is used up")
        return report.document
    print(f"{stage} ...", file=sys.stderr, flush=True)
    report.write("running")
    with tempfile.TemporaryDirectory(prefix=f"gpu-{stage}-", ignore_cleanup_errors=True) as work:
        ended = _in_process("fork", limit, report, seconds, work)
        if ended == _CUDA_STARTED:
            ended = _in_process("spawn", limit, report, seconds, work)
    # The process wrote it; this one's copy has no figures.
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if document["status"] == "running":
        report.document = document
        reason = f"ran past its {seconds:.0f} s" if ended is None else f"its process ended with exit code {ended}"
        report.write("failed", error=reason)
    return document


def _in_process(method: str, limit: float | None, *arguments: object) -> int | None:
    """Run a stage in a process that is started in this way; return its exit code, ``None`` where it ran too long."""
    process = multiprocessing.get_context(method).Process(target=_inside, args=arguments)  # type: ignore[attr-defined] # typeshed knows no methods of any name
    process.start()
    process.join(limit)
    if process.is_alive():
        process.terminate()
        process.join(ENDING)
        process.kill()
        process.join()
        return None
    ended: int = process.exitcode
    return ended


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise Ended


def _inside(report: Report, seconds: float, work: str) -> None:
    """Do the stage's work, in its process."""
    device, stage, tiny = (report.document[key] for key in ("device", "stage", "tiny"))
    if device == "cuda" and torch.cuda._is_in_bad_fork():  # noqa: SLF001 - torch has no public name for it
        # An import has started CUDA before this process split off.
        raise SystemExit(_CUDA_STARTED)
    signal.signal(signal.SIGTERM, _end)
    if tiny:
        # So small batches only wait for threads, for long where other work takes the cores.
        torch.set_num_threads(1)
    report.began = time.monotonic()
    session = Session(torch.device(device), tiny, Path(work), report, seconds)
    errors: list[str] = []
    try:
        import_module(f"gpu_stages.{stage}").run(session)
    except Skipped as reason:
        report.write("skipped", reason=str(reason))
        return
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the other stages are to run
        traceback.print_exc()
        errors.append(reason_of(error))
    if errors := [*errors, *report.failures]:
        report.write("failed", error="; ".join(errors)[:1000])
    else:
        report.write("measured")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _card() -> dict[str, Any]:
    """Ask for the number of cards, the first one's name and its driver, in other processes: see ``_CUDA_STARTED``."""
    code = "import torch; n = torch.cuda.device_count(); print(n, torch.cuda.get_device_name(0) if n else '', sep=';')"
    said = _said([sys.executable, "-W", "ignore", "-c", code])
    if not said:
        raise SystemExit("torch does not say how many cards there are; --device cpu does without them")
    cards, _, name = said.partition(";")
    tool = shutil.which("nvidia-smi")
    driver = _said([tool, "--query-gpu=driver_version", "--format=csv,noheader"]) if tool else ""
    return {"cards": int(cards), "name": name or None, "driver": driver or None}


def _said(command: Sequence[str]) -> str | None:
    """Return the first line that a command prints; ``None`` where it takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=40)  # noqa: S603 - our own
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.partition("\n")[0].strip()
