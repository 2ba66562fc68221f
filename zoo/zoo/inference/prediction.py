"""Pictures to labels, by their closest reference."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from zoo.models.model import DEFAULT_SPEED, QUARTERS
from zoo_core.errors import UsageError, ZooError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from zoo.inference.gallery import Gallery, Neighbour
    from zoo.models.graph_runs import Embeddings
    from zoo.models.model import Model, Speed


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a picture shows.

    Attributes:
        path: the picture.
        label: the closest class, or None when ``score`` is below ``threshold``.
        score: the best cosine, -1..1.
        threshold: the score from which on it is a match.
        nearest: the closest classes, the closest first, also where the picture is unknown.
        turn: by how many degrees the picture was turned clockwise to match best.
    """

    path: Path
    label: str | None
    score: float
    threshold: float
    nearest: tuple[Neighbour, ...]
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A picture that could not be read, and why."""

    path: Path
    error: ZooError


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture with its embedding, ``float32 [D]``; ``[4, D]`` with orientations."""

    path: Path
    embedding: Embeddings


def predict(
    paths: Iterable[Path | None],
    model: Model,
    gallery: Gallery,
    threshold: float,
    *,
    top_k: int = 1,
    orientations: Literal[1, 4] = 1,
    speed: Speed = DEFAULT_SPEED,
) -> Generator[Prediction | Unreadable, None, None]:
    """Name each picture by its closest reference, in order, as they come; an unreadable one does not stop the others.

    Args:
        paths: the pictures; None says that the next one may take long to come.
        model: the model.
        gallery: what they are compared with.
        threshold: the score from which on a picture is a match.
        top_k: how many of the closest classes to tell.
        orientations: with 4 each picture is also tried turned by 90, 180 and 270 degrees; the best counts.
        speed: batches and threads.
    """
    each = embed_files(paths, model, orientations=orientations, speed=speed)
    with closing(each):
        for one in each:
            if isinstance(one, Unreadable):
                yield one
                continue
            turned = [gallery.nearest(row, top_k) for row in np.atleast_2d(one.embedding)]
            quarter = max(range(len(turned)), key=lambda index: turned[index][0].score)
            nearest = turned[quarter]
            label, score = nearest[0]
            known = label if score >= threshold else None
            yield Prediction(one.path, known, score, threshold, nearest, turn=360 // QUARTERS * quarter)


def embed_files(
    paths: Iterable[Path | None],
    model: Model,
    *,
    orientations: Literal[1, 4] = 1,
    speed: Speed = DEFAULT_SPEED,
) -> Generator[Embedded | Unreadable, None, None]:
    """Embed each picture, in order, as they come; an unreadable one does not stop the others.

    The arguments are those of ``predict``.
    """
    each = model.embed_each(paths, orientations=orientations, speed=speed)
    with closing(each):
        for item, found in each:
            path = Path(item)  # type: ignore[arg-type]
            if not isinstance(found, ZooError):
                yield Embedded(path, found)
            elif os.path.isdir(path):  # noqa: PTH112 - of a name that is too long, Path's own raises
                yield Unreadable(path, UsageError(f"{path}: holds no pictures"))
            else:
                yield Unreadable(path, found)
