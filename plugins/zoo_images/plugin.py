"""Manifest of the image datasets and the capture augmentation."""

from __future__ import annotations

from zoo_core.api import ComponentSpec, hookimpl

ZOO_API = 1


@hookimpl
def zoo_components() -> list[ComponentSpec]:
    """Return the image components."""
    return [
        ComponentSpec(
            kind="dataset",
            name="folder",
            factory="zoo_images.datasets.folders:FolderDataset",
            summary="one class per folder: root/<class>/<image>",
        ),
        ComponentSpec(
            kind="dataset",
            name="instances",
            factory="zoo_images.datasets.instances:InstancesDataset",
            summary="each image its own class, optionally in 24 views",
        ),
        ComponentSpec(
            kind="dataset",
            name="list",
            factory="zoo_images.datasets.lists:ListDataset",
            summary="a CSV or Parquet list of images and their classes",
        ),
        ComponentSpec(
            kind="dataset",
            name="webdataset",
            factory="zoo_images.datasets.webdatasets:WebDataset",
            summary="tar shards, streamed through webdataset",
        ),
        ComponentSpec(
            kind="dataset",
            name="hub",
            factory="zoo_images.datasets.hub:HubDataset",
            summary="a dataset of the Hugging Face Hub, streamed through datasets",
        ),
        ComponentSpec(
            kind="augmentation",
            name="capture",
            factory="zoo_images.capture.augmentation:Capture",
            summary="simulates a phone photo of a flat document: warp, light, colour, blur, noise, JPEG",
        ),
    ]
