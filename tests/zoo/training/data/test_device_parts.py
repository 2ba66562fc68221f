"""Batches that the device augments in parts: what a step asks of the device, and what travels to it."""

from __future__ import annotations

import collections
import copy

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.training.data.batch import Collate
from zoo.training.data.device_parts import BatchPlanner, augment
from zoo.training.data.residency import Residency
from zoo.training.data.resident import ResidentExecutor, ResidentImages
from zoo_core.api import PlannedAugmentation, Sample
from zoo_images.capture.augmentation import Capture
from zoo_images.capture.batch_plan import unpack_plan
from zoo_images.datasets.views import views

from .resident_samples import CPU, Numbers, Plain, Planned, Told, items_of

BATCH, GPU = 1024, torch.device("cuda", 0)
SHAPES = ((101, 160), (160, 120), (96, 96), (800, 640))
# What makes the CPU wait for a device, and ("lift_fresh") a tensor of Python's numbers that would be sent to it.
WAITS = ("nonzero", "_local_scalar_dense", "_unique", "masked_select", "is_nonzero", "equal", "lift_fresh")


class Counting(TorchDispatchMode):
    """Counts operations, those that would wait, and those between devices."""

    def __init__(self):
        super().__init__()
        self.operations, self.waits = 0, collections.Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        self.operations += 1
        by_mask = name in {"index", "index_put", "index_put_"} and any(
            index is not None and index.dtype in {torch.bool, torch.uint8} for index in args[1]
        )
        devices = {one.device for one in [*args, result] if isinstance(one, torch.Tensor)}
        if name.startswith(WAITS) or by_mask or (name in {"_to_copy", "copy_"} and len(devices) > 1):
            self.waits[name] += 1
        return result


def stacked(rows):
    return tuple(np.stack(arrays) for arrays in zip(*rows, strict=True))


def samples(count):
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in SHAPES]
    return [Sample(images[number % 4], 0, views()[number % 24][1]) for number in range(count)]


def sent(capture, count):
    """What the loader's processes prepare of a batch whose pixels they send."""
    return stacked(capture.prepare(one, np.random.default_rng(n)) for n, one in enumerate(samples(count)))


def kept(capture, count):
    """The same where the pixels stay on the device: the arrays, the images' sides, and the executor that holds them."""
    images, numbers = zip(*map(capture.resident_image, samples(count)), strict=True)
    sizes = np.array([image.shape[:2] for image in images])
    ends = sizes.prod(axis=1).cumsum()
    pixels = torch.from_numpy(np.concatenate([image.reshape(-1, 3) for image in images]))
    held = ResidentImages(pixels, torch.from_numpy(ends - sizes.prod(axis=1)), torch.from_numpy(sizes))
    executor = ResidentExecutor(capture.executor())
    executor.hold(held)
    drawn = stacked(capture.prepare_resident(each, np.random.default_rng(n)) for n, each in enumerate(numbers))
    return (np.arange(count), *drawn), sizes.max(axis=1).astype(np.int32), executor


@pytest.mark.slow
def test_a_step_of_an_accelerator_takes_few_operations_and_reads_nothing():
    """In parts of 32, 1,024 images took 26,130 operations, 345 ``nonzero`` and 32 reads of a number."""
    capture = Capture((96, 96))
    arrays, sides, executor = kept(capture, BATCH)
    resident = BatchPlanner(capture, GPU, sides)(arrays)
    device = BatchPlanner(capture, GPU)(sent(capture, BATCH))
    assert len(resident.parts) == len(device.parts) == 1

    with Counting() as counted:
        from_resident = augment(executor, resident)
    assert counted.operations <= 900
    assert not counted.waits

    with Counting() as counted:
        from_sent = augment(executor.executor, device)
    assert counted.operations <= 900
    assert not counted.waits
    # And they were of something.
    assert from_resident.shape == from_sent.shape == (BATCH, 96, 96, 3)
    assert from_sent.float().std() > 20


