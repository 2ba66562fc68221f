"""Seconds and memory of verification over all pairs, as JSON: ``python benchmarks/verification.py``.

    python benchmarks/verification.py --rounds 3
    python benchmarks/verification.py --images 25000 --dim 256 --classes 500

Random embeddings of classes with noise. ``verify``, which finds the worst pairs too, and ``products``, the matrix
products alone, run in turns, each in a process of its own; given are the fastest round and the memory of that process
at its peak, Python and the embeddings included.
``intervals`` is what the bootstrap over classes adds, ``open_set``, ``fpir`` and ``retrieval`` the other figures.
scikit-learn sorts all scores: it is given the number of images that ``--sklearn-images`` says, and ``verify`` too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.metrics.bootstrap import intervals
from zoo.metrics.open_set import fpir_at, open_set
from zoo.metrics.pairs import run_parts
from zoo.metrics.retrieval import retrieve
from zoo.metrics.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zoo.metrics.embeddings import Integers

Embeddings = np.ndarray[tuple[int, int], np.dtype[np.float32]]
ROWS, COLUMNS = 1024, 2048


def main() -> None:
    """Measure each way in processes of its own, in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=25_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--classes", type=int, default=500)
    parser.add_argument("--sklearn-images", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=[*WAYS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.images, options.dim, options.classes)))
        return
    rows: dict[str, Any] = {}
    for images, ways in ((options.images, ALL), (options.sklearn_images, AGAINST_SKLEARN)):
        tries = [{way: _apart(way, images, options) for way in ways} for _ in range(options.rounds)]
        rows[f"{images}_images"] = {
            way: min((each[way] for each in tries), key=lambda row: float(row["seconds"])) for way in ways
        }
    facts = {"dim": options.dim, "classes": options.classes, "rounds": options.rounds, "numpy": np.__version__}
    facts |= {"cores": len(os.sched_getaffinity(0)), "machine": platform.machine()}
    print(json.dumps({"schema": 1, **rows, **facts}, indent=2))


def measure(way: str, images: int, dim: int, classes: int) -> dict[str, Any]:
    """Run one way in this process: its seconds, and the megabytes of this process before and at the peak."""
    random = np.random.default_rng(0)
    labels = np.arange(images) % classes
    embeddings = random.standard_normal((classes, dim), np.float32)[labels]
    embeddings += 1.5 * random.standard_normal(embeddings.shape, np.float32)
    before = _peak()
    start, worked = time.perf_counter(), time.process_time()
    figure = WAYS[way](embeddings, labels)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - worked
    row = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu_seconds, 2)}
    return {**row, "before_mb": before, "peak_mb": _peak(), "figure": figure}


def _verify(embeddings: Embeddings, labels: Integers) -> float:
    found = verify(embeddings, labels)
    return found.operating_points[1].tpr


def _intervals(embeddings: Embeddings, labels: Integers) -> list[float]:
    found = intervals(embeddings, labels)
    return [found["auc"].low, found["auc"].high]


def _open_set(embeddings: Embeddings, labels: Integers) -> int:
    return len(open_set(embeddings, labels))


def _fpir(embeddings: Embeddings, labels: Integers) -> float | None:
    return fpir_at(0.3, embeddings, labels)[1]


def _retrieval(embeddings: Embeddings, labels: Integers) -> float:
    return retrieve(embeddings, labels).map_at_r


def _products(embeddings: Embeddings, _labels: Integers) -> int:
    wide, count = embeddings.astype(np.float64), len(embeddings)
    tiles = [(top, left) for top in range(0, count, ROWS) for left in range(top, count, COLUMNS)]

    def multiply(share: Sequence[tuple[int, int]]) -> int:
        return sum(len(wide[top : top + ROWS] @ wide[left : left + COLUMNS].T) for top, left in share)

    return sum(run_parts(multiply, tiles))


def _sklearn(embeddings: Embeddings, labels: Integers) -> float:
    from sklearn.metrics import roc_auc_score, roc_curve  # noqa: PLC0415 - its memory is counted here alone

    unit = embeddings.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    rows, others = np.triu_indices(len(unit), 1)
    scores, genuine = (unit @ unit.T)[rows, others], labels[rows] == labels[others]
    fpr, tpr, _ = roc_curve(genuine, scores)
    roc_auc_score(genuine, scores)
    return float(tpr[np.flatnonzero(fpr <= 1e-4)[-1]])  # noqa: PLR2004 - as of verify


WAYS: dict[str, Callable[[Embeddings, Integers], Any]] = {
    "verify": _verify,
    "products": _products,
    "intervals": _intervals,
    "open_set": _open_set,
    "fpir": _fpir,
    "retrieval": _retrieval,
    "sklearn": _sklearn,
}
AGAINST_SKLEARN = ("verify", "sklearn")
ALL = tuple(way for way in WAYS if way != "sklearn")


def _apart(way: str, images: int, options: argparse.Namespace) -> dict[str, Any]:
    given = [f"--images={images}", f"--dim={options.dim}", f"--classes={options.classes}", "--one", way]
    command = [sys.executable, __file__, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _peak() -> float:
    # Not getrusage, which counts what the parent had.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
