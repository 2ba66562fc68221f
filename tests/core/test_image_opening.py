from __future__ import annotations

import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, ImageOps, features

from zoo_core.errors import UnreadableSample
from zoo_core.image_files import find_images
from zoo_core.images import read_image

needs_heif = pytest.mark.skipif(
    "not __import__('importlib').util.find_spec('pillow_heif')", reason="pillow-heif is not installed: plugzoo[heic]"
)
SMOOTH = np.stack(np.meshgrid(np.arange(0, 250, 5), np.arange(0, 120, 3), [90]), axis=-1)[:, :, 0].astype(np.uint8)


def heic(path, pixels=SMOOTH, orientation=1):
    """Write a HEIC as a phone does: its turn stands in the container and in the EXIF data."""
    import pillow_heif

    exif = Image.Exif()
    exif[0x0112] = orientation
    file = pillow_heif.from_pillow(Image.fromarray(pixels))
    file[0].info["exif"] = exif.tobytes()
    file.save(path, quality=95)
    return path


@needs_heif
@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_stands_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(SMOOTH).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    found = read_image(heic(tmp_path / "a.heic", orientation=orientation))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 12


@needs_heif
def test_heic_with_a_thumbnail_is_decoded_whole(tmp_path):
    import pillow_heif

    file = pillow_heif.from_pillow(Image.fromarray(np.tile(SMOOTH, (8, 8, 1))))
    file.save(tmp_path / "a.heic", thumbnails=[64])
    path = tmp_path / "a.heic"
    whole = Image.fromarray(read_image(path)).resize((8, 8), Image.Resampling.BILINEAR)
    assert np.array_equal(read_image(path, (8, 8)), np.asarray(whole))


@needs_heif
def test_heic_is_not_registered_with_pillow(tmp_path):
    read_image(heic(tmp_path / "a.heic"))
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(tmp_path / "a.heic")


@needs_heif
def test_a_large_heic_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo_core.image_opening.MAX_PIXELS", 1999)
    with pytest.raises(UnreadableSample, match="too many pixels: 50 x 40"):
        read_image(heic(tmp_path / "a.heic"))


@needs_heif
def test_without_the_extra_a_heic_says_how_to_get_it(tmp_path, monkeypatch):
    heic(tmp_path / "a.heic")
    assert find_images(tmp_path).paths == [tmp_path / "a.heic"]
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadableSample, match=r"HEIC is not read without: pip install 'plugzoo\[heic\]'"):
        read_image(tmp_path / "a.heic")
    (skipped,) = find_images(tmp_path).skipped
    assert (skipped.reason, skipped.kind) == (".heic is not read without: pip install 'plugzoo[heic]'", "file")


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
@pytest.mark.parametrize("brand", [b"avif", b"mif1"])
def test_avif_is_not_taken_for_heic(tmp_path, brand, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    file = BytesIO()
    Image.fromarray(SMOOTH).save(file, "AVIF")
    content = file.getvalue()
    (tmp_path / "a.avif").write_bytes(content[:8] + brand + content[12:])
    assert read_image(tmp_path / "a.avif").shape == SMOOTH.shape


@pytest.mark.parametrize("name", ["a.eps", "a.jpg", "a.png", "a.pdf", "a.ps"])
def test_a_file_that_would_start_a_program_is_not_opened(tmp_path, name, monkeypatch):
    def started(*_):
        pytest.fail("Ghostscript would be started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)
    head = b"%PDF-1.4\n" if name == "a.pdf" else b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    (tmp_path / name).write_bytes(head)
    with pytest.raises(UnreadableSample, match="not an image of a known format"):
        read_image(tmp_path / name)
