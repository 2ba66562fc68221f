from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from zoo_core.errors import RunError, UnreadableSample, UsageError
from zoo_core.images import decode_image, read_image, resize


def pixel(path):
    return read_image(path)[0, 0].tolist()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def png(width, height):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_greys_are_scaled_not_clipped(tmp_path, suffix):
    greys = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(greys).save(tmp_path / f"grey.{suffix}")
    image = read_image(tmp_path / f"grey.{suffix}")
    assert image.dtype == np.uint8
    assert np.array_equal(image[..., 0], np.rint(greys / 257))
    assert np.array_equal(image[..., 0], image[..., 2])


def test_float_greys_are_read_in_0_to_1_and_in_0_to_255(tmp_path):
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(tmp_path / "unit.tif")
    Image.fromarray(np.array([[0.0, 127.0, 300.0]], np.float32)).save(tmp_path / "bytes.tif")
    assert read_image(tmp_path / "unit.tif")[0, :, 0].tolist() == [0, 128, 255]
    assert read_image(tmp_path / "bytes.tif")[0, :, 0].tolist() == [0, 127, 255]


def test_every_mode_looks_as_it_should(tmp_path):
    red = (255, 0, 0)
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg")
    Image.new("RGBA", (4, 4), (*red, 0)).save(tmp_path / "clear.png")
    Image.new("RGBA", (4, 4), (*red, 255)).save(tmp_path / "opaque.png")
    Image.new("LA", (4, 4), (0, 0)).save(tmp_path / "clear_grey.png")
    Image.new("1", (4, 4), 1).save(tmp_path / "bits.png")
    palette = Image.new("P", (4, 4))
    palette.putpalette([*red, 0, 255, 0])
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "clear_palette.png", transparency=0)
    palette.save(tmp_path / "palette.gif")
    white = [255, 255, 255]
    assert pixel(tmp_path / "cmyk.jpg") == [*red]
    assert pixel(tmp_path / "opaque.png") == [*red]
    assert pixel(tmp_path / "palette.png") == [*red]
    assert pixel(tmp_path / "palette.gif") == [*red]
    assert pixel(tmp_path / "bits.png") == white
    assert pixel(tmp_path / "clear.png") == white
    assert pixel(tmp_path / "clear_grey.png") == white
    assert pixel(tmp_path / "clear_palette.png") == white


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_as_pillow_turns_them(tmp_path, orientation, suffix):
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    for kind in ("png", suffix):
        Image.fromarray(pixels).save(tmp_path / f"turned.{kind}", exif=turned(orientation))
    with Image.open(tmp_path / "turned.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(read_image(tmp_path / f"turned.{suffix}"), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_large_photographs_stand_upright_when_they_are_decoded_at_a_reduced_scale(tmp_path, orientation):
    # 2,001 is no multiple of 8: the last column of the reduced image stands for one pixel.
    y, x = np.mgrid[:1500, :2001]
    picture = np.stack([255 * (x // 286) / 7, 255 * (y // 250) / 6, (x + y) // 14], axis=2).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "large.jpg", quality=90, exif=turned(orientation))
    with Image.open(tmp_path / "large.jpg") as image:
        expected = ImageOps.exif_transpose(image).resize((30, 20), Image.Resampling.BILINEAR)
    needed = decode_image(tmp_path / "large.jpg", lambda *_: (4 * 20, 4 * 30))
    assert sorted(needed.pixels.shape) == [3, 188, 251]
    found = read_image(tmp_path / "large.jpg", (20, 30))
    assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 2


def test_a_caller_may_decode_no_more_than_it_needs(tmp_path):
    Image.new("RGB", (800, 400), "red").save(tmp_path / "a.jpg", exif=turned(6))
    asked = []
    found = decode_image(tmp_path / "a.jpg", lambda *shape: asked.append(shape) or (101, 51))
    assert asked == [(800, 400)]
    assert found.shape == (800, 400)
    assert found.pixels.shape == (200, 100, 3)
    with pytest.raises(UnreadableSample, match=r"none\.png: cannot be read as an image \(No such file or directory\)"):
        decode_image(tmp_path / "none.png", lambda *shape: shape)


def test_the_result_may_be_written_to(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    read_image(tmp_path / "a.png")[0, 0] = 1


def test_files_that_are_no_good_image_are_named_in_one_line(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    broken = {
        "empty.png": (b"", "empty file"),
        "text.jpg": (b"no image", "not an image"),
        "half.png": (whole[: len(whole) // 2], "truncated"),
        "bomb.png": (png(60_000, 60_000), "too many pixels: 60000 x 60000"),
        "program.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    }
    for name, (content, reason) in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RunError) as caught:
            read_image(tmp_path / name)
        text = str(caught.value)
        assert str(tmp_path / name) in text
        assert reason in text
        assert "\n" not in text


def test_a_missing_file_and_a_folder_are_usage_errors(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(UsageError, match=str(path)):
            read_image(path)


def test_large_photos_are_read_without_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for mode in ("RGB", "RGBA"):
        Image.new(mode, (10, 15)).save(tmp_path / "large.png")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_image(tmp_path / "large.png").shape == (15, 10, 3)


def test_bombs_are_refused_whatever_limit_a_program_has_set_for_pillow(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "bomb.png").write_bytes(png(20_000, 10_000))
    for read in (read_image, lambda path: decode_image(path, lambda *shape: shape)):
        with pytest.raises(UnreadableSample, match="too many pixels: 20000 x 10000"):
            read(tmp_path / "bomb.png")


@pytest.mark.parametrize(("mode", "copies"), [("RGBA", 2), ("LA", 2), ("P", 2), ("I;16", 2), ("CMYK", 2)])
def test_a_large_image_takes_no_more_memory_than_two_copies(tmp_path, mode, copies):
    # In a process of its own, where the peak is that of one image.
    image = Image.new(mode, (7000, 6000))
    kept = {"compression": "tiff_deflate"} if mode == "CMYK" else {"compress_level": 1}
    image.save(
        path := tmp_path / ("large.tif" if mode == "CMYK" else "large.png"),
        **kept,
        **({"transparency": 0} if mode == "P" else {}),
    )
    script = (
        "import pathlib, resource, sys\n"
        "from zoo_core.images import read_image\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "read_image(pathlib.Path(sys.argv[1]), (32, 32))\n"
        "before = peak()\n"
        "read_image(pathlib.Path(sys.argv[2]), (32, 32))\n"
        "print(peak() - before)\n"
    )
    Image.new("RGB", (8, 8)).save(small := tmp_path / "small.png")
    done = subprocess.run([sys.executable, "-c", script, small, path], capture_output=True, text=True, check=True)
    # Pillow has four bytes a pixel.
    assert int(done.stdout) < copies * 4 * 7000 * 6000 * 1.15


def test_threads_read_the_same_bytes_and_leave_the_warning_filters_alone(tmp_path):
    paths = []
    generator = np.random.default_rng(0)
    for number, suffix in enumerate(["jpg", "png", "tif", "webp", "gif", "bmp"] * 3):
        image = Image.fromarray(generator.integers(0, 256, (90, 300 + number, 3), dtype=np.uint8))
        image.save(path := tmp_path / f"{number}.{suffix}", **({"exif": turned(6)} if suffix in {"jpg", "tif"} else {}))
        paths.append(path)
    expected = [read_image(path, (16, 16)).tobytes() for path in paths]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filters = list(warnings.filters)
        seen = []

        def read(number):
            seen.append(list(warnings.filters) == filters)
            return read_image(paths[number % len(paths)], (16, 16)).tobytes()

        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(read, range(40 * len(paths))))
        assert list(warnings.filters) == filters
    assert all(seen)
    assert found == expected * 40


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_whatever_the_bytes_reading_gives_pixels_or_one_error(tmp_path_factory, noise, place):
    folder = tmp_path_factory.mktemp("fuzz")
    Image.new("RGB", (16, 16), "red").save(folder / "seed.png")
    content = (folder / "seed.png").read_bytes()
    (folder / "x.png").write_bytes(content[:place] + noise + content[place + len(noise) :])
    with contextlib.suppress(RunError):
        assert read_image(folder / "x.png").ndim == 3


def test_fit_is_pillows_antialiased_bilinear():
    image = np.random.default_rng(0).integers(0, 256, (50, 71, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((48, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(resize(image, (32, 48)), expected)


def test_fit_averages_where_a_bilinear_without_antialias_would_pick():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 255
    assert np.ptp(resize(stripes, (8, 8))[1:-1]) <= 2
