"""Pictures to labels, by their closest reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_core.errors import RunError, UsageError, ZooError
from zoo_core.image_files import find_images
from zoo_core.images import read_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from zoo.inference.gallery import Gallery
    from zoo.models.onnx_embedder import Embedder


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a picture shows: ``label`` is None when ``score``, the best cosine, is below ``threshold``."""

    path: Path
    label: str | None
    score: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A picture that could not be read, and why."""

    path: Path
    error: ZooError


def predict(
    paths: Iterable[Path], embedder: Embedder, gallery: Gallery, threshold: float
) -> Iterator[Prediction | Unreadable]:
    """Name each picture by its closest reference, in order; one that cannot be read does not stop the others.

    Pictures are embedded one by one, so that a score never depends on what else was asked, and memory holds one
    picture at a time.
    """
    for path in paths:
        try:
            image = read_image(path)
        except (RunError, UsageError) as error:
            yield Unreadable(path, error)
            continue
        (label,), (score,) = gallery.match(embedder.embed([image]))
        yield Prediction(path, label if score >= threshold else None, float(score), threshold)


def find_queries(paths: Sequence[Path]) -> list[Path]:
    """Replace each folder among ``paths`` by the pictures below it.

    Raises:
        UsageError: a folder holds no picture.
    """
    found = []
    for path in paths:
        pictures = find_images(path).paths if path.is_dir() else [path]
        if not pictures:
            msg = f"{path}: holds no pictures"
            raise UsageError(msg)
        found.extend(pictures)
    return found
