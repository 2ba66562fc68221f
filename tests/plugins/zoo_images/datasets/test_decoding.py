from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from zoo_core.errors import RunError, UnreadableSample
from zoo_images.datasets.decoding import read_reduced

# Four different corners reveal rotations, flips and swapped channels.
CORNERS = np.zeros((40, 60, 3), np.uint8)
CORNERS[:20, :30] = (250, 10, 10)
CORNERS[:20, 30:] = (10, 250, 10)
CORNERS[20:, :30] = (10, 10, 250)
CORNERS[20:, 30:] = (240, 240, 240)


def close(image, expected, tolerance=6):
    assert image.shape == expected.shape
    assert image.dtype == np.uint8
    # JPEG and palettes blur the edges.
    inner = np.s_[4:-4:4, 4:-4:4]
    assert np.median(np.abs(image[inner].astype(int) - expected[inner].astype(int))) <= tolerance
    for y, x in ((8, 8), (8, -8), (-8, 8), (-8, -8)):
        assert np.abs(image[y, x].astype(int) - expected[y, x].astype(int)).max() <= tolerance


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.webp", "a.tif", "a.jpg"])
def test_common_formats(tmp_path, name):
    Image.fromarray(CORNERS).save(tmp_path / name, **({"quality": 95} if name.endswith(("jpg", "webp")) else {}))
    close(read_reduced(tmp_path / name, 192), CORNERS, 12)


def test_cmyk_jpeg(tmp_path):
    Image.fromarray(CORNERS).convert("CMYK").save(tmp_path / "a.jpg", quality=98)
    close(read_reduced(tmp_path / "a.jpg", 192), CORNERS, 12)


def test_grayscale(tmp_path):
    grey = np.arange(0, 200, 5, dtype=np.uint8).repeat(60).reshape(40, 60)
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_reduced(tmp_path / "a.png", 192), grey[..., None].repeat(3, axis=2))


def test_sixteen_bit(tmp_path):
    deep = np.linspace(0, 65535, 2400).reshape(40, 60).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_reduced(tmp_path / "a.png", 192)[..., 0], np.rint(deep / 257))


GREY = np.linspace(0, 255, 2400).reshape(40, 60).astype(np.int32)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [(GREY, GREY), (GREY * 257, GREY), (GREY.astype(np.uint16) * 257, GREY), (GREY // 4, GREY // 4)],
    ids=["8 of 32 bits", "16 of 32 bits", "16 bits", "dark"],
)
def test_deep_tiff_is_read_by_the_range_of_its_values(tmp_path, pixels, expected):
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_reduced(tmp_path / "a.tif", 192), expected[..., None].repeat(3, axis=2))


def test_deep_pgm_keeps_its_brightness(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 2 2 65535\n" + np.array([0, 100, 200, 255], ">u2").tobytes())
    assert read_reduced(tmp_path / "a.pgm", 192)[..., 0].tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize(("least", "most"), [(0, 65_536), (0, 2**31 - 1), (-1, 255)])
def test_integers_beyond_sixteen_bits_are_refused(tmp_path, least, most):
    pixels = GREY.copy()
    pixels[0, :2] = least, most
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableSample, match=f"a.tif.*32-bit pixels from {least} to {most}"):
        read_reduced(tmp_path / "a.tif", 192)


def test_palette(tmp_path):
    Image.fromarray(CORNERS).quantize(4).save(tmp_path / "a.png")
    close(read_reduced(tmp_path / "a.png", 192), CORNERS, 2)


def test_transparent_palette_lies_on_white(tmp_path):
    picture = Image.fromarray(CORNERS).quantize(4)
    index = picture.getpixel((8, 8))
    picture.save(tmp_path / "a.png", transparency=index)
    image = read_reduced(tmp_path / "a.png", 192)
    assert image[8, 8].tolist() == [255, 255, 255]
    assert image[8, -8].tolist() == CORNERS[8, -8].tolist()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_lies_on_white(tmp_path, mode):
    picture = Image.fromarray(CORNERS).convert(mode)
    picture.putalpha(0)
    picture.save(tmp_path / "a.png")
    assert (read_reduced(tmp_path / "a.png", 192) == 255).all()


