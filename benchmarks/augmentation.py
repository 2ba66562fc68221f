"""Images per second and core of the capture augmentation, as JSON: ``python benchmarks/augmentation.py [SIDE]``."""

from __future__ import annotations

import json
import platform
import sys
import time

import cv2
import numpy as np

from zoo_core.api import Sample
from zoo_images.capture import Capture

SOURCE = (121, 192)
IMAGES = 400
ROUNDS = 5


def rate(capture: Capture, samples: list[Sample]) -> float:
    """Best of several rounds, so that other work on the machine counts least."""
    best = 0.0
    for _ in range(ROUNDS):
        start = time.process_time()
        for index, sample in enumerate(samples):
            capture(sample, np.random.Generator(np.random.PCG64([0, 0, index])))
        best = max(best, len(samples) / (time.process_time() - start))
    return round(best, 1)


def main() -> None:
    """Measure the whole chain and its parts."""
    cv2.setNumThreads(1)
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 96
    generator = np.random.default_rng(0)
    samples = [
        Sample(
            np.asarray(cv2.resize(generator.integers(0, 256, (12, 19, 3), dtype=np.uint8), SOURCE[::-1]), np.uint8), 0
        )
        for _ in range(IMAGES)
    ]
    none = dict.fromkeys(("colour", "light", "blur", "noise", "reduction", "jpeg"), 0.0)
    chains = {"resize": {"strength": 0.0}, "geometry": none, "no_jpeg": {"jpeg": 0.0}, "full": {}}
    rates = {name: rate(Capture((side, side), **options), samples) for name, options in chains.items()}
    result = {"source": SOURCE, "side": side, "images_per_second_per_core": rates, "opencv": cv2.__version__}
    print(json.dumps({"schema": 1, **result, "machine": platform.machine()}))


if __name__ == "__main__":
    main()
