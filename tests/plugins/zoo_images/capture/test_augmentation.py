from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo_core.api import Augmentation, Sample
from zoo_images.capture.augmentation import Capture
from zoo_images.datasets.views import views


def picture(height=121, width=192):
    """Smooth colours with a few edges: a small document."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    image = np.stack([255 * x, 255 * y, 127 + 120 * np.sin(9 * x + 5 * y)], axis=2)
    image[height // 8 : height // 4, width // 8 : width // 3] = (20, 30, 200)
    return image.astype(np.uint8)


def generator(number=0):
    return np.random.Generator(np.random.PCG64([7, 0, number]))


def of_view(image, name):
    """Return the view by numpy, independent of its matrix."""
    image = np.rot90(image, int(name.split("-")[0][1:]) // 90)
    if "flip" in name:
        image = np.flipud(image)
    half = image.shape[0] // 2
    if "upper" in name:
        return image[:half]
    return image[half:] if "lower" in name else image


def test_fits_the_protocol():
    assert isinstance(Capture((96, 96)), Augmentation)


@pytest.mark.parametrize("size", [(96, 96), (64, 100), (128, 128)])
def test_no_strength_is_a_plain_resize(size):
    image = picture()
    seen = Capture(size, strength=0)(Sample(image, 0), generator())
    reference = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)).astype(int)
    assert seen.shape == (*size, 3)
    assert np.abs(seen - reference).mean() < 2.5
    assert np.abs(seen - reference).max() < 110  # at the edges of the rectangle a filter is a filter


def test_no_strength_at_the_size_of_the_image_changes_nothing():
    image = picture(50, 70)
    np.testing.assert_array_equal(Capture((50, 70), strength=0)(Sample(image, 0), generator()), image)


@pytest.mark.parametrize(("name", "view"), views())
def test_views_against_numpy(name, view):
    image = picture(120, 192)
    seen = Capture((96, 96), strength=0)(Sample(image, 0, view), generator())
    expected = np.ascontiguousarray(of_view(image, name))
    reference = np.asarray(Image.fromarray(expected).resize((96, 96), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(seen - reference).mean() < 2.5


def test_views_at_their_own_size_are_exact():
    image = picture(40, 40)
    for name, view in views():
        expected = of_view(image, name)
        seen = Capture(expected.shape[:2], strength=0)(Sample(image, 0, view), generator())
        np.testing.assert_array_equal(seen, expected)


def test_the_24_views_differ():
    capture = Capture((32, 32), strength=0)
    seen = {capture(Sample(picture(), 0, view), generator()).tobytes() for _, view in views()}
    assert len(seen) == len(views()) == 24


def test_reduction_does_not_alias():
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    seen = Capture((50, 50), strength=0)(Sample(stripes, 0), generator())
    assert np.abs(seen.astype(int) - 127).max() <= 2


def test_the_view_depends_on_the_generator_alone():
    capture, sample = Capture((96, 96)), Sample(picture(), 0)
    pictures = [capture(sample, generator(number)) for number in range(20)]
    for number, image in enumerate(pictures):
        np.testing.assert_array_equal(image, Capture((96, 96))(sample, generator(number)))
    assert len({image.tobytes() for image in pictures}) == 20


def test_the_sample_is_not_modified():
    image = picture()
    before = image.copy()
    for number in range(20):
        Capture((96, 96))(Sample(image, 0), generator(number))
    np.testing.assert_array_equal(image, before)


def test_same_in_another_process():
    script = """
import hashlib, numpy as np
from zoo_core.api import Sample
from zoo_images.capture.augmentation import Capture
image = np.arange(120 * 190 * 3, dtype=np.int64).reshape(120, 190, 3).astype(np.uint8)
capture = Capture((96, 96))
print(hashlib.sha256(b"".join(capture(Sample(image, 0), np.random.Generator(np.random.PCG64([1, 2, i]))).tobytes()
                              for i in range(40))).hexdigest())
"""
    hashes = {subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(hashes) == 1


@pytest.mark.parametrize(("options", "least"), [({}, 185), ({"colour": 0}, 200)])
def test_augmented_views_stay_recognisable(options, least):
    """An augmented view correlates more with its own document than with another, after blurring.

    Colour effects such as inverted or swapped channels are exceptions by this measure.
    """
    first, second = picture(), np.rot90(picture(192, 121))[::-1].copy()
    first[60:100, 20:90] = (250, 240, 40)
    second[20:50, 100:170] = (10, 10, 10)
    capture, plain = Capture((96, 96), **options), Capture((96, 96), strength=0)

    def features(image):
        small = cv2.resize(cv2.GaussianBlur(image, (0, 0), 4), (12, 12)).astype(float)
        small -= small.mean(axis=(0, 1))
        return small / np.linalg.norm(small)

    own, other = (features(plain(Sample(image, 0), generator())) for image in (first, second))
    matches = 0
    for number in range(200):
        seen = features(capture(Sample(first, 0), generator(number)))
        matches += (seen * own).sum() > (seen * other).sum()
    assert matches >= least


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)) | st.sampled_from([(1, 1), (4000, 3), (3, 4000), (1, 4000)]),
    st.tuples(st.integers(1, 130), st.integers(1, 130)),
    st.sampled_from(views()),
    st.floats(0, 2),
    st.integers(0, 2**32),
)
def test_any_size_in_any_size_out(shape, size, view, strength, seed):
    image = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    seen = Capture(size, strength=strength)(Sample(image, 0, view[1]), np.random.default_rng(seed))
    assert seen.shape == (*size, 3)
    assert seen.dtype == np.uint8


def test_a_uniform_document_keeps_its_colour_under_geometry_alone():
    geometry = Capture((64, 64), colour=0, light=0, blur=0, noise=0, reduction=0, jpeg=0, occlusion=0)
    image = np.full((100, 160, 3), (200, 30, 90), np.uint8)
    for number in range(30):
        assert (
            geometry(Sample(image, 0), generator(number))[24:40, 24:40].reshape(-1, 3).tolist() == [[200, 30, 90]] * 256
        )
