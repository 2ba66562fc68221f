"""What is tested of data sets and augmentations."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.contract_checks.samples import check_augmentation, check_dataset, check_plain_samples
from zoo_core.contracts import Sample, StreamingDataset
from zoo_testing.component import ComponentSuite

if TYPE_CHECKING:
    from zoo.contract_checks.subject import Subject
    from zoo_core.components import Kind
    from zoo_core.registry import Registry


class DatasetSuite(ComponentSuite):
    """Tests of a data set; ``options`` must point it to data, where it needs any.

    Attributes:
        samples: how many samples are read.
    """

    kind: Kind = "dataset"
    samples: int = 8

    def wiring(self) -> dict[str, Any]:
        """Return the seed."""
        return {"seed": 0, **self.wired}

    def test_samples_fit_the_contract_and_are_the_same_again(self, registry: Registry, subject: Subject) -> None:
        """Images are uint8 [H, W, 3], labels are classes, and an index gives the same sample each time."""
        dataset = self.make(registry)
        assert check_dataset(subject, dataset, self.samples, seed=0)
        if not isinstance(dataset, StreamingDataset):
            check_plain_samples(subject, dataset, (48, 64))

    def test_another_process_reads_the_same(self, registry: Registry, subject: Subject) -> None:
        """A copy that travelled to a loader's process gives the same samples."""
        dataset = self.make(registry)
        first = check_dataset(subject, dataset, 2, seed=0)
        again = check_dataset(subject, pickle.loads(pickle.dumps(dataset)), 2, seed=0)  # noqa: S301 - our own bytes
        assert [sample.label for sample in first] == [sample.label for sample in again]
        assert all(np.array_equal(one.image, other.image) for one, other in zip(first, again, strict=True))


class AugmentationSuite(ComponentSuite):
    """Tests of an augmentation."""

    kind: Kind = "augmentation"
    image_size: tuple[int, int] = (48, 64)

    def wiring(self) -> dict[str, Any]:
        """Return height and width of what it makes."""
        return {"image_size": self.image_size, **self.wired}

    def samples(self) -> list[Sample]:
        """Return samples of several sizes, one of them turned by its view."""
        noise = np.random.default_rng(0)
        shapes = [(40, 60, 3), (200, 120, 3), (17, 300, 3)]
        images = [noise.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
        turned = np.array([[-1.0, 0.0, 1.0], [0.0, -1.0, 1.0], [0.0, 0.0, 1.0]])
        return [*(Sample(image, 0) for image in images), Sample(images[0], 1, turned)]

    def test_images_fit_the_contract_and_follow_their_generator(self, registry: Registry, subject: Subject) -> None:
        """Images are uint8 [H, W, 3] of the wired size, the same from an equal generator."""
        assert check_augmentation(subject, self.make(registry), self.samples(), self.image_size, seed=0)

    def test_it_applies_the_view(self, registry: Registry) -> None:
        """A sample whose view turns it by 180 degrees is another image than the same sample as it is."""
        augmentation, (plain, *_, turned) = self.make(registry), self.samples()
        images = [augmentation(sample, np.random.default_rng(0)) for sample in (plain, turned)]
        assert not np.array_equal(*images), "it ignores sample.view"

    def test_another_process_makes_the_same(self, registry: Registry) -> None:
        """A copy that travelled to a loader's process makes the same images."""
        augmentation = self.make(registry)
        copied = pickle.loads(pickle.dumps(augmentation))  # noqa: S301 - our own bytes
        [sample, *_] = self.samples()
        images = [one(sample, np.random.default_rng(3)) for one in (augmentation, copied)]
        assert np.array_equal(*images)
