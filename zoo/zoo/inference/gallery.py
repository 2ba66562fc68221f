"""Labelled reference embeddings, and the closest of them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import tee
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo.models.model import DEFAULT_SPEED
from zoo_core.errors import RunError, UsageError, ZooError
from zoo_core.image_files import find_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy.typing as npt

    from zoo.models.graph_runs import Embeddings
    from zoo.models.model import Model, Speed


class Neighbour(NamedTuple):
    """A class of a gallery: its label, and the best cosine in -1..1 of its references."""

    label: str
    score: float


@dataclass(frozen=True, eq=False)
class Gallery:
    """References: ``labels[i]`` belongs to row i of ``embeddings``, L2-normalised ``float32 [R, D]``."""

    labels: tuple[str, ...]
    embeddings: Embeddings

    @classmethod
    def build(
        cls,
        references: Iterable[tuple[str, Path]],
        model: Model,
        unreadable: Callable[[ZooError], object] | None = None,
        *,
        speed: Speed = DEFAULT_SPEED,
    ) -> Gallery:
        """Embed labelled pictures, at least one, such as ``find_references`` lists.

        Args:
            references: label and path of each.
            model: the model.
            unreadable: told of each picture that cannot be read; by default the first is raised, for without it a class
                might be missing in silence.
            speed: batches and threads.

        Raises:
            RunError: a picture cannot be read, or none can.
        """
        labelled, pictures = tee(references)
        embedded = []
        each = model.embed_each((path for _, path in pictures), speed=speed)
        with closing(each):
            for (label, _), (_, found) in zip(labelled, each, strict=True):
                if not isinstance(found, ZooError):
                    embedded.append((label, found))
                elif unreadable is None:
                    raise found
                else:
                    unreadable(found)
        if not embedded:
            raise RunError("no picture of the gallery can be read")
        return cls(tuple(label for label, _ in embedded), np.stack([embedding for _, embedding in embedded]))

    def nearest(self, embedding: Embeddings, count: int = 1) -> tuple[Neighbour, ...]:
        """Find the ``count`` classes closest to ``embedding float32 [D]``, the closest first; all if fewer."""
        names, order, starts = self._classes
        # The best of each class.
        scores = np.maximum.reduceat((self.embeddings @ embedding)[order], starts)
        count = min(count, len(names))
        best = np.argpartition(-scores, count - 1)[:count]
        best = best[np.argsort(-scores[best], kind="stable")]
        return tuple(Neighbour(names[index], float(np.clip(scores[index], -1, 1))) for index in best)

    @cached_property
    def _classes(self) -> tuple[list[str], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """The distinct labels; the rows ordered by them; where each one's rows start."""
        names = [*dict.fromkeys(self.labels)]
        number = {name: index for index, name in enumerate(names)}
        of_row = np.array([number[label] for label in self.labels])
        order = np.argsort(of_row, kind="stable")
        return names, order, np.searchsorted(of_row[order], np.arange(len(names)))


def find_references(folder: Path) -> list[tuple[str, Path]]:
    """List the labelled pictures of ``folder``.

    A picture directly in it is a reference of the class named like the file, without its suffix; all pictures below a
    folder in it are references of the class named like that folder.

    Raises:
        UsageError: ``folder`` is no folder, or holds no picture.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such folder"
        raise UsageError(msg, hint="a gallery holds one picture a class, or one folder of pictures a class")
    references = [
        (path.stem if path.parent == folder else path.relative_to(folder).parts[0], path)
        for path in find_images(folder).paths
    ]
    if not references:
        msg = f"{folder}: holds no pictures"
        raise UsageError(msg, hint="a gallery holds one picture a class, or one folder of pictures a class")
    return references
