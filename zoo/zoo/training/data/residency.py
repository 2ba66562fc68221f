"""Whether the samples stay on the device: as the recipe says, or as memory allows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from rich.console import Console

from zoo.training.data.resident import ResidentExecutor, ResidentItems
from zoo.training.data.resident_reading import estimate_bytes, read_resident
from zoo.training.data.streaming import StreamReader
from zoo_core.capabilities import ResidentAugmentation
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.training.data.items import TrainingItems
    from zoo.training.data.mixed_dataset import MixedDataset
    from zoo_core.capabilities import DeviceAugmentation

# Where nobody asked for it, so many samples are not read ahead: it would take hours.
_MOST_SAMPLES = 10_000_000
# What samples may take of the memory that is free before the model is there: where a recipe asks for it, and else.
_ASKED, _UNASKED = 0.8, 0.5


@dataclass(frozen=True, eq=False)
class Residency:
    """What decides whether samples stay on the device.

    Attributes:
        augmentation: what prepares them for the device.
        executor: what augments them there.
        required: whether the recipe asks for it, so that samples may take more of the memory that is free.
    """

    augmentation: DeviceAugmentation
    executor: ResidentExecutor
    required: bool

    def load(
        self,
        items: TrainingItems,
        *,
        device: torch.device,
        sharers: int,
        workers: int,
        agree: Callable[[bool], bool],
        show: bool,
    ) -> ResidentItems | None:
        """Read all samples onto ``device`` and return items without pixels; ``None``: they stay with the loader.

        Args:
            items: the samples, and where what cannot be read of them is recorded.
            device: that of this rank.
            sharers: how many ranks of this machine have the CPU's memory in common.
            workers: loader processes of this rank.
            agree: whether what is so on this rank is so on all; called by all of them.
            show: whether this rank speaks.

        Raises:
            RunError: it is required and does not fit, or too much cannot be read.
        """
        reason = None if self.required else self._reason_against(items.dataset, device)
        if reason is None:
            # On the CPU ranks share the memory.
            available = free_memory(device)
            free = None if available is None else available // (sharers if device.type == "cpu" else 1)
            expected = estimate_bytes(items, cast("ResidentAugmentation", self.augmentation), workers=workers)
            # What remains is the model's.
            most = None if free is None else int(free * _ASKED)
            fitting = most if self.required or free is None else int(free * _UNASKED)
            if not agree(fitting is None or expected <= fitting):
                reason = _does_not_fit(expected, len(items), free, fitting, device)
        if reason is not None:
            if self.required:
                hint = "set data.resident=false, lower the data sets' max_side, or train on fewer samples"
                raise RunError(f"data.resident: {reason}", hint=hint)
            if show:
                _say(f"data.resident: auto: samples come from the loader: {reason}")
            return None
        return self._read(items, expected=expected, limit=most, device=device, workers=workers, show=show)

    def _read(
        self, items: TrainingItems, *, expected: int, limit: int | None, device: torch.device, workers: int, show: bool
    ) -> ResidentItems:
        augmentation = cast("ResidentAugmentation", self.augmentation)
        descriptions, images = read_resident(
            items, augmentation, expected=expected, limit=limit, device=device, workers=workers, show=show
        )
        self.executor.hold(images)
        if show:
            each = images.bytes / max(1, len(images) - len(descriptions.unreadable))
            _say(
                f"data.resident: {len(images):,} samples stay on {device}: "
                f"{images.bytes / 1e9:.3g} GB, {each / 1e3:.3g} kB each"
            )
        return ResidentItems(items, descriptions, augmentation)

    def _reason_against(self, dataset: MixedDataset, device: torch.device) -> str | None:
        if obstacle := obstacle_to_residency(self.augmentation, dataset):
            return obstacle
        if device.type == "cpu":
            return "the training runs on the CPU"
        if len(dataset) > _MOST_SAMPLES:
            return f"{len(dataset):,} samples are too many to be read ahead; data.resident=true does it"
        return None if free_memory(device) is not None else f"nobody knows how much memory {device} has"


def obstacle_to_residency(augmentation: DeviceAugmentation, dataset: MixedDataset) -> str | None:
    """Return what in a recipe forbids that samples stay on the device."""
    if not isinstance(augmentation, ResidentAugmentation):
        return "the augmentation has to see the pixels of every sample"
    if any(isinstance(one, StreamReader) for one in dataset.datasets):
        return "a stream's samples come once"
    return None


def free_memory(device: torch.device) -> int | None:
    """Return the bytes that are free on ``device``, ``None`` where nobody knows."""
    if device.type == "cpu":
        return _free_memory_of_the_machine()
    module = torch.get_device_module(device)
    return int(module.mem_get_info(device)[0]) if hasattr(module, "mem_get_info") else None


def _free_memory_of_the_machine() -> int | None:
    information = Path("/proc/meminfo")
    if information.is_file():
        for line in information.read_text(encoding="ascii").splitlines():
            name, value, *_ = line.split()
            if name == "MemAvailable:":
                return int(value) * 1024
    if "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _does_not_fit(expected: int, samples: int, free: int | None, limit: int | None, device: torch.device) -> str:
    if free is None or limit is None or expected <= limit:
        return "another rank has too little memory"
    much = f"the pixels of {samples:,} samples take about {expected / 1e9:.3g} GB"
    return f"{much}, and {device} has {free / 1e9:.3g} GB free, of which they may take {limit / 1e9:.3g} GB"


def _say(text: str) -> None:
    Console(stderr=True).print(text, soft_wrap=True, markup=False, highlight=False)