@pytest.fixture
def fake():
    """Tensors without values, of any device: reading one raises, and so does using two devices' at once."""
    # Without a driver the kernels of cuDNN cannot even be asked for shapes.
    with FakeTensorMode() as mode, torch.backends.cudnn.flags(enabled=False):
        yield mode


def test_nothing_is_read_from_a_gpu_nor_sent_to_it_within_a_step(fake):
    with unset_fake_temporarily():
        capture = Capture((48, 64))
        arrays, sides, executor = kept(capture, 64)
        planned = BatchPlanner(capture, GPU, sides)(arrays)
        assert any(len(indices) for indices in unpack_plan(planned.numbers, planned.parts[0].counts).halved)
        pixels = executor.images._pixels, executor.images._starts, executor.images._sizes
        sides = executor.images.side
        for_sent, sent_batch = capture.executor(), BatchPlanner(capture, GPU)(sent(capture, 64))
    held = object.__new__(ResidentImages)
    held._pixels, held._starts, held._sizes = (fake.from_tensor(each).to(GPU) for each in pixels)
    held.side = sides
    executor.hold(held)
    for batch, renders in ((planned, executor), (sent_batch, for_sent)):
        for module in renders.modules():
            module._buffers.update({name: fake.from_tensor(each).to(GPU) for name, each in module._buffers.items()})
        known = tuple(map(fake.from_tensor, batch.arrays)), fake.from_tensor(batch.numbers)
        moved = move_data_to_device(batch._replace(arrays=known[0], numbers=known[1]), GPU)
        assert moved.parts == batch.parts
        with Counting() as counted:
            images = augment(renders, moved)
        assert images.device == GPU
        assert images.shape == (64, 48, 64, 3)
        assert not counted.waits
    # What must not happen would have been noticed.
    with pytest.raises(DataDependentOutputException):
        images[0, 0, 0, 0].item()
    with pytest.raises(DynamicOutputShapeException):
        images.nonzero()
    with Counting() as counted:
        images.new_tensor((1, 2))
    assert counted.waits


def test_each_part_has_its_plan_and_is_no_larger_than_its_largest_image():
    augmentation, items = Planned(), items_of(Numbers(broken=0))
    assert isinstance(augmentation, PlannedAugmentation)
    assert not isinstance(Plain(), PlannedAugmentation)
    residency = Residency(augmentation, ResidentExecutor(Told()), required=True)
    resident = residency.load(items, device=CPU, sharers=1, workers=0, agree=bool, show=False)
    order = [6, 13, 20, 27, 1, 0, 5, 10, 2, 59]
    batch = Collate(planner=BatchPlanner(augmentation, CPU, resident.descriptions.sides))(
        [resident[0, index] for index in order]
    )
    # As it goes through the loader's pipe, which pins it, and to a device.
    moved = move_data_to_device(copy.deepcopy(batch["images"]), CPU)

    assert augment(residency.executor, moved)[:, 0].tolist() == order
    # 6, 13, 20 and 27 are 7 pixels wide; of 1, 0, 5 and 10 the largest is 6 wide; 2 and 59 are 5 high at most.
    assert [shape[:2] for shape in residency.executor.executor.told] == [(4, 7), (4, 6), (2, 5)]

    sent_batch = Collate(planner=BatchPlanner(augmentation, CPU))([items[0, index] for index in order])
    executor = Told()
    assert augment(executor, sent_batch["images"])[:, 0].tolist() == order
    assert executor.told == [(4, 7, 7, 3), (4, 7, 7, 3), (2, 7, 7, 3)]


def test_what_plans_nothing_gets_its_batch_whole():
    items = items_of(Numbers(broken=0))
    batch = Collate()([items[0, index] for index in range(40)])["images"]
    sources, drawn = augment(Plain().executor(), batch)
    assert len(sources) == len(drawn) == 40
