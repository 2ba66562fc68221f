"""All that a plugin author imports; everything else may change without notice."""

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
        BlockedDataset,
        Dataset,
        DeviceAugmentation,
        ExportWrapper,
        FeatureLevel,
        FollowsProgress,
        HasClassTable,
        HasMargin,
        HasParts,
        HasProvenance,
        HasScale,
        Head,
        Loss,
        OwnsClassTable,
        PlannedAugmentation,
        Preprocessing,
        ResidentAugmentation,
        Sample,
        SliceableStream,
        StreamingDataset,
        Teacher,
        TrainedModel,
        UInt8Image,
    )
    from zoo_core.lazy_names import LazyNames
    from zoo_core.near_duplicates import REDUCED_SIDE, near_duplicates
    from zoo_core.seeding import seeded_generator

__all__ = [
    "REDUCED_SIDE",
    "AffineMap",
    "Augmentation",
    "Backbone",
    "BlockedDataset",
    "ComponentError",
    "ComponentFamily",
    "ComponentSpec",
    "Dataset",
    "DeviceAugmentation",
    "ExportWrapper",
    "FeatureLevel",
    "FollowsProgress",
    "HasClassTable",
    "HasMargin",
    "HasParts",
    "HasProvenance",
    "HasScale",
    "Head",
    "LazyNames",
    "Loss",
    "OwnsClassTable",
    "PlannedAugmentation",
    "Preprocessing",
    "RecipeError",
    "RemoteError",
    "ResidentAugmentation",
    "RunError",
    "Sample",
    "SliceableStream",
    "StreamingDataset",
    "Teacher",
    "TrainedModel",
    "UInt8Image",
    "UnreadableSample",
    "UsageError",
    "ZooError",
    "hookimpl",
    "near_duplicates",
    "seeded_generator",
]

# What needs numpy is imported when it is asked for: a manifest does not ask, and listing plugins stays instant.
_HOMES = {
    "LazyNames": "zoo_core.lazy_names",
    "REDUCED_SIDE": "zoo_core.near_duplicates",
    "near_duplicates": "zoo_core.near_duplicates",
    "seeded_generator": "zoo_core.seeding",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module  # noqa: PLC0415 - see above

    return getattr(import_module(_HOMES.get(name, "zoo_core.contracts")), name)


def __dir__() -> list[str]:
    # With it, help(zoo_core.api) shows every protocol.
    return __all__
