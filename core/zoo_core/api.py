"""All that a plugin author imports; whatever is not here may change without notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_core.components import ComponentFamily, ComponentSpec
from zoo_core.errors import ComponentError, RecipeError, RemoteError, RunError, UnreadableSample, UsageError, ZooError
from zoo_core.hooks import hookimpl

if TYPE_CHECKING:
    from zoo_core.contracts import (
        AffineMap,
        Augmentation,
        Backbone,
        Dataset,
        DeviceAugmentation,
        ExportWrapper,
        FeatureLevel,
        FollowsProgress,
        Head,
        Loss,
        Preprocessing,
        Sample,
        StreamingDataset,
        Teacher,
        TrainedModel,
        UInt8Image,
    )

_CONTRACTS = frozenset(
    {
        "AffineMap",
        "Augmentation",
        "Backbone",
        "Dataset",
        "DeviceAugmentation",
        "ExportWrapper",
        "FeatureLevel",
        "FollowsProgress",
        "Head",
        "Loss",
        "Preprocessing",
        "Sample",
        "StreamingDataset",
        "Teacher",
        "TrainedModel",
        "UInt8Image",
    },
)

__all__ = [
    "AffineMap",
    "Augmentation",
    "Backbone",
    "ComponentError",
    "ComponentFamily",
    "ComponentSpec",
    "Dataset",
    "DeviceAugmentation",
    "ExportWrapper",
    "FeatureLevel",
    "FollowsProgress",
    "Head",
    "Loss",
    "Preprocessing",
    "RecipeError",
    "RemoteError",
    "RunError",
    "Sample",
    "StreamingDataset",
    "Teacher",
    "TrainedModel",
    "UInt8Image",
    "UnreadableSample",
    "UsageError",
    "ZooError",
    "hookimpl",
]


def __getattr__(name: str) -> object:
    # The contracts need numpy; a manifest does not, and listing plugins must stay instant.
    if name in _CONTRACTS:
        from zoo_core import contracts  # noqa: PLC0415 - see above

        return getattr(contracts, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
