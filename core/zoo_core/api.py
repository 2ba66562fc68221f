"""All that a plugin author imports; everything else may change without notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_core.components import ComponentFamily, ComponentSpec, OptionProblem
from zoo_core.errors import ComponentError, RecipeError, RemoteError, RunError, UnreadableSample, UsageError, ZooError
from zoo_core.hooks import hookimpl

if TYPE_CHECKING:
    from zoo_core.capabilities import (
        BlockedDataset,
        DeviceAugmentation,
        FollowsProgress,
        HasClassTable,
        HasLibraryFiles,
        HasLookAlikes,
        HasMargin,
        HasParts,
        HasPlainSamples,
        HasProvenance,
        HasScale,
        HasSkipped,
        OwnsClassTable,
        PlannedAugmentation,
        ResidentAugmentation,
        SliceableStream,
    )
    from zoo_core.contracts import (
        AffineMap,
        Augmentation,
        Backbone,
        Dataset,
        ExportWrapper,
        FeatureLevel,
        Head,
        Loss,
        Metric,
        Preprocessing,
        Sample,
        StreamingDataset,
        Teacher,
        TrainedModel,
        UInt8Image,
    )
    from zoo_core.image_files import (
        IMAGE_FORMATS,
        IMAGE_SUFFIXES,
        FoundImages,
        Skipped,
        find_images,
        skipped_file,
        tally,
    )
    from zoo_core.images import DecodedImage, decode_image, read_image, resize
    from zoo_core.lazy_names import LazyNames
    from zoo_core.look_alikes import LOOK_ALIKES, read_look_alikes
    from zoo_core.near_duplicates import REDUCED_SIDE, near_duplicates
    from zoo_core.seeding import seeded_generator

__all__ = [
    "IMAGE_FORMATS",
    "IMAGE_SUFFIXES",
    "LOOK_ALIKES",
    "REDUCED_SIDE",
    "AffineMap",
    "Augmentation",
    "Backbone",
    "BlockedDataset",
    "ComponentError",
    "ComponentFamily",
    "ComponentSpec",
    "Dataset",
    "DecodedImage",
    "DeviceAugmentation",
    "ExportWrapper",
    "FeatureLevel",
    "FollowsProgress",
    "FoundImages",
    "HasClassTable",
    "HasLibraryFiles",
    "HasLookAlikes",
    "HasMargin",
    "HasParts",
    "HasPlainSamples",
    "HasProvenance",
    "HasScale",
    "HasSkipped",
    "Head",
    "LazyNames",
    "Loss",
    "Metric",
    "OptionProblem",
    "OwnsClassTable",
    "PlannedAugmentation",
    "Preprocessing",
    "RecipeError",
    "RemoteError",
    "ResidentAugmentation",
    "RunError",
    "Sample",
    "Skipped",
    "SliceableStream",
    "StreamingDataset",
    "Teacher",
    "TrainedModel",
    "UInt8Image",
    "UnreadableSample",
    "UsageError",
    "ZooError",
    "decode_image",
    "find_images",
    "hookimpl",
    "near_duplicates",
    "read_image",
    "read_look_alikes",
    "resize",
    "seeded_generator",
    "skipped_file",
    "tally",
]

# What needs numpy is imported when it is asked for: a manifest does not ask, and listing plugins stays instant.
_HOMES = {
    "BlockedDataset": "zoo_core.capabilities",
    "DeviceAugmentation": "zoo_core.capabilities",
    "FollowsProgress": "zoo_core.capabilities",
    "HasClassTable": "zoo_core.capabilities",
    "HasLibraryFiles": "zoo_core.capabilities",
    "HasLookAlikes": "zoo_core.capabilities",
    "HasMargin": "zoo_core.capabilities",
    "HasParts": "zoo_core.capabilities",
    "HasProvenance": "zoo_core.capabilities",
    "HasScale": "zoo_core.capabilities",
    "HasSkipped": "zoo_core.capabilities",
    "HasPlainSamples": "zoo_core.capabilities",
    "OwnsClassTable": "zoo_core.capabilities",
    "PlannedAugmentation": "zoo_core.capabilities",
    "ResidentAugmentation": "zoo_core.capabilities",
    "SliceableStream": "zoo_core.capabilities",
    "DecodedImage": "zoo_core.images",
    "FoundImages": "zoo_core.image_files",
    "IMAGE_FORMATS": "zoo_core.image_files",
    "IMAGE_SUFFIXES": "zoo_core.image_files",
    "LOOK_ALIKES": "zoo_core.look_alikes",
    "LazyNames": "zoo_core.lazy_names",
    "Skipped": "zoo_core.image_files",
    "decode_image": "zoo_core.images",
    "find_images": "zoo_core.image_files",
    "read_image": "zoo_core.images",
    "read_look_alikes": "zoo_core.look_alikes",
    "resize": "zoo_core.images",
    "skipped_file": "zoo_core.image_files",
    "tally": "zoo_core.image_files",
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
