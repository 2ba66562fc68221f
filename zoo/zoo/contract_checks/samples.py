"""What data sets and augmentations promise: samples of the contract's types and shapes, the same each time."""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo_core.capabilities import DeviceAugmentation, HasLookAlikes, HasPlainSamples
from zoo_core.contracts import Sample, StreamingDataset
from zoo_core.errors import UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zoo.contract_checks.subject import Subject
    from zoo_core.contracts import Augmentation, Dataset

# How many samples are looked at before a data set counts as unreadable, in steps through all of it.
_ATTEMPTS = 16
_CHANNELS = 3
_AGAIN = "the same index must give the same sample in every process: seed what is random by it"


def check_dataset(subject: Subject, dataset: Dataset | StreamingDataset, count: int, *, seed: int) -> list[Sample]:
    """Read ``count`` samples from all over a data set, each twice, and return them; fewer where some are unreadable.

    Raises:
        ComponentError: a sample breaks the contract, or is another one the second time.
        UnreadableSample: none that was tried can be read.
    """
    _check_classes(subject, dataset)
    if isinstance(dataset, StreamingDataset):
        first, again = (_streamed(subject, dataset, count, seed) for _ in range(2))
        if first.keys() != again.keys():
            raise subject.fault(f"one pass began with samples {[*first]}, the same pass again with {[*again]}", _AGAIN)
        for number, sample in first.items():
            _checked(subject, f"sample {number}", sample, dataset)
            _check_same(subject, f"sample {number}", sample, again[number])
        return list(first.values())
    samples: list[Sample] = []
    unreadable: UnreadableSample | None = None
    steps = np.linspace(0, len(dataset) - 1, min(len(dataset), _ATTEMPTS)).astype(int).tolist()
    # From all over: the first, the last, and what lies between them.
    for index in steps[:: max(1, len(steps) // count)] + steps:
        if len(samples) == count:
            break
        try:
            with subject.doing(f"reading sample {index}"):
                sample, again_sample = dataset[index], dataset[index]
        except UnreadableSample as error:
            unreadable = error
            continue
        samples.append(_checked(subject, f"sample {index}", sample, dataset))
        _check_same(subject, f"sample {index}", sample, again_sample)
    if unreadable and not samples:
        raise unreadable
    return samples


def check_plain_samples(subject: Subject, dataset: Dataset, size: tuple[int, int]) -> None:
    """Read the first readable plain sample at ``size`` (height, width), where the data set has them, and its groups.

    Raises:
        ComponentError: the sample breaks the contract, or there are more or fewer groups than classes.
    """
    if isinstance(dataset, HasLookAlikes) and len(dataset.look_alikes) != len(dataset.classes):
        groups, classes = len(dataset.look_alikes), len(dataset.classes)
        raise subject.fault(f"look_alikes has {groups} groups for {classes} classes", "give each class a number")
    if not isinstance(dataset, HasPlainSamples):
        return
    for index in range(min(len(dataset), _ATTEMPTS)):
        try:
            with subject.doing(f"reading plain sample {index}"):
                sample = dataset.plain_sample(index, size)
        except UnreadableSample:
            continue
        sample = _checked(subject, f"plain sample {index}", sample, dataset)
        _check_size(subject, f"plain sample {index}", sample.image, size)
        return


def check_augmentation(
    subject: Subject, augmentation: Augmentation, samples: Sequence[Sample], size: tuple[int, int], *, seed: int
) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Augment each sample twice with equal generators; return the images ``uint8 [H, W, 3]``, of ``size`` (H, W).

    Raises:
        ComponentError: an image breaks the contract, differs the second time, or the sample was written to.
    """
    images = []
    for number, sample in enumerate(samples):
        before = sample.image.copy()
        with subject.doing("augmenting a sample"):
            first, again = (augmentation(sample, np.random.default_rng((seed, number))) for _ in range(2))
        _check_image(subject, "the augmented image", first)
        _check_size(subject, "the augmented image", first, size)
        if not np.array_equal(before, sample.image):
            raise subject.fault("augmenting a sample changes its image", "write into a copy: other views share it")
        if not np.array_equal(first, again):
            hint = "take all randomness from the generator that is passed, and keep none between calls"
            raise subject.fault("the same sample and generator gave two different images", hint)
        images.append(first)
    if isinstance(augmentation, DeviceAugmentation):
        _check_prepared(subject, augmentation, samples, seed)
    return images


def _check_prepared(subject: Subject, augmentation: DeviceAugmentation, samples: Iterable[Sample], seed: int) -> None:
    shapes: list[list[tuple[str, tuple[int, ...]]]] = []
    for number, sample in enumerate(samples):
        with subject.doing("preparing a sample for the device"):
            arrays = augmentation.prepare(sample, np.random.default_rng((seed, number)))
        shapes.append([(str(array.dtype), array.shape) for array in arrays])
        floats = [str(array.dtype) for array in arrays if array.dtype.kind not in "iub"]
        if floats:
            raise subject.fault(f"prepare returned {floats[0]} numbers", "send whole numbers: the bytes of floats")
    for others in shapes[1:]:
        if others != shapes[0]:
            message = f"prepare returned {shapes[0]} for one sample and {others} for another"
            raise subject.fault(message, "return the same shapes and types for every sample, so that they stack")


def _check_classes(subject: Subject, dataset: Dataset | StreamingDataset) -> None:
    classes = dataset.classes
    if isinstance(classes, str) or not hasattr(classes, "__len__") or not hasattr(classes, "__getitem__"):
        raise subject.fault(f"classes is a {type(classes).__name__}", "give a sequence of names, one per label")
    if len(classes) == 0:
        raise subject.fault("classes is empty", "name each class")
    if not isinstance(classes[0], str):
        raise subject.fault(f"classes holds a {type(classes[0]).__name__}", "name each class by a str")


def _streamed(subject: Subject, dataset: StreamingDataset, count: int, seed: int) -> dict[int, Sample]:
    """Return the first readable samples of a pass by their index."""
    found: dict[int, Sample] = {}
    with subject.doing("reading the stream"), contextlib.ExitStack() as stack:
        stream = dataset.stream(rank=0, world_size=1, worker=0, workers=1, epoch=0, seed=seed)
        if hasattr(stream, "close"):
            stack.callback(stream.close)
        for number, sample in islice(stream, _ATTEMPTS):
            if not isinstance(sample, UnreadableSample):
                found[number] = sample
            if len(found) == count:
                break
    return found


def _checked(subject: Subject, what: str, sample: object, dataset: Dataset | StreamingDataset) -> Sample:
    """Return ``sample`` if it is one."""
    if not isinstance(sample, Sample):
        raise subject.fault(f"{what} is a {type(sample).__name__}", "return a zoo_core.api.Sample(image, label)")
    _check_image(subject, f"the image of {what}", sample.image)
    label = sample.label
    if isinstance(label, bool) or not isinstance(label, int | np.integer):
        raise subject.fault(f"the label of {what} is a {type(label).__name__}", "give an int, the index of its class")
    if not 0 <= label < len(dataset.classes):
        raise subject.fault(f"the label of {what} is {label}, but there are {len(dataset.classes)} classes")
    view = np.asarray(sample.view)
    if view.shape != (3, 3) or view.dtype.kind not in "fiu" or not np.isfinite(view).all():
        raise subject.fault(f"the view of {what} is no finite 3x3 map", "leave it out where the whole image is shown")
    return sample


def _check_same(subject: Subject, what: str, first: Sample, again: Sample) -> None:
    for name in ("image", "label", "view"):
        if not np.array_equal(getattr(first, name), getattr(again, name)):
            raise subject.fault(f"{what} has another {name} when it is read again", _AGAIN)


def _check_image(subject: Subject, what: str, image: object) -> None:
    if not isinstance(image, np.ndarray):
        raise subject.fault(f"{what} is a {type(image).__name__}", "return a numpy array, uint8 [H, W, 3]")
    if image.dtype != np.uint8 or image.ndim != _CHANNELS or image.shape[2] != _CHANNELS or 0 in image.shape:
        found = f"{image.dtype} {list(image.shape)}"
        raise subject.fault(f"{what} is {found}, not uint8 [H, W, 3]", "convert it to RGB, 0..255")


def _check_size(subject: Subject, what: str, image: np.ndarray[Any, Any], size: tuple[int, int]) -> None:
    if image.shape[:2] != size:
        found, wanted = (f"{height}x{width}" for height, width in (image.shape[:2], size))
        raise subject.fault(f"{what} is {found}, but the recipe's image_size is {wanted}", "take image_size as wired")
