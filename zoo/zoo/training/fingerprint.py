"""What a training's data were, in a few numbers: so that a resumed training notices that they have changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.training.data.streaming import StreamReader
from zoo_core.errors import UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.training.data.training_data import TrainingData
    from zoo_core.contracts import Dataset

# Samples of each data set whose pixels are compared, spread over it.
COMPARED = 64
# With more classes than these their names are not compared: a class table finds its rows by itself.
NAMED = 1_000_000


def fingerprint(data: TrainingData) -> dict[str, dict[str, Any]]:
    """Return the fingerprint of each data set, by its place in the recipe's section ``data``; reads samples."""
    sources = data.items.dataset.datasets
    places = ["train", *(f"train_also.{index}" for index in range(len(sources) - 1))]
    return {place: _of(source) for place, source in zip(places, sources, strict=True)} | {
        "valid": _of(data.validation.dataset)
    }


def class_names(data: TrainingData) -> dict[str, list[str]]:
    """Return the names of the classes of training and validation, where they are not too many to keep."""
    sets = {"train": data.classes, "valid": data.validation.dataset.classes}
    # File names may hold bytes that are not UTF-8.
    return {
        place: [name.encode("utf-8", "backslashreplace").decode() for name in classes]
        for place, classes in sets.items()
        if len(classes) <= NAMED
    }


def _of(dataset: Dataset | StreamReader) -> dict[str, Any]:
    classes = dataset.classes
    found: dict[str, Any] = {"classes": len(classes)}
    if len(classes) <= NAMED:
        found["classes_sha256"] = names_digest(classes)
    if isinstance(dataset, StreamReader):
        return found
    return {"samples": len(dataset), **found, "pixels_sha256": _pixels_digest(dataset)}


def names_digest(names: Sequence[str]) -> str:
    """Return a digest of class names in their order."""
    return hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()


def _pixels_digest(dataset: Dataset) -> str:
    digest = hashlib.sha256()
    for index in np.unique(np.linspace(0, len(dataset) - 1, COMPARED).astype(int)).tolist():
        try:
            sample = dataset[index]
        except UnreadableSample:
            digest.update(b"unreadable")
            continue
        digest.update(repr((sample.image.shape, sample.label)).encode())
        digest.update(sample.image.tobytes())
    return digest.hexdigest()