def test_one_bit(tmp_path):
    Image.fromarray(CORNERS).convert("1", dither=Image.Dither.NONE).save(tmp_path / "a.png")
    assert set(np.unique(read_reduced(tmp_path / "a.png", 192))) == {0, 255}


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_exif_orientation(tmp_path, orientation, turned, extension):
    exif = Image.Exif()
    exif[0x0112] = orientation
    quality = {"quality": 95} if extension in {"jpg", "webp"} else {}
    Image.fromarray(CORNERS).save(tmp_path / f"a.{extension}", exif=exif, **quality)
    close(read_reduced(tmp_path / f"a.{extension}", 192), turned(CORNERS), 12)


@pytest.mark.parametrize(("size", "expected"), [((800, 1200), (64, 96)), ((3, 4000), (1, 96)), ((1, 1), (1, 1))])
@pytest.mark.parametrize("extension", ["jpg", "png"])
def test_large_images_are_reduced_by_area(tmp_path, size, expected, extension):
    y, x = np.mgrid[: size[0], : size[1]]
    picture = np.stack([255 * x / size[1], 255 * y / size[0], np.full(size, 99)], axis=2).astype(np.uint8)
    quality = {"quality": 98, "subsampling": 0} if extension == "jpg" else {}
    Image.fromarray(picture).save(tmp_path / f"a.{extension}", **quality)
    image = read_reduced(tmp_path / f"a.{extension}", 96)
    assert image.shape == (*expected, 3)
    means = [[block.mean(axis=(0, 1)) for block in np.array_split(row, expected[1], axis=1)]
             for row in np.array_split(picture, expected[0], axis=0)]  # fmt: skip
    assert np.abs(image - np.array(means)).max() <= 6


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(40), b"\xff\xd8\xff\xe0" + bytes(99)]
)
def test_broken_files_are_named(tmp_path, content):
    path = tmp_path / "broken one.jpg"
    path.write_bytes(content)
    with pytest.raises(RunError, match="broken one") as caught:
        read_reduced(path, 192)
    assert caught.value.problems[0].hint


def test_broken_file_of_another_format_is_named(tmp_path):
    # A .jpg from a web site may have any format; a DDS file with an unknown pixel format does not raise OSError.
    path = tmp_path / "other.jpg"
    header = np.array([124, 0x1007, 8, 8, 0, 0, 0, *[0] * 11, 32, 0xFF00, *[0] * 11], "<u4")
    path.write_bytes(b"DDS " + header.tobytes() + bytes(999))
    with pytest.raises(RunError, match="other"):
        read_reduced(path, 192)


def test_a_broken_tag_is_named(tmp_path):
    # The offset of the pixels is a fraction, for which Pillow raises TypeError.
    path = tmp_path / "tag.tif"
    Image.fromarray(CORNERS).save(path)
    content = path.read_bytes()
    tag = content.index(np.array([273, 4, 1, 0], "<u2").tobytes())
    path.write_bytes(content[: tag + 2] + b"\x05" + content[tag + 3 :])
    with pytest.raises(UnreadableSample, match=r"tag\.tif.*TypeError: 'IFDRational'"):
        read_reduced(path, 192)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError(42), "KeyError: 42"),
        (IndexError("list index out of range"), "IndexError: list index out of range"),
        (struct.error("unpack requires 4 bytes"), "error: unpack requires 4 bytes"),
        (cv2.error("two\nlines\n"), "error: two lines"),
        (MemoryError(), "MemoryError"),
        (ValueError("cannot decode"), "cannot decode"),
    ],
)
def test_any_exception_of_a_decoder_becomes_the_reason(tmp_path, monkeypatch, error, reason):
    def load(*_):
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    Image.fromarray(CORNERS).save(tmp_path / "a.png")
    with pytest.raises(UnreadableSample) as caught:
        read_reduced(tmp_path / "a.png", 192)
    assert caught.value.reason == reason


@pytest.mark.parametrize("extension", ["jpg", "png"])
def test_truncated_files_are_named(tmp_path, extension):
    path = tmp_path / f"cut.{extension}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RunError, match="cut"):
        read_reduced(path, 192)


def test_a_format_that_runs_a_program_is_not_opened(tmp_path):
    (tmp_path / "program.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(UnreadableSample, match="not an image of a known format"):
        read_reduced(tmp_path / "program.eps", 32)
