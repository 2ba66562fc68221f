"""The data of a training, before its ranks are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.training.data.items import TrainingItems
    from zoo.training.data.residency import Residency
    from zoo.validation.dataset import ValidationItems
    from zoo_core.capabilities import DeviceAugmentation


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training and validation samples, and how they are shown.

    Attributes:
        items: the training samples, augmented.
        shares: of each training data set among the samples shown, 0..1.
        samples_per_epoch: how many samples an epoch shows.
        batch_size: images per batch of one device.
        seed: of the order of samples.
        validation: the validation set.
        unreadable_share: how much of a data set may be unreadable, 0..1.
        on_device: augments the samples, where the recipe wants that on the device.
        residency: decides whether the samples stay on the device; ``None``: they do not.
    """

    items: TrainingItems
    shares: tuple[float, ...]
    samples_per_epoch: int
    batch_size: int
    seed: int
    validation: ValidationItems
    unreadable_share: float
    on_device: DeviceAugmentation | None = None
    residency: Residency | None = None

    @property
    def classes(self) -> Sequence[str]:
        """The names of the training classes, by label."""
        return self.items.dataset.classes
