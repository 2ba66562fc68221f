from __future__ import annotations

import errno
import logging
import os
import pickle

import numpy as np
import pytest
from PIL import Image

from zoo_core.errors import UnreadableSample
from zoo_images.datasets import decoded_images
from zoo_images.datasets.decoded_images import DecodedImages, default_cache_folder
from zoo_images.datasets.decoding import read_plain, read_reduced
from zoo_images.datasets.image_store import ImageStore


def equal(images, pictures, side=32):
    return all(np.array_equal(images.read(n), read_reduced(path, side)) for n, path in enumerate(pictures))


def test_each_image_is_decoded_once_for_this_and_all_later_processes(images, pictures, decoded):
    first = images()
    assert equal(first, pictures)
    assert equal(first, pictures)
    assert equal(images(), pictures)
    assert equal(pickle.loads(pickle.dumps(first)), pictures)  # noqa: S301 - our own bytes
    assert decoded == pictures


def test_images_are_read_only(images):
    kept = images()
    for image in (kept.read(0), kept.read(0)):
        with pytest.raises(ValueError, match="read-only"):
            image[0, 0] = 0


def test_another_size_is_another_image(images, pictures):
    images().read(0)
    assert equal(images(max_side=8), pictures, side=8)


def test_only_a_changed_source_is_decoded_again(images, pictures, decoded):
    assert equal(images(), pictures)
    Image.new("RGB", (40, 20), "red").save(pictures[2])
    decoded.clear()
    assert equal(images(), pictures)
    assert decoded == [pictures[2]]


def test_a_source_of_the_same_size_but_another_time_is_decoded_again(images, pictures, decoded):
    images().read(0)
    changed = Image.open(pictures[0]).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    changed.save(pictures[0])
    state = pictures[0].stat()
    os.utime(pictures[0], ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    decoded.clear()
    assert np.array_equal(images().read(0), read_reduced(pictures[0], 32))
    assert decoded == [pictures[0]]


def test_outdated_pixels_do_not_accumulate(images, pictures, tmp_path):
    for shade in range(200):
        Image.new("RGB", (120, 90), (shade, 0, 0)).save(pictures[0])
        os.utime(pictures[0], ns=(shade, shade))
        assert images(max_side=120).read(0)[0, 0, 0] == shade
    (path,) = (tmp_path / "cache").glob("*.cache")
    assert path.stat().st_size < 2 * 2**20


def replaced(folder, count, first):
    """Replace all pictures by ``count`` new ones and return their paths."""
    for path in folder.glob("*.png"):
        path.unlink()
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{first + number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (192, 120), (first + number, 0, 0)).save(path)
    return paths


def test_images_whose_files_are_gone_or_changed_make_room_for_new_ones(tmp_path, decoded):
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


def test_images_whose_files_are_gone_are_dropped_while_others_read_and_write(tmp_path, decoded):
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
    # As a worker process receives it, which opens the new file.
    assert equal(pickle.loads(pickle.dumps(kept)), new, side=192)  # noqa: S301 - our own bytes
    assert decoded == []


def test_another_limit_is_the_same_file(images, pictures, decoded, tmp_path):
    assert equal(images(cache_mb=1), pictures)
    assert equal(images(cache_mb=64), pictures)
    assert equal(images(cache_mb=1), pictures)
    assert decoded == pictures
    assert len(list((tmp_path / "cache").glob("*.cache"))) == 1


def test_a_higher_limit_makes_room_for_more_in_bytes_and_in_number(tmp_path, decoded, numbered_images):
    """The table of a store with a small limit has few slots, here 256, of which 224 are used."""
    paths = numbered_images(tmp_path / "p", 250)

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


def test_none_caches_nothing(images, pictures, decoded, tmp_path):
    kept = images(cache="none")
    assert equal(kept, pictures)
    assert equal(kept, pictures)
    assert decoded == pictures * 2
    assert not (tmp_path / "cache").exists()


def test_the_default_cache_folder_is_the_users(monkeypatch, tmp_path, images):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    images(cache="auto").read(0)
    assert list((tmp_path / "xdg" / "zoo" / "images").glob("*.cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache_folder() == tmp_path / "home" / ".cache" / "zoo" / "images"


def test_a_broken_image_is_unreadable_and_not_cached(images, pictures):
    pictures[1].write_bytes(b"")
    kept = images()
    for _ in range(2):
        with pytest.raises(UnreadableSample, match=r"1\.png.*empty file"):
            kept.read(1)
    pictures[2].unlink()
    with pytest.raises(UnreadableSample, match=r"2\.png.*No such file"):
        kept.read(2)
    assert np.array_equal(kept.read(3), read_reduced(pictures[3], 32))


def test_a_folder_that_cannot_be_created_leads_to_caching_in_memory(images, pictures, decoded, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    kept = images(cache=str(tmp_path / "file" / "cache"))
    assert equal(kept, pictures)
    assert equal(kept, pictures)
    assert decoded == pictures
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "kept in memory" in record.getMessage()


def test_a_full_disk_leads_to_caching_in_memory_with_one_warning(images, pictures, decoded, monkeypatch, caplog):
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
def test_a_damaged_file_is_recreated(images, pictures, decoded, tmp_path, damage):
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


def test_a_reader_continues_while_the_store_is_recreated(images, pictures, tmp_path):
    reading = images()
    assert equal(reading, pictures)
    (path,) = (tmp_path / "cache").glob("*.cache")
    path.unlink()
    assert equal(images(), pictures)
    assert equal(reading, pictures)


def test_images_at_a_size_are_cached_apart_from_the_reduced_ones_and_by_size(images, pictures, monkeypatch):
    read = []

    def counting(path, size):
        read.append(size)
        return read_plain(path, size)

    monkeypatch.setattr(decoded_images, "read_plain", counting)
    for _ in range(2):
        kept = images()
        for size in ((8, 12), (12, 8)):
            copy = pickle.loads(pickle.dumps(kept))  # noqa: S301 - as a worker process gets it
            for one in (kept, copy):
                assert np.array_equal(one.at_size(size).read(0), read_plain(pictures[0], size))
        assert equal(kept, pictures)
    assert read == [(8, 12), (12, 8)]


def test_an_image_at_a_size_is_read_anew_when_its_file_has_changed(images, pictures):
    first = images().at_size((8, 12)).read(0)
    Image.new("RGB", (30, 30), "red").save(pictures[0])
    changed = images().at_size((8, 12)).read(0)
    assert not np.array_equal(first, changed)
    assert np.array_equal(changed, read_plain(pictures[0], (8, 12)))
