from __future__ import annotations

import contextlib
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo_core.errors import RunError, UsageError
from zoo_core.images import read_image, resize


def pixel(path):
    return read_image(path)[0, 0].tolist()


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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_as_pillow_turns_them(tmp_path, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(read_image(tmp_path / "turned.png"), expected)


def test_the_result_may_be_written_to(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    read_image(tmp_path / "a.png")[0, 0] = 1


def test_files_that_are_no_good_image_are_named_in_one_line(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    broken = {
        "empty.png": (b"", "zero bytes"),
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
    Image.new("RGB", (10, 15)).save(tmp_path / "large.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(tmp_path / "large.png").shape == (15, 10, 3)


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
