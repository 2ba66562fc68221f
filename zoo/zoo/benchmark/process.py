"""The process that measures one configuration: it has opened nothing else, so its memory is that of the model."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from zoo.artifacts.onnx_model import open_graph
from zoo.models.latency import random_batch, time_runs
from zoo_core.errors import ZooError

_MEGABYTE = 1e6
_MOST_RUNS = 100_000


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Open the graph, run it, and return times in milliseconds and memory in megabytes.

    ``open_ms`` is how long opening took. ``peak_mb`` is the most memory that the process ever held, and ``added_mb``
    what of it came with the model: both None where the system does not say.

    Raises:
        ZooError: the graph cannot be opened.
    """
    before = peak_bytes()
    started = time.perf_counter()
    graph = open_graph(Path(wanted["graph"]), providers=wanted["provider"], threads=wanted["threads"])
    opened = time.perf_counter() - started
    batch = random_batch(graph, wanted["batch_size"], tuple(wanted["image_size"]))
    seconds = np.array(time_runs(graph, batch, _MOST_RUNS, seconds=wanted["seconds"]))
    peak = peak_bytes()
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    return {
        "runs": len(seconds),
        "p50_ms": round(float(p50), 4),
        "p95_ms": round(float(p95), 4),
        "images_per_second": round(float(wanted["batch_size"] / seconds.mean()), 1),
        "open_ms": round(opened * 1000, 1),
        "peak_mb": None if peak is None else round(peak / _MEGABYTE, 1),
        "added_mb": None if peak is None or before is None else round((peak - before) / _MEGABYTE, 1),
    }


def peak_bytes() -> int | None:
    """Return the most memory that this process has held, or None where the system does not say."""
    status = Path("/proc/self/status")
    if status.is_file():
        # getrusage counts what the parent held when it started this process, too.
        lines = [line.split() for line in status.read_text(encoding="ascii").splitlines()]
        return next((int(line[1]) * 1024 for line in lines if line[0] == "VmHWM:"), None)
    if sys.platform == "darwin":
        import resource  # noqa: PLC0415 - there is none on Windows

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def main() -> None:
    """Read a configuration as JSON from stdin, and write what was measured, or what is wrong, as JSON to stdout."""
    try:
        result = measure(json.load(sys.stdin))
    except ZooError as error:
        result = {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no base
        result = {"error": " ".join(str(error).split())}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
