from __future__ import annotations

import errno
import logging
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo_core.errors import UnreadableSample
from zoo_images.datasets import decoded_images as decoded_images_module
from zoo_images.datasets import image_store as image_store_module
from zoo_images.datasets.decoded_images import DecodedImages, default_folder
from zoo_images.datasets.decoding import read_image
from zoo_images.datasets.image_store import ImageStore


@pytest.fixture
def pictures(tmp_path):
    generator = np.random.default_rng(0)
    paths = []
    for number in range(6):
        paths.append(tmp_path / "pictures" / f"{number}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        shape = (20 + number, 40, 3)
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(paths[-1])
    return paths


@pytest.fixture
def images(pictures, tmp_path):
    def make(**options):
        return DecodedImages(
            pictures, pictures[0].parent, **{"max_side": 32, "cache": str(tmp_path / "cache"), "cache_mb": 1, **options}
        )

    return make


@pytest.fixture
def decoded(monkeypatch):
    """The paths that were decoded."""
    paths = []

    def counting(path, side):
        paths.append(path)
        return read_image(path, side)

    monkeypatch.setattr(decoded_images_module, "read_image", counting)
    return paths


def equal(images, pictures, side=32):
    return all(np.array_equal(images.read(n), read_image(path, side)) for n, path in enumerate(pictures))


def test_each_image_is_decoded_once_for_this_and_all_later_runs(images, pictures, decoded):
    first = images()
    assert equal(first, pictures)
    assert equal(first, pictures)
    assert equal(images(), pictures)
    assert equal(pickle.loads(pickle.dumps(first)), pictures)  # noqa: S301 - our own bytes
    assert decoded == pictures


def test_what_is_read_cannot_be_written_to(images):
    kept = images()
    for image in (kept.read(0), kept.read(0)):
        with pytest.raises(ValueError, match="read-only"):
            image[0, 0] = 0


def test_another_size_is_another_image(images, pictures):
    images().read(0)
    assert equal(images(max_side=8), pictures, side=8)


def test_a_changed_source_is_decoded_anew_and_the_others_are_not(images, pictures, decoded):
    assert equal(images(), pictures)
    Image.new("RGB", (40, 20), "red").save(pictures[2])
    decoded.clear()
    assert equal(images(), pictures)
    assert decoded == [pictures[2]]


def test_a_source_of_the_same_size_but_another_time_is_another(images, pictures, decoded):
    images().read(0)
    changed = Image.open(pictures[0]).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    changed.save(pictures[0])
    state = pictures[0].stat()
    os.utime(pictures[0], ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    decoded.clear()
    assert np.array_equal(images().read(0), read_image(pictures[0], 32))
    assert decoded == [pictures[0]]


def test_outdated_pixels_do_not_pile_up(images, pictures, tmp_path):
    for shade in range(200):
        Image.new("RGB", (120, 90), (shade, 0, 0)).save(pictures[0])
        os.utime(pictures[0], ns=(shade, shade))
        assert images(max_side=120).read(0)[0, 0, 0] == shade
    (path,) = (tmp_path / "cache").glob("*.cache")
    assert path.stat().st_size < 2 * 2**20


def replaced(folder, count, first):
    """The paths of ``count`` pictures that take the place of all others."""
    for path in folder.glob("*.png"):
        path.unlink()
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{first + number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (192, 120), (first + number, 0, 0)).save(path)
    return paths


def test_images_whose_files_are_gone_or_changed_make_room_for_those_that_took_their_place(tmp_path, decoded):
    def passes(paths, count):
        decoded.clear()
        kept = DecodedImages(paths, tmp_path / "p", max_side=192, cache=str(tmp_path / "cache"), cache_mb=1)
        for _ in range(count):
            assert equal(kept, paths, side=192)
        return len(decoded)

    old = replaced(tmp_path / "p", 20, 0)
    assert passes(old, 3) == 20 + 5 + 5  # 15 of 69 kB fit into a megabyte
    assert passes(old, 1) == 5
    new = replaced(tmp_path / "p", 20, 100)
    assert passes(new, 3) == 20 + 5 + 5
    assert passes(new, 1) == 5
    for path in new:
        Image.new("RGB", (192, 120), (0, 9, 0)).save(path)
    assert passes(new, 3) == 20 + 5 + 5
    assert passes(new, 1) == 5
    new[0].unlink()
    assert passes(new[1:], 2) == 5 + 5  # for one of them it would not be worth decoding the others anew


def test_images_whose_files_are_gone_are_forgotten_while_others_read_and_write(tmp_path, decoded):
    folder, cache = tmp_path / "p", str(tmp_path / "cache")
    old = replaced(folder, 20, 0)
    reading = DecodedImages(old, folder, max_side=192, cache=cache, cache_mb=1)
    before = [reading.read(number) for number in range(10)]
    new = replaced(folder, 12, 100)
    kept = DecodedImages(new, folder, max_side=192, cache=cache, cache_mb=1)
    assert equal(kept, new, side=192)
    for number in range(10):
        assert (reading.read(number)[..., 0] == number).all()
        assert (before[number][..., 0] == number).all()
    with pytest.raises(UnreadableSample):
        reading.read(10)
    decoded.clear()
    # As a worker process gets it, which finds the new file.
    assert equal(pickle.loads(pickle.dumps(kept)), new, side=192)  # noqa: S301 - our own bytes
    assert decoded == []


def test_another_limit_is_the_same_file(images, pictures, decoded, tmp_path):
    assert equal(images(cache_mb=1), pictures)
    assert equal(images(cache_mb=64), pictures)
    assert equal(images(cache_mb=1), pictures)
    assert decoded == pictures
    assert len(list((tmp_path / "cache").glob("*.cache"))) == 1


def test_a_higher_limit_makes_room_for_more_in_bytes_and_in_number(tmp_path, decoded):
    """A small limit's table has few slots, here 256, of which 224 are used."""
    paths = numbered(tmp_path / "p", 250)

    def read(limit):
        decoded.clear()
        kept = DecodedImages(paths, tmp_path / "p", max_side=16, cache=str(tmp_path / "cache"), cache_mb=limit)
        assert all((kept.read(number) == number).all() for number in range(250))
        return len(decoded)

    assert [read(1), read(1)] == [250, 26]
    assert [read(4), read(4), read(1)] == [250, 0, 0]


def test_the_limit_holds_and_the_rest_is_still_read(tmp_path, decoded):
    generator = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (400, 500, 3), dtype=np.uint8)).save(path)
    kept = DecodedImages(paths, tmp_path, max_side=512, cache=str(tmp_path / "cache"), cache_mb=1)
    for _ in range(2):
        assert equal(kept, paths, side=512)
    assert len(decoded) == 5 + 4  # one of 600 kB fits into a megabyte
    (path,) = (tmp_path / "cache").glob("*.cache")
    assert path.stat().st_blocks * 512 < 1.1 * 2**20


