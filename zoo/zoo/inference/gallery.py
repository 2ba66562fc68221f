"""Labelled reference embeddings, and the closest of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo_core.errors import RunError, UsageError
from zoo_core.image_files import find_images
from zoo_core.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy.typing as npt

    from zoo.models.onnx_embedder import Embedder, Embeddings
    from zoo_core.errors import ZooError


@dataclass(frozen=True, eq=False)
class Gallery:
    """References: ``labels[i]`` belongs to row i of ``embeddings``, L2-normalised ``float32 [R, D]``."""

    labels: tuple[str, ...]
    embeddings: Embeddings

    @classmethod
    def build(
        cls,
        references: Iterable[tuple[str, Path]],
        embedder: Embedder,
        unreadable: Callable[[ZooError], object] | None = None,
    ) -> Gallery:
        """Embed labelled pictures, at least one, such as ``find_references`` lists.

        Args:
            references: label and path of each.
            embedder: the model.
            unreadable: told of each picture that cannot be read; by default the first is raised, for without it a class
                might be missing in silence.

        Raises:
            RunError: a picture cannot be read, or none can.
        """
        embedded = []
        for label, path in references:
            try:
                embedded.append((label, embedder.embed([read_image(path)])))
            except (RunError, UsageError) as error:
                if unreadable is None:
                    raise
                unreadable(error)
        if not embedded:
            raise RunError("no picture of the gallery can be read")
        return cls(tuple(label for label, _ in embedded), np.concatenate([embedding for _, embedding in embedded]))

    def match(self, embeddings: Embeddings) -> tuple[list[str], npt.NDArray[np.float32]]:
        """Find the closest reference of each of ``embeddings float32 [N, D]``: its label, and the cosine in -1..1."""
        scores = np.clip(embeddings @ self.embeddings.T, -1.0, 1.0)
        best = scores.argmax(axis=1)
        return [self.labels[index] for index in best], scores[np.arange(len(best)), best]


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
