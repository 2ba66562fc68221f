"""What the loader's processes plan of a batch, and how many images are rendered at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo_core.api import PlannedAugmentation, Sample
from zoo_images.capture.augmentation import Capture
from zoo_images.capture.batch_plan import unpack_plan
from zoo_images.capture.parameters import GAUSSIAN, IDENTITY, MOTION, Blur, Finger, Glare, Noise

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def test_fits_the_protocol():
    assert isinstance(Capture((96, 96)), PlannedAugmentation)


@pytest.mark.parametrize(
    ("size", "at_once"),
    # 1,024 views of 96 pixels go at once; those of 224 pixels are bounded.
    [((96, 96), 1213), ((224, 224), 222), ((32, 224), 222), ((5000, 10), 1)],
)
def test_a_part_is_as_large_as_half_a_gibibyte_of_floats_allows(size, at_once):
    capture = Capture(size)
    assert capture.images_at_once(GPU) == at_once
    assert capture.images_at_once(CPU) == 32


def test_a_plan_lists_what_each_effect_changes():
    capture = Capture((48, 48))
    image = np.zeros((200, 100, 3), np.uint8)
    parameters = [
        IDENTITY,
        IDENTITY._replace(blur=Blur(GAUSSIAN, 1.5, 0.0), quality=50),
        IDENTITY._replace(glare=Glare(0.5, 0.5, 0.1, 0.1, 9.0), noise=Noise(3.0, 0.0, 0.0)),
        IDENTITY._replace(blur=Blur(MOTION, 4.0, 1.0), finger=Finger(0.5, 1.2, 0.5, 0.6, 0.1, (9.0, 9.0, 9.0))),
    ]
    sources, packed = map(np.stack, zip(*(capture.lay_out(Sample(image, 0), one) for one in parameters), strict=True))
    sizes = np.array([(200, 100), (96, 48), (100, 50), (96, 48)], np.int16)
    # The four are all reduced to 100 x 50, by halves.
    packed.view(np.float32)[:, 9:11] = [(50, 25), (96, 48), (50, 50), (90, 40)]

    numbers, counts = capture.plan(sources, packed, sizes)
    plan = unpack_plan(torch.from_numpy(numbers), counts)

    chosen = {name: indices.tolist() for name, indices in plan.affected.items() if len(indices)}
    assert chosen == {"finger": [3], "glare": [2], "blur": [1, 3], "noise": [2], "quality": [1]}
    # 2.5 * 1.5 is 3.75, and 4 + 0.5.
    assert plan.reach == 4
    assert [indices.tolist() for indices in plan.halved] == [[0, 2, 3], [0]]
    assert capture.plan(sources, packed)[1][0] == 4
    assert not unpack_plan(torch.from_numpy(capture.plan(None, packed)[0]), capture.plan(None, packed)[1]).halved


def test_a_planned_batch_is_rendered_as_one_without_a_plan():
    capture = Capture((48, 48))
    samples = [Sample(np.full((130, 70, 3), 9 * number, np.uint8), 0) for number in range(24)]
    kept = [capture.resident_image(sample) for sample in samples]
    drawn = [capture.prepare_resident(each, np.random.default_rng(n)) for n, (_, each) in enumerate(kept)]
    packed, sizes = map(np.stack, zip(*drawn, strict=True))
    sources = np.zeros((24, 130, 130, 3), np.uint8)
    for canvas, (image, _) in zip(sources, kept, strict=True):
        canvas[: image.shape[0], : image.shape[1]] = image
    numbers, counts = capture.plan(None, packed, sizes)
    executor, batch = capture.executor(), tuple(map(torch.from_numpy, (sources, packed, sizes)))

    assert torch.equal(executor(*batch, plan=(torch.from_numpy(numbers), counts)), executor(*batch))
