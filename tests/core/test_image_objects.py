from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from zoo_core.errors import UnreadableSample, UsageError
from zoo_core.image_objects import detach, from_array, read_object
from zoo_core.images import read_image

SIZE = (24, 32)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (60, 90, 4), dtype=np.uint8)


MODES = {
    "png": ("RGB", "L", "P", "RGBA", "LA", "1", "I;16"),
    "webp": ("RGB", "L", "RGBA"),
    "bmp": ("RGB", "L", "P", "RGBA", "1"),
    "tif": ("RGB", "L", "P", "RGBA", "LA", "1", "I;16", "CMYK"),
    "gif": ("RGB", "L", "P", "RGBA", "1"),
    "jpg": ("RGB", "L", "CMYK"),
    "jp2": ("RGB", "L", "RGBA", "LA", "I;16"),
}


@pytest.mark.parametrize(("suffix", "mode"), [(suffix, mode) for suffix, modes in MODES.items() for mode in modes])
@pytest.mark.parametrize("size", [None, SIZE])
def test_an_opened_file_and_a_decoded_one_are_read_as_the_file_is(tmp_path, pixels, suffix, mode, size):
    path = tmp_path / f"image.{suffix}"
    rgba = Image.fromarray(pixels)
    image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257) if mode == "I;16" else rgba.convert(mode)
    image.save(path)
    expected = read_image(path, size)

    with path.open("rb") as file, Image.open(file) as opened:
        position = file.tell()
        assert np.array_equal(read_object(detach(opened), size), expected)
        # The caller's image and file are as before, and can still be decoded.
        assert file.tell() == position or not opened.tile
        opened.load()
        assert np.array_equal(read_object(detach(opened), size), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tag_turns_an_opened_and_a_decoded_image_upright(tmp_path, pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels[..., :3]).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    expected = read_image(tmp_path / "turned.jpg", SIZE)
    with Image.open(tmp_path / "turned.jpg") as opened:
        assert np.array_equal(read_object(detach(opened), SIZE), expected)
        opened.load()
        assert np.array_equal(read_object(detach(opened), SIZE), expected)


def test_a_large_jpeg_that_is_only_opened_is_decoded_at_the_reduced_scale_of_its_file(tmp_path, pixels):
    large = Image.fromarray(pixels[..., :3]).resize((1200, 900), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg", quality=80)
    with Image.open(tmp_path / "large.jpg") as opened:
        assert np.array_equal(read_object(detach(opened), SIZE), read_image(tmp_path / "large.jpg", SIZE))
        assert opened.size == (1200, 900)
        opened.load()
        whole = read_object(detach(opened), SIZE)
    assert np.array_equal(whole, np.asarray(large_again(tmp_path / "large.jpg")))


def large_again(path):
    return Image.open(path).resize(SIZE[::-1], Image.Resampling.BILINEAR)


def test_a_frame_or_a_scale_that_the_caller_has_chosen_counts(tmp_path, pixels):
    frames = [Image.new("RGB", (90, 60), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "two.gif") as opened:
        opened.seek(1)
        assert read_object(detach(opened), None)[0, 0].tolist() == [0, 0, 255]
    Image.fromarray(pixels[..., :3]).save(tmp_path / "draft.jpg")
    with Image.open(tmp_path / "draft.jpg") as opened:
        opened.draft(None, (45, 30))
        assert read_object(detach(opened), None).shape == (30, 45, 3)


@pytest.mark.parametrize("size", [None, SIZE])
def test_arrays_are_taken_as_the_images_that_they_are(tmp_path, pixels, size):
    for name, array in {"rgb": pixels[..., :3], "grey": pixels[..., 0], "rgba": pixels}.items():
        Image.fromarray(array).save(tmp_path / f"{name}.png")
        assert np.array_equal(from_array(array, size), read_image(tmp_path / f"{name}.png", size)), name
    assert np.array_equal(from_array(pixels[..., :1], size), from_array(pixels[..., 0], size))
    # A view that is not contiguous.
    assert np.array_equal(from_array(pixels[::-1, ::2, :3], size), from_array(pixels[::-1, ::2, :3].copy(), size))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), r"an array of float32 \[4, 4, 3\] is not an image: .*\* 255\).round\(\)"),
        (np.zeros((4, 4), np.uint16), r"uint16.*/ 257"),
        (np.zeros((4, 4), bool), r"bool .*astype\('uint8'\)"),
        (np.zeros((3, 8, 8), np.uint8), r"\[3, 8, 8\].*transpose\(1, 2, 0\)"),
        (np.zeros((8, 8, 2), np.uint8), r"RGB is \[H, W, 3\], grey"),
        (np.zeros((0, 8, 3), np.uint8), r"\[0, 8, 3\] is not an image"),
        (np.zeros(8, np.uint8), r"\[8\] is not an image"),
    ],
)
def test_what_is_no_image_says_what_to_do(array, message):
    with pytest.raises(UsageError, match=message):
        from_array(array)


def test_a_broken_or_closed_image_is_unreadable(tmp_path, pixels):
    path = tmp_path / "cut.png"
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with Image.open(path) as opened, pytest.raises(UnreadableSample, match=r"cut\.png"):
        read_object(detach(opened), None)
    with pytest.raises(UnreadableSample):
        detach(opened)
    with pytest.raises(UnreadableSample, match="a Pillow image"):
        read_object(detach(Image.open(io.BytesIO(path.read_bytes()))), None)