def test_none_keeps_nothing(images, pictures, decoded, tmp_path):
    kept = images(cache="none")
    assert equal(kept, pictures)
    assert equal(kept, pictures)
    assert decoded == pictures * 2
    assert not (tmp_path / "cache").exists()


def test_the_default_folder_is_the_users(monkeypatch, tmp_path, images):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    images(cache="auto").read(0)
    assert list((tmp_path / "xdg" / "zoo" / "images").glob("*.cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_folder() == tmp_path / "home" / ".cache" / "zoo" / "images"


def test_a_broken_image_is_no_image_and_is_not_kept(images, pictures):
    pictures[1].write_bytes(b"")
    kept = images()
    for _ in range(2):
        with pytest.raises(UnreadableSample, match=r"1\.png.*empty file"):
            kept.read(1)
    pictures[2].unlink()
    with pytest.raises(UnreadableSample, match=r"2\.png.*No such file"):
        kept.read(2)
    assert np.array_equal(kept.read(3), read_image(pictures[3], 32))


def test_a_folder_that_cannot_be_made_leaves_memory(images, pictures, decoded, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    kept = images(cache=str(tmp_path / "file" / "cache"))
    assert equal(kept, pictures)
    assert equal(kept, pictures)
    assert decoded == pictures
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "kept in memory" in record.getMessage()


def test_a_full_disk_leaves_memory_and_is_said_once(images, pictures, decoded, monkeypatch, caplog):
    kept = images()
    kept.read(0)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ImageStore, "_append", full)
    other = pickle.loads(pickle.dumps(kept))  # noqa: S301 - as a worker process gets it
    for _ in range(2):
        assert equal(kept, pictures)
        assert equal(other, pictures)
    assert len(decoded) == len(pictures) * 2 - 1
    assert [record.getMessage().count("No space left") for record in caplog.records] == [1]


@pytest.mark.parametrize("damage", ["empty", "cut", "foreign", "zeros", "gone"])
def test_a_damaged_file_is_made_anew(images, pictures, decoded, tmp_path, damage):
    assert equal(images(), pictures)
    (path,) = (tmp_path / "cache").glob("*.cache")
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {"empty": b"", "cut": content[:1000], "foreign": b"x" * 9999, "zeros": bytes(len(content))}[damage]
        )
    assert equal(images(), pictures)
    assert decoded == pictures * 2


@settings(max_examples=40, deadline=None)
@given(position=st.integers(0, 14000), value=st.integers(1, 255))
def test_flipped_bytes_are_noticed(tmp_path_factory, position, value):
    folder = tmp_path_factory.mktemp("flip")
    generator = np.random.default_rng(0)
    stored = [generator.integers(0, 256, (20, 40, 3), dtype=np.uint8) for _ in range(3)]
    path = folder / "x.cache"
    store = ImageStore(path, 2**18)
    for number, image in enumerate(stored):
        store.keep(number + 1, 7, image, path)
    content = bytearray(path.read_bytes())
    content[position] ^= value
    path.write_bytes(content)
    again = ImageStore(path, 2**18)
    for number, image in enumerate(stored):
        found = again.find(number + 1, 7)
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


def numbered(folder, count):
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (64, 48), (number,) * 3).save(folder / f"{number:03}.png")
    return sorted(folder.glob("*.png"))


