"""The device executor against the loader, and each effect against an independent reference."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from zoo_core.api import DeviceAugmentation, Sample
from zoo_images.capture.augmentation import Capture
from zoo_images.capture.parameters import (
    DEFOCUS,
    GAUSSIAN,
    IDENTITY,
    MOTION,
    Blur,
    Finger,
    Glare,
    Light,
    Neighbour,
    Noise,
    Shadow,
    Surface,
)
from zoo_images.datasets.views import views

EFFECTS = ("colour", "light", "blur", "noise", "reduction", "jpeg", "occlusion")
SIZE = (48, 64)
SMALLER = (0.2, 0.15, 0.8, 0.2, 0.8, 0.9, 0.1, 0.8)


def picture(height=48, width=64):
    """Smooth colours with a few edges and some grain: a small document."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    image = np.stack([255 * x, 255 * y, 127 + 120 * np.sin(9 * x + 5 * y)], axis=2)
    image[height // 8 : height // 4, width // 8 : width // 3] = (20, 30, 200)
    grain = np.random.default_rng(0).normal(0, 6, image.shape)
    return (image + grain).clip(0, 255).astype(np.uint8)


def on_device(capture, samples, parameters):
    sources, packed = zip(*map(capture.lay_out, samples, parameters), strict=True)
    return capture.executor()(torch.from_numpy(np.stack(sources)), torch.from_numpy(np.stack(packed))).numpy()


def rendered(parameters, image=None, size=SIZE):
    """The same augmented view rendered by the loader and on the device."""
    capture, sample = Capture(size), Sample(picture() if image is None else image, 0)
    by_loader, by_device = capture.render(sample, parameters), on_device(capture, [sample], [parameters])[0]
    return by_loader.astype(float), by_device.astype(float)


def apart(one, other):
    return float(np.abs(np.asarray(one, float) - other).mean())


def test_fits_the_protocol():
    assert isinstance(Capture((96, 96)), DeviceAugmentation)


# Measured: 0.02 for geometry alone, 0.2 where light or a resize rounds, 0.4 for JPEG, 0.5 for all together.
@pytest.mark.parametrize(("effect", "mean"), [(effect, 1.0 if effect == "jpeg" else 0.5) for effect in EFFECTS])
def test_each_effect_alone_looks_the_same(effect, mean):
    capture = Capture((96, 96), **{**dict.fromkeys(EFFECTS, 0.0), effect: 1.0})
    assert mean_difference(capture) < mean


@pytest.mark.parametrize(
    ("options", "mean"),
    [({"strength": 0}, 0.1), (dict.fromkeys(EFFECTS, 0.0), 0.3), ({}, 1.0), ({"strength": 2}, 1.5)],
    ids=["plain", "geometry", "all", "strong"],
)
@pytest.mark.parametrize("size", [(96, 96), (33, 70)])
def test_all_effects_together_look_the_same(options, mean, size):
    assert mean_difference(Capture(size, **options)) < mean


def mean_difference(capture, count=48):
    images = [picture(101, 160), picture(200, 130), picture(96, 96)]
    samples = [Sample(images[number % 3], 0, views()[number % 24][1]) for number in range(count)]
    drawn = [capture.draw(sample, np.random.default_rng(number)) for number, sample in enumerate(samples)]
    theirs = np.stack([capture.render(*item) for item in zip(samples, drawn, strict=True)])
    ours = on_device(capture, samples, drawn)
    assert ours.shape == theirs.shape
    assert ours.dtype == np.uint8
    return apart(ours, theirs)


def test_views_at_their_own_size_are_exact():
    image = picture(40, 40)
    for name, view in views():
        expected = np.rot90(image, int(name.split("-")[0][1:]) // 90)
        expected = np.flipud(expected) if "flip" in name else expected
        expected = expected[:20] if "upper" in name else expected[20:] if "lower" in name else expected
        seen = on_device(Capture(expected.shape[:2], strength=0), [Sample(image, 0, view)], [IDENTITY])[0]
        np.testing.assert_array_equal(seen, expected)


def test_the_document_lies_where_its_corners_say():
    """Compare with the perspective of Pillow, whose coefficients map the frame to the image."""
    corners = (0.1, 0.05, 0.9, 0.15, 0.95, 0.9, 0.05, 0.8)
    white = (255.0, 255.0, 255.0)
    parameters = IDENTITY._replace(corners=corners, surface=Surface(white, white, 1, 0.5, 0.5))
    image = picture()
    frame = np.array(corners).reshape(4, 2) * (64, 48)
    source = np.array([(0, 0), (64, 0), (64, 48), (0, 48)], float)
    rows = [
        row
        for (x, y), (u, v) in zip(frame, source, strict=True)
        for row in ([x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y])
    ]
    coefficients = np.linalg.solve(rows, source.ravel())
    page = Image.fromarray(image).transform(
        (64, 48), Image.Transform.PERSPECTIVE, tuple(coefficients), Image.Resampling.BILINEAR, fillcolor="white"
    )
    for seen in rendered(parameters):
        assert apart(seen, np.asarray(page)) < 2  # Pillow does not mix the edge with what is around


def test_colour_is_the_affine_map():
    colour = np.array([[0.8, 0.3, -0.1, 20], [0.1, 1.2, 0.2, -30], [-0.2, 0.1, 1.5, 5]])
    reference = (picture() @ colour[:, :3].T + colour[:, 3]).clip(0, 255)
    for seen in rendered(IDENTITY._replace(colour=colour)):
        assert np.abs(seen - reference).max() <= 1


def test_light_falls_off_and_shadow_darkens_one_side():
    grey = np.full((*SIZE, 3), 100, np.uint8)
    light, shadow = Light(0.4, 0.0, (1.0, 1.1, 0.9)), Shadow(0.0, 1.0, 0.0, 0.02, 0.5)
    x = (np.arange(64) + 0.5) / 64 - 0.5
    for seen in rendered(IDENTITY._replace(light=light), grey):
        np.testing.assert_allclose(seen[24, 4:-4, 0], 100 * (1 + 0.4 * x[4:-4]), atol=1.5)
        np.testing.assert_allclose(seen.mean(axis=(0, 1)), [100, 110, 90], atol=1)
    for seen in rendered(IDENTITY._replace(light=light, shadow=shadow), grey):
        np.testing.assert_allclose(seen[42, 4:-4, 0], 50 * (1 + 0.4 * x[4:-4]), atol=1.5)
        np.testing.assert_allclose(seen[5, 4:-4, 0], 100 * (1 + 0.4 * x[4:-4]), atol=1.5)


def test_glare_is_a_gaussian_spot():
    black = np.zeros((*SIZE, 3), np.uint8)
    for seen in rendered(IDENTITY._replace(glare=Glare(0.3, 0.6, 0.2, 0.25, 180.0)), black):
        y, x = np.mgrid[0:48, 0:64]
        across = (((x + 0.5) / 64 - 0.3) / 0.2) ** 2 + (((y + 0.5) / 48 - 0.6) / 0.25) ** 2
        assert apart(seen[:, :, 1], 180 * np.exp(-across)) < 2


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.3])
def test_soft_focus_is_a_gaussian(sigma):
    reference = ndimage.gaussian_filter(picture().astype(float), (sigma, sigma, 0), mode="nearest", truncate=4)
    for seen in rendered(IDENTITY._replace(blur=Blur(GAUSSIAN, sigma, 0.0))):
        assert apart(seen, reference) < 0.6


