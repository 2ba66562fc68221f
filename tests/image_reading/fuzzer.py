"""Read mutations of good image files: python fuzzer.py SEEDS COUNT SEED; prints counts, or dies.

The last mutation stays beside the folder SEEDS as `mutated`.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys
from pathlib import Path

import numpy as np

from zoo_core.errors import UnreadableSample
from zoo_core.images import read_image

MEMORY = 2 * 2**30
CPU_SECONDS = 30
EXTREMES = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff", b"\xff\xff", b"\0\0", b"\x80\0"]


def mutated(content, other, generator):
    """Return ``content`` with one to five changes; ``other`` is another file, which may be spliced in."""
    data = bytearray(content)
    for _ in range(int(generator.integers(1, 6))):
        # Headers decide most, and are short.
        place = int(min(generator.integers(0, len(data) + 1), generator.exponential(len(data) / 4)))
        length = int(generator.integers(1, 33))
        kind = generator.integers(0, 7)
        if kind == 0:
            data[place : place + length] = generator.bytes(length)
        elif kind == 1:
            extreme = EXTREMES[generator.integers(0, len(EXTREMES))]
            data[place : place + len(extreme)] = extreme
        elif kind == 2:
            del data[place : place + length]
        elif kind == 3:
            data[place:place] = data[place // 2 : place // 2 + length]
        elif kind == 4:
            del data[max(place, 1) :]
        elif kind == 5:
            data[place:] = other[place:]
        elif place < len(data):
            data[place] ^= 1 << int(generator.integers(0, 8))
        data = data or bytearray(b"\0")
    return bytes(data)


def main():
    folder, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    seeds = [path.read_bytes() for path in sorted(folder.iterdir())]
    generator = np.random.default_rng(seed)
    # Pillow warns of damaged metadata by Python's means, and a program shows them or not.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counts = {"read": 0, "unreadable": 0}
    for _ in range(count):
        one, other = generator.integers(0, len(seeds), 2)
        path = folder.with_name("mutated")
        path.write_bytes(mutated(seeds[one], seeds[other], generator))
        # Without a handler, so that it also ends what does not come back to Python.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            image = read_image(path, (32, 40) if generator.random() < 0.7 else None)
        except UnreadableSample as error:
            good = bool(error.reason) and "\n" not in str(error)
            counts["unreadable"] += 1
        else:
            good = image.dtype == np.uint8 and image.shape[2:] == (3,) and image.size > 0
            counts["read"] += 1
        assert good
    sys.stdout.write(json.dumps(counts))


if __name__ == "__main__":
    main()