def writer(folder, cache, seed, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(cache), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_processes_share_what_they_decode(tmp_path, decoded):
    paths = numbered(tmp_path / "pictures", 120)
    writers = [writer(tmp_path / "pictures", tmp_path / "cache", seed) for seed in range(4)]
    assert [process.communicate(timeout=120)[0] for process in writers] == ["ready\ndone\n"] * 4
    assert all(process.returncode == 0 for process in writers)
    kept = DecodedImages(paths, tmp_path / "pictures", max_side=64, cache=str(tmp_path / "cache"), cache_mb=4)
    assert all((kept.read(number) == number).all() for number in range(120))
    assert decoded == []
    assert kept._store._header().records == 120
    assert kept._store._header().wasted == 0


def test_killed_writers_leave_nothing_wrong(tmp_path):
    paths = numbered(tmp_path / "pictures", 200)
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
    """Pixels, header, record: whatever is missing, what is found is right."""
    pictures = [np.full((20, 40, 3), shade, np.uint8) for shade in (10, 20)]
    store = ImageStore(tmp_path / "x.cache", 2**18)
    assert store.find(1, 1) is None
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
        store.keep(1, 1, pictures[0], tmp_path)
    later = ImageStore(tmp_path / "x.cache", 2**18)
    assert later.find(1, 1) is None
    later.keep(2, 1, pictures[1], tmp_path)
    later.keep(1, 1, pictures[0], tmp_path)
    assert np.array_equal(later.find(1, 1), pictures[0])
    assert np.array_equal(later.find(2, 1), pictures[1])


def test_a_reader_goes_on_while_the_store_is_made_anew(images, pictures, tmp_path):
    reading = images()
    assert equal(reading, pictures)
    (path,) = (tmp_path / "cache").glob("*.cache")
    path.unlink()
    assert equal(images(), pictures)
    assert equal(reading, pictures)


def test_stores_that_nobody_uses_are_forgotten(images, tmp_path):
    images(max_side=16).read(0)
    (old,) = (tmp_path / "cache").glob("*.cache")
    images(max_side=8).read(0)
    os.utime(old, (0, time.time() - image_store_module._UNUSED_SECONDS - 60))
    images(max_side=32).read(0)
    left = list((tmp_path / "cache").glob("*.cache"))
    assert len(left) == 2
    assert old not in left
