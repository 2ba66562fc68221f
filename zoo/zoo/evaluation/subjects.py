"""What is evaluated: a model that embeds the images of a data set. A graph needs onnxruntime alone."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from zoo.artifacts.digests import sha256
from zoo.evaluation.files import LabelledFiles
from zoo.validation.dataset import UNREADABLE_LABEL
from zoo.validation.embedded_images import EmbeddedImages
from zoo.validation.look_alikes import look_alikes_of
from zoo_core.errors import UnreadableSample, ZooError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from zoo.models.model import Model
    from zoo.runs.unreadable import UnreadableSamples
    from zoo.validation.dataset import ValidationItem, ValidationItems
    from zoo.validation.protocol import Protocol as EvaluationProtocol

    Advance = Callable[[Iterable[Any]], Iterable[Any]]


class EvaluationData(Protocol):
    """Images with their classes, at any size."""

    @property
    def name(self) -> str:
        """What people call them."""

    def items(self, size: tuple[int, int], unreadable: UnreadableSamples) -> ValidationItems:
        """Return them at ``size`` (height, width)."""

    def protocol(self, embedded: EmbeddedImages) -> EvaluationProtocol:
        """Describe what was embedded of them."""


class Subject(Protocol):
    """A model under evaluation."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of what it sees."""

    @property
    def identity(self) -> dict[str, Any]:
        """What tells it from others: hashes, and no path."""

    def embed(self, data: EvaluationData, *, advance: Advance, unreadable: UnreadableSamples) -> EmbeddedImages:
        """Embed all images of ``data``."""


@dataclass(frozen=True, eq=False)
class GraphSubject:
    """An exported model: embeds a file as ``zoo predict`` does, to the last bit."""

    name: str
    model: Model

    @classmethod
    def named(cls, name: str, model: Model) -> GraphSubject:
        """Name a model as people do: ``ORG/NAME``, or by its file or folder; a run's artifact by the run's folder."""
        path = Path(name)
        if path.exists():
            path = path.absolute()
            name = path.parent.name if path.name == "artifact" else path.stem if path.is_file() else path.name
        return cls(name, model)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of what the graph takes; of one that takes any, what pictures of it show."""
        return self.model.graph.pixels.size or (96, 96)

    @property
    def identity(self) -> dict[str, Any]:
        """The file's SHA-256."""
        return {"name": self.name, "onnx_sha256": sha256(self.model.graph.path)}

    def embed(self, data: EvaluationData, *, advance: Advance, unreadable: UnreadableSamples) -> EmbeddedImages:
        """Embed all images of ``data``.

        Raises:
            RunError: the graph cannot run, or too many images are unreadable.
        """
        if isinstance(data, LabelledFiles):
            return self._embed_files(data, advance, unreadable)
        return self.embed_items(data.items(self.image_size, unreadable), advance)

    def _embed_files(self, files: LabelledFiles, advance: Advance, unreadable: UnreadableSamples) -> EmbeddedImages:
        rows: list[np.ndarray] = []
        kept: list[int] = []
        with closing(self.model.embed_each(cast("Iterable[Path]", advance(files.paths)))) as each:
            for number, (_, found) in enumerate(each):
                if isinstance(found, UnreadableSample):
                    unreadable.record("valid", found, len(files.paths))
                elif isinstance(found, ZooError):
                    raise found
                else:
                    rows.append(found)
                    kept.append(number)
        items = np.array(kept, np.int64)
        labels = np.array(files.labels, np.int64)[items]
        embeddings = np.array(rows, np.float32).reshape(len(rows), self.model.embedding_dim)
        is_reference = np.zeros(len(items), np.bool_)
        is_reference[np.unique(labels, return_index=True)[1]] = True
        # Of unit length already, and not touched again: as `zoo predict` has them.
        alike = look_alikes_of(files.items(self.image_size).dataset)
        groups = None if alike is None else alike[labels]
        return files.marked(EmbeddedImages(embeddings, labels, is_reference, items, groups=groups))

    def embed_items(self, items: ValidationItems, advance: Advance = iter) -> EmbeddedImages:
        """Embed all of ``items``, by their pixels."""
        read: list[ValidationItem] = []

        def images() -> Iterator[Any]:
            for index in advance(range(len(items))):
                item = items[index]
                if item.label != UNREADABLE_LABEL:
                    read.append(item._replace(image=np.empty(0, np.uint8)))
                    yield item.image

        embeddings = self.model.embed(images())
        columns = [np.array(column) for column in list(zip(*read, strict=True))[1:]]
        found = EmbeddedImages.of(embeddings, *columns, look_alikes=look_alikes_of(items.dataset))
        # Not normalised a second time.
        return replace(found, embeddings=embeddings)
