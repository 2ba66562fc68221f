"""Synthetic documents per second and core, and the start of a million, as JSON: ``python benchmarks/documents.py``."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time

import cv2

from zoo_documents.synthetic import SyntheticDocuments

TEMPLATES = 400
SAMPLES = 8
ROUNDS = 5

# In a process of its own: what it adds is measured after numpy and OpenCV are there, as in any training.
_MILLION = """
import json, time
import cv2, numpy, pydantic, zoo_core.api
def resident():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmRSS"))
cv2.setNumThreads(1)
before, start, used = resident(), time.perf_counter(), time.process_time()
from zoo_documents.synthetic import SyntheticDocuments
dataset = SyntheticDocuments(templates=1_000_000, samples_per_template=100)
made = time.perf_counter() - start
order = numpy.random.default_rng(0).integers(0, len(dataset), 256)
batch = [dataset[int(index)] for index in order]
print(json.dumps({
    "seconds_to_construct": round(made, 3),
    "seconds_to_first_batch_of_256": round(time.perf_counter() - start, 3),
    "cpu_seconds_to_first_batch_of_256": round(time.process_time() - used, 3),
    "added_mb": round(resident() - before, 1),
}))
"""


def main() -> None:
    """Measure new templates, further samples of known ones, and the start of a million templates."""
    cv2.setNumThreads(1)
    warm = SyntheticDocuments(templates=TEMPLATES, samples_per_template=1, seed=1)
    for index in range(len(warm)):
        warm[index]
    dataset = SyntheticDocuments(templates=TEMPLATES, samples_per_template=SAMPLES)
    new = max(TEMPLATES / _pass(_fresh(seed), step=SAMPLES) for seed in (2, 3, 4))
    known = max(len(dataset) / _pass(dataset) for _ in range(ROUNDS + 1))
    million = subprocess.run([sys.executable, "-c", _MILLION], check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own program
    result = {
        "new_templates_per_second": round(new, 1),
        "samples_per_second_of_known_templates": round(known, 1),
        "million_templates": json.loads(million),
    }
    print(json.dumps({"schema": 1, **result, "opencv": cv2.__version__, "machine": platform.machine()}, indent=2))


def _fresh(seed: int) -> SyntheticDocuments:
    return SyntheticDocuments(templates=TEMPLATES, samples_per_template=SAMPLES, seed=seed)


def _pass(dataset: SyntheticDocuments, step: int = 1) -> float:
    """Seconds of this process for every ``step``-th sample; other processes on the machine count little."""
    start = time.process_time()
    for index in range(0, len(dataset), step):
        dataset[index]
    return time.process_time() - start


if __name__ == "__main__":
    main()
