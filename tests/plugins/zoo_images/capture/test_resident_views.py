"""Views of samples that stay on the device against those that the loader sends there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_core.api import ResidentAugmentation, Sample
from zoo_images.capture.augmentation import Capture
from zoo_images.capture.batch_plan import halvings
from zoo_images.capture.device_resizing import reduced
from zoo_images.datasets.views import views

EFFECTS = ("colour", "light", "blur", "noise", "reduction", "jpeg", "occlusion")
SHAPES = [(101, 160), (200, 130), (96, 96), (30, 500), (700, 193), (500, 375), (1000, 1400)]


def picture(height, width, seed=0):
    """Large shapes, stripes of two pixels and grain: it aliases where it is not reduced."""
    generator = np.random.default_rng(seed)
    image = cv2.resize(generator.integers(0, 256, (5, 7, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    image[height // 8 : height // 2, width // 8 : width // 2 : 4] = 0
    return (image + generator.normal(0, 8, image.shape)).clip(0, 255).astype(np.uint8)


def stack(arrays):
    return torch.from_numpy(np.stack(arrays))


def both(capture, samples):
    """The pictures of what the loader sends, and of what stays on the device."""
    sent = [capture.prepare(sample, np.random.default_rng(number)) for number, sample in enumerate(samples)]
    kept = [capture.resident_image(sample) for sample in samples]
    drawn = [capture.prepare_resident(numbers, np.random.default_rng(n)) for n, (_, numbers) in enumerate(kept)]
    side = max(max(image.shape[:2]) for image, _ in kept)
    canvases = np.zeros((len(samples), side, side, 3), np.uint8)
    for canvas, (image, _), (_, size) in zip(canvases, kept, drawn, strict=True):
        canvas[: size[0], : size[1]] = image
    for (_, packed), (resident, _) in zip(sent, drawn, strict=True):
        np.testing.assert_array_equal(packed, resident)
    executor = capture.executor()
    from_loader = executor(*(stack(arrays) for arrays in zip(*sent, strict=True)))
    resident = executor(torch.from_numpy(canvases), *(stack(arrays) for arrays in zip(*drawn, strict=True)))
    return from_loader.numpy().astype(float), resident.numpy().astype(float)


def test_fits_the_protocol():
    assert isinstance(Capture((96, 96)), ResidentAugmentation)


# Measured, the worst picture: 0.39 without effects, 0.99 at strength 2; with JPEG, which amplifies a last bit, 2.7.
@pytest.mark.parametrize(
    ("options", "worst"),
    [({"strength": 0}, 0.5), (dict.fromkeys(EFFECTS, 0.0), 0.5), ({}, 3.0), ({"strength": 2}, 4.0)],
    ids=["plain", "geometry", "all", "strong"],
)
@pytest.mark.parametrize("size", [(96, 96), (48, 48), (33, 70)])
def test_both_show_the_same_view(options, worst, size):
    images = [picture(*shape, seed) for seed, shape in enumerate(SHAPES)]
    samples = [Sample(images[number % len(images)], 0, views()[number % 24][1]) for number in range(48)]
    loader, resident = both(Capture(size, **options), samples)

    apart = np.abs(loader - resident).mean(axis=(1, 2, 3))
    assert apart.max() < worst
    assert apart.mean() < 0.5
    # Those pictures were of something.
    assert loader.std() > 20


def test_what_no_view_reduces_differs_by_rounding_alone():
    samples = [Sample(picture(90, 96, seed), 0, views()[seed][1]) for seed in range(24)]
    loader, resident = both(Capture((96, 96), **dict.fromkeys(EFFECTS, 0.0)), samples)
    # A canvas of another size moves the coordinates by a last bit, which rounding seldom shows.
    assert np.abs(loader - resident).max() <= 1
    assert (loader != resident).mean() < 1e-3


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)) | st.sampled_from([(1, 1), (1500, 3), (3, 1500), (700, 900)]),
    st.tuples(st.integers(2, 60), st.integers(2, 60)),
    st.sampled_from(views()),
    st.integers(0, 2**32),
)
def test_no_image_is_enlarged_or_larger_than_two_canvases(shape, size, view, seed):
    capture, sample = Capture(size), Sample(np.full((*shape, 3), 200, np.uint8), 0, view[1])
    image, numbers = capture.resident_image(sample)
    _, kept = capture.prepare_resident(numbers, np.random.default_rng(seed))
    packed = capture.prepare(sample, np.random.default_rng(seed))[1].view(np.float32)

    assert tuple(kept) == image.shape[:2]
    assert all(new <= old for new, old in zip(image.shape, shape, strict=False))
    assert max(image.shape[:2]) < 2 * 2 * max(size)
    # The parameters' source is never finer than what is kept: there is nothing to enlarge.
    assert packed[9] <= kept[0]
    assert packed[10] <= kept[1]


@pytest.mark.parametrize("to", [(64, 32), (32, 64), (32, 32), (16, 8), (1, 1)])
def test_halves_are_those_of_opencv(to):
    image = picture(64, 64)
    expected = image
    while expected.shape[:2] != to:
        step = [max(new, -(-old // 2)) for new, old in zip(to, expected.shape, strict=False)]
        expected = cv2.resize(expected, step[::-1], interpolation=cv2.INTER_LINEAR)
    canvases = torch.zeros(3, 80, 80, 3, dtype=torch.uint8)
    canvases[1, :64, :64] = torch.from_numpy(image)
    before = canvases.clone()
    sizes, wanted = torch.tensor([[9, 9], [64, 64], [9, 9]]), torch.tensor([[9, 9], [*to], [9, 9]])
    steps = halvings(sizes.numpy(), wanted.numpy())
    seen = reduced(canvases, sizes, wanted, [torch.from_numpy(affected) for affected in steps])

    np.testing.assert_array_equal(seen[1, : to[0], : to[1]], expected)
    assert torch.equal(canvases, before)
