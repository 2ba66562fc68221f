"""Synthetic documents per second and core, as JSON: ``python benchmarks/documents.py``."""

from __future__ import annotations

import json
import platform
import time

import cv2

from zoo_documents.synthetic import SyntheticDocuments

TEMPLATES = 400
SAMPLES = 8


def main() -> None:
    """Measure new templates, further samples of known ones, and the start of a million templates."""
    cv2.setNumThreads(1)
    warm = SyntheticDocuments(templates=TEMPLATES, samples_per_template=1, seed=1)
    for index in range(len(warm)):
        warm[index]
    dataset = SyntheticDocuments(templates=TEMPLATES, samples_per_template=SAMPLES)
    start = time.process_time()
    for index in range(0, len(dataset), SAMPLES):
        dataset[index]
    first = time.process_time() - start
    best = min(_pass(dataset) for _ in range(3))
    start = time.perf_counter()
    SyntheticDocuments(templates=1_000_000, samples_per_template=100)
    result = {
        "new_templates_per_second": round(TEMPLATES / first, 1),
        "samples_per_second_of_known_templates": round(len(dataset) / best, 1),
        "seconds_to_construct_a_million_templates": round(time.perf_counter() - start, 4),
    }
    print(json.dumps({"schema": 1, **result, "opencv": cv2.__version__, "machine": platform.machine()}))


def _pass(dataset: SyntheticDocuments) -> float:
    start = time.process_time()
    for index in range(len(dataset)):
        dataset[index]
    return time.process_time() - start


if __name__ == "__main__":
    main()
