"""A benchmark: each configuration in a process of its own, one after the other."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from zoo.atomic import write_json
from zoo_core.errors import RunError
from zoo_core.provenance import cpu_model, installed_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from zoo.benchmark.plan import Configuration

_TOOLS = ("plugzoo", "numpy", "onnxruntime", "onnxruntime-gpu")
_SUFFIX = "ExecutionProvider"


@dataclass(frozen=True)
class Benchmark:
    """What was measured.

    Attributes:
        rows: one for each configuration, with ``precision``, ``provider``, ``threads``, ``batch_size``, ``runs``,
            ``p50_ms`` and ``p95_ms`` of a run, ``images_per_second``, ``open_ms``, ``peak_mb`` (of the process) and
            ``added_mb`` (of the model in it); or with an ``error``.
        document: all of it with files, machine and versions, as it is written to a file.
    """

    rows: tuple[dict[str, Any], ...]
    document: dict[str, Any]

    @property
    def failed(self) -> tuple[dict[str, Any], ...]:
        """The rows with an error."""
        return tuple(row for row in self.rows if "error" in row)

    def write(self, path: Path) -> None:
        """Write the document as JSON, all or nothing."""
        write_json(path, self.document)


def benchmark(plan: Sequence[Configuration], *, advance: Callable[[Iterable[Any]], Iterable[Any]] = iter) -> Benchmark:
    """Measure all configurations of a plan; one that fails has its error in its row.

    ``advance`` may wrap the configurations to show progress.

    Raises:
        RunError: all fail.
    """
    rows = tuple(_measured(configuration) for configuration in advance(plan))
    if all("error" in row for row in rows):
        raise RunError(f"nothing can be measured: {rows[0]['error']}")
    files = {}
    for one in plan:
        data = one.graph.read_bytes()
        files[one.precision] = {"file": one.graph.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    document = {
        "files": files,
        "image_size": list(plan[0].image_size),
        "seconds": plan[0].seconds,
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count()},
        "versions": installed_versions(_TOOLS),
        "configurations": list(rows),
    }
    return Benchmark(rows, document)


def _measured(configuration: Configuration) -> dict[str, Any]:
    row = {
        "precision": configuration.precision,
        "provider": configuration.provider.removesuffix(_SUFFIX).lower(),
        "threads": configuration.threads,
        "batch_size": configuration.batch_size,
    }
    # -P: a folder called zoo in the current one must not be taken for the package.
    command = [sys.executable, "-P", "-m", "zoo.benchmark.process"]
    wanted = json.dumps({**asdict(configuration), "graph": str(configuration.graph)})
    done = subprocess.run(command, input=wanted, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        # Such as of memory that ran out.
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return {**row, "error": f"its process ended with {done.returncode}{last and f': {last}'}"}
    return {**row, **json.loads(done.stdout)}