@pytest.mark.parametrize(
    ("blur", "across", "down"),
    [
        # The variance of a line from -4 to 4 is 16 / 3, horizontal, vertical or diagonal; that of a disc is 16 / 4.
        (Blur(MOTION, 4.0, 0.0), 5.3, 0.0),
        (Blur(MOTION, 4.0, np.pi / 2), 0.0, 5.3),
        (Blur(MOTION, 4.0, np.pi / 4), 2.7, 2.7),
        (Blur(DEFOCUS, 4.0, 0.0), 4.0, 4.0),
    ],
)
def test_motion_and_defocus_spread_a_point_as_far_as_they_should(blur, across, down):
    point = np.zeros((49, 49, 3), np.uint8)
    point[23:26, 23:26] = 255
    own = 2 / 3  # the variance of the point's own three pixels
    y, x = np.mgrid[0:49, 0:49] - 24
    for seen in rendered(IDENTITY._replace(blur=blur), point, (49, 49)):
        weights = seen[:, :, 0] / seen[:, :, 0].sum()
        assert (weights * x**2).sum() - own == pytest.approx(across, abs=0.3)
        assert (weights * y**2).sum() - own == pytest.approx(down, abs=0.3)
        assert seen[:, :, 0].sum() == pytest.approx(9 * 255, rel=0.05)


def test_noise_has_the_requested_deviation():
    grey = np.full((96, 96, 3), 128, np.uint8)
    loader, device = rendered(IDENTITY._replace(noise=Noise(9.0, 0.3, 0.7)), grey, (96, 96))
    assert loader.mean() == pytest.approx(128, abs=0.5)
    assert loader.std() == pytest.approx(9, rel=0.05)
    assert np.abs(loader - device).max() <= 1


