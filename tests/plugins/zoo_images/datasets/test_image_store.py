from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_images.datasets import image_store
from zoo_images.datasets.decoded_images import DecodedImages
from zoo_images.datasets.image_store import ImageStore


@settings(max_examples=40, deadline=None)
@given(position=st.integers(0, 14000), value=st.integers(1, 255))
def test_flipped_bytes_are_noticed(tmp_path_factory, position, value):
    folder = tmp_path_factory.mktemp("flip")
    generator = np.random.default_rng(0)
    stored = [generator.integers(0, 256, (20, 40, 3), dtype=np.uint8) for _ in range(3)]
    path = folder / "x.cache"
    store = ImageStore(path, 2**18)
    for number, image in enumerate(stored):
        store.put(number + 1, 7, image, path)
    content = bytearray(path.read_bytes())
    content[position] ^= value
    path.write_bytes(content)
    again = ImageStore(path, 2**18)
    for number, image in enumerate(stored):
        found = again.get(number + 1, 7)
        assert found is None or np.array_equal(found, image)


WRITER = """
import sys, os
from pathlib import Path
from zoo_images.datasets.decoded_images import DecodedImages
folder, cache, seed = sys.argv[1:]
paths = sorted(Path(folder).glob("*.png"))
images = DecodedImages(paths, Path(folder), max_side=64, cache=cache, cache_mb=4)
import numpy as np
print("ready", flush=True)
for _ in range(int(os.environ.get("PASSES", 1))):
    for number in np.random.default_rng(int(seed)).permutation(len(paths)):
        image = images.read(int(number))
        assert (image == int(number)).all(), number
print("done", flush=True)
"""


def writer(folder, cache, seed, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(cache), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_processes_share_what_they_decode(tmp_path, decoded, numbered_images):
    paths = numbered_images(tmp_path / "pictures", 120)
    writers = [writer(tmp_path / "pictures", tmp_path / "cache", seed) for seed in range(4)]
    assert [process.communicate(timeout=120)[0] for process in writers] == ["ready\ndone\n"] * 4
    assert all(process.returncode == 0 for process in writers)
    kept = DecodedImages(paths, tmp_path / "pictures", max_side=64, cache=str(tmp_path / "cache"), cache_mb=4)
    assert all((kept.read(number) == number).all() for number in range(120))
    assert decoded == []
    assert kept._store._header().records == 120
    assert kept._store._header().wasted == 0


def test_killed_writers_leave_a_consistent_store(tmp_path, numbered_images):
    paths = numbered_images(tmp_path / "pictures", 200)
    for seed in range(8):
        process = writer(tmp_path / "pictures", tmp_path / "cache", seed)
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.003 * seed)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode in {0, -signal.SIGKILL}
    kept = DecodedImages(paths, tmp_path / "pictures", max_side=64, cache=str(tmp_path / "cache"), cache_mb=4)
    for _ in range(2):
        assert all((kept.read(number) == number).all() for number in range(200))
    assert len(list((tmp_path / "cache").glob("*.cache"))) == 1


@pytest.mark.parametrize("step", range(3))
def test_killed_between_any_two_writes(tmp_path, step):
    """Of pixels, header and record any may be missing; every image that is found is correct."""
    pictures = [np.full((20, 40, 3), shade, np.uint8) for shade in (10, 20)]
    store = ImageStore(tmp_path / "x.cache", 2**18)
    assert store.get(1, 1) is None
    writes = []

    class KilledError(BaseException):
        pass

    real = store._write

    def write(offset, data):
        if len(writes) == step:
            raise KilledError
        writes.append(offset)
        real(offset, data)

    store._write = write
    with pytest.raises(KilledError):
        store.put(1, 1, pictures[0], tmp_path)
    later = ImageStore(tmp_path / "x.cache", 2**18)
    assert later.get(1, 1) is None
    later.put(2, 1, pictures[1], tmp_path)
    later.put(1, 1, pictures[0], tmp_path)
    assert np.array_equal(later.get(1, 1), pictures[0])
    assert np.array_equal(later.get(2, 1), pictures[1])


def test_stores_that_nobody_uses_are_removed(images, tmp_path):
    images(max_side=16).read(0)
    (old,) = (tmp_path / "cache").glob("*.cache")
    images(max_side=8).read(0)
    os.utime(old, (0, time.time() - image_store._UNUSED_SECONDS - 60))
    images(max_side=32).read(0)
    left = list((tmp_path / "cache").glob("*.cache"))
    assert len(left) == 2
    assert old not in left
