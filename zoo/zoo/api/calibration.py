"""``zoo.calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.api.surroundings import warn

if TYPE_CHECKING:
    import os

    from zoo.calibration.result import Calibration
    from zoo.models.model import Model


def calibrate(
    model: Model | str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    gallery: str | os.PathLike[str] | None = None,
    fpir: float = 0.01,
    confidence: float = 0.95,
    workers: int | None = None,
) -> Calibration:
    """Find a threshold on your own pictures that keeps the rate of accepted strangers.

    Folders are read as `zoo predict --gallery` reads one: a picture is of the class named like its file, or like the
    folder in ``data`` that it lies in. Pictures of one class are one stranger, however many there are.

    Args:
        model: what `load` returned, or what it takes.
        data: with ``gallery``: pictures of strangers, and of classes of the gallery, to measure how many are found
            again. Without: the gallery itself, in which each class is a stranger to the others.
        gallery: the references that pictures will be compared with.
        fpir: the rate that is promised, 0..1: the probability that a picture of a stranger is taken for a class of the
            gallery.
        confidence: in which share of calibrations the promise is kept, 0..1.
        workers: threads that read and embed, at least 1; default: one for each core.

    Returns:
        The threshold, with the rates that it was measured at.

    Raises:
        UsageError: there is no such model or folder, there are no strangers, or one is in the gallery, too.
        RunError: there are too few strangers to promise anything, or no picture can be read.
        ComponentError, RemoteError: as `load` does.
    """
    from zoo.api.loading import load
    from zoo.calibration import run as stage
    from zoo.inference.gallery import find_references
    from zoo.models.model import Model, Speed

    promise = stage.Promise(fpir, confidence)
    pictures = find_references(Path(data))
    references = None if gallery is None else find_references(Path(gallery))
    opened = model if isinstance(model, Model) else load(model)
    lost: list[object] = []
    found = stage.calibrate(opened, pictures, references, promise, speed=Speed(workers=workers), unreadable=lost.append)
    warn(lost)
    return found