@pytest.mark.parametrize("reduction", [1.1, 1.7, 2.3, 60.0])
def test_reduction_is_two_bilinear_resizes(reduction):
    image = torch.from_numpy(picture()).permute(2, 0, 1)[None].float()
    small = torch.nn.functional.interpolate(image, (round(48 / reduction), round(64 / reduction)), mode="bilinear")
    reference = torch.nn.functional.interpolate(small, SIZE, mode="bilinear")[0].permute(1, 2, 0).numpy()
    for seen in rendered(IDENTITY._replace(reduction=reduction)):
        assert np.abs(seen - reference).max() <= 2


@pytest.mark.parametrize("quality", [5, 25, 50, 75, 90, 100])
@pytest.mark.parametrize("size", [(48, 64), (33, 70), (7, 9)])
def test_jpeg_loses_as_much_as_pillow(quality, size):
    image = picture(*size)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    reference = np.asarray(Image.open(file)).astype(float)
    for seen in rendered(IDENTITY._replace(quality=quality), image, size):
        assert apart(seen, reference) < 0.8
    lost = apart(image, reference)
    by_device = rendered(IDENTITY._replace(quality=quality), image, size)[1]
    assert apart(by_device, image) == pytest.approx(lost, rel=0.1, abs=0.3)


def test_a_finger_covers_the_document_and_a_neighbour_lies_under_it():
    red, blue = (200.0, 0.0, 0.0), (0.0, 0.0, 200.0)
    white = np.full((*SIZE, 3), 255, np.uint8)
    surface = Surface((90.0, 90.0, 90.0), (90.0, 90.0, 90.0), 1, 0.0, 0.0)
    finger = Finger(0.5, 1.2, 0.5, 0.6, 0.1, red)
    neighbour = Neighbour(0.0, 0.5, 0.3, 0.3, 0.0, blue)
    parameters = IDENTITY._replace(corners=SMALLER, surface=surface, finger=finger, neighbour=neighbour)
    for seen in rendered(parameters, white):
        assert seen[40, 32].tolist() == [200, 0, 0]
        assert seen[24, 2].tolist() == [0, 0, 200]
        assert seen[24, 20].tolist() == [255, 255, 255]
        assert seen[2, 60].tolist() == [90, 90, 90]


def test_an_augmented_view_does_not_depend_on_its_batch():
    capture = Capture((48, 48))
    samples = [Sample(picture(), 0, view) for _ in range(3) for _, view in views()]
    drawn = [capture.draw(sample, np.random.default_rng(number)) for number, sample in enumerate(samples)]
    together = on_device(capture, samples, drawn).astype(int)
    assert len(together) == 72
    for number in range(0, 72, 5):
        alone = on_device(capture, samples[number : number + 1], drawn[number : number + 1])[0]
        # Sums of different lengths differ in the last bit, which the quantisation of JPEG rarely amplifies.
        assert apart(alone, together[number]) < 0.05


def test_half_precision_changes_nothing():
    """Lightning converts the floats of a module to half precision if the recipe asks for true half precision."""
    capture = Capture((48, 48))
    prepared = [capture.prepare(Sample(picture(), 0), np.random.default_rng(number)) for number in range(12)]
    batch = [torch.from_numpy(np.stack(arrays)) for arrays in zip(*prepared, strict=True)]
    assert not any(array.is_floating_point() for array in batch)
    whole = capture.executor()(*batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(capture.executor().half()(*batch), whole)


def test_the_executor_is_not_saved():
    executor = Capture((32, 32)).executor()
    assert not executor.state_dict()
    assert not list(executor.parameters())


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)) | st.sampled_from([(1, 1), (1500, 3), (3, 1500), (700, 900)]),
    st.tuples(st.integers(2, 70), st.integers(2, 70)),
    st.sampled_from(views()),
    st.floats(0, 2),
    st.integers(0, 2**32),
)
def test_any_size_in_the_same_shapes_out(shape, size, view, strength, seed):
    capture = Capture(size, strength=strength)
    image = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    small, large = (
        capture.prepare(Sample(some, 0, view[1]), np.random.default_rng(seed)) for some in (picture(9, 9), image)
    )
    assert [(array.shape, array.dtype) for array in small] == [(array.shape, array.dtype) for array in large]
    seen = capture.executor()(*(torch.from_numpy(array)[None] for array in large))
    assert seen.shape == (1, *size, 3)
    assert seen.dtype == torch.uint8
