"""A trained model at work: images to embeddings, by onnxruntime alone."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from zoo.artifacts.layout import PRECISIONS, ArtifactFolder
from zoo.artifacts.manifest import FOR_INFERENCE, check
from zoo.artifacts.onnx_model import Graph, open_graph
from zoo.models.graph_runs import graph_pixels, images_per_run, infer
from zoo.models.inputs import images_of, is_one, readable
from zoo.models.ordered_map import batched, ordered_map
from zoo.workers import cores
from zoo_core.errors import RunError, UsageError, ZooError
from zoo_core.image_objects import read_object

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from zoo.models.graph_runs import Embeddings
    from zoo.models.inputs import ImageInput, Readable

BATCH_SIZE = 32
QUARTERS = 4
# Images that a thread reads before it runs the graph on each: decoder and graph displace each other from the core's
# cache, so taking turns by image is slower.
_TASK = 8


@dataclass(frozen=True, slots=True)
class Speed:
    """What changes how fast a model embeds, and not the embeddings.

    Attributes:
        batch_size: how many images run at once on a provider other than the CPU, at least 1.
        workers: threads that decode, and on the CPU embed, at least 1; None: one for each core.

    Raises:
        UsageError: one is out of range.
    """

    batch_size: int = BATCH_SIZE
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1 or (self.workers is not None and self.workers < 1):
            raise UsageError(f"batch_size and workers are at least 1, not {self.batch_size} and {self.workers}")


DEFAULT_SPEED = Speed()


@dataclass(frozen=True, repr=False)
class Model:
    """An exported model, ready to embed images; ``zoo.load`` opens one. Any number of threads may use it at once.

    Attributes:
        path: the artifact folder or ``.onnx`` file that it was opened from.
        graph: the opened file.
    """

    path: Path
    graph: Graph

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        precision: str | None = None,
        providers: str | Sequence[str] | None = None,
        threads: int | None = None,
    ) -> Model:
        """Open an artifact folder or an ``.onnx`` file, in the way that ``zoo.load`` describes.

        Raises:
            UsageError: there is no model at ``path``, none of this precision, no such provider, or ``threads`` is out
                of range.
            ComponentError: a provider is not installed.
            RunError: the file is no ONNX file or does not say which pixels it takes, or the folder holds another file
                than the one that was exported.
        """
        if precision and path.is_file():
            raise UsageError(f"{path}: is one file, of one precision", hint="give the artifact's folder to choose")
        onnx = _graph_in(path, precision or PRECISIONS[0]) if path.is_dir() else path
        if threads is not None and threads < 1:
            raise UsageError(f"threads is at least 1, not {threads}")
        if path.is_dir():
            check(path, needed=[*FOR_INFERENCE, onnx.relative_to(path).as_posix()])
        # One thread an image and an image on each core is the fastest way through many (see `embed`).
        return cls(path, open_graph(onnx, providers=providers, threads=1 if threads is None else threads))

    def __repr__(self) -> str:
        return f"<zoo.Model {str(self.path)!r}: {self.embedding_dim} numbers>"

    @property
    def embedding_dim(self) -> int:
        """How many numbers an embedding has."""
        return self.graph.embedding_dim

    def embed(
        self, inputs: ImageInput | Iterable[ImageInput], *, batch_size: int = BATCH_SIZE, workers: int | None = None
    ) -> Embeddings:
        """Embed one image as ``float32 [D]``, or several as ``float32 [N, D]``; each of unit length.

        An image has the same embedding to the last bit, whichever others are embedded with it: on the CPU each is run
        by itself, as many at once as there are workers. On two cores that is also faster than batches that use both.

        Args:
            inputs: a path, a Pillow image or an array (``uint8`` RGB ``[H, W, 3]``, grey ``[H, W]`` or
                ``[H, W, 1]``, RGBA ``[H, W, 4]``), of any size; or an iterable of these, such as a generator, of which
                a few are in memory at a time.
            batch_size: how many images run at once on a provider other than the CPU, at least 1.
            workers: threads that decode, and on the CPU embed, at least 1; default: one for each core.

        Raises:
            UnreadableSample: an image is broken, or its file is.
            UsageError: there is no file at a path, or an input is no image.
            RunError: the model cannot run, or an embedding is not finite or zero.
        """
        speed = Speed(batch_size, workers)
        if is_one(inputs):
            ((_, found),) = self.embed_each([inputs], speed=replace(speed, workers=1))  # type: ignore[list-item]
            if isinstance(found, ZooError):
                raise found
            return found
        with closing(self.embed_each(images_of(inputs), speed=speed)) as each:
            rows = (_embedding_or_raise(number, *one) for number, one in enumerate(each))
            return np.fromiter(rows, np.dtype((np.float32, self.embedding_dim)))

    def embed_each(
        self, inputs: Iterable[ImageInput | None], *, orientations: Literal[1, 4] = 1, speed: Speed = DEFAULT_SPEED
    ) -> Generator[tuple[ImageInput, Embeddings | ZooError], None, None]:
        """Yield each input with its embedding, ``float32 [D]``, or with the error that it has; as they come, in order.

        Memory holds a few inputs at a time.

        Args:
            inputs: images as ``embed`` takes them. An array must not be changed before its embedding has come. None
                says that the next input may take long: all embeddings before it come first.
            orientations: with 4 each image is embedded as it is and turned clockwise by 90, 180 and 270 degrees, as
                ``float32 [4, D]``.
            speed: batches and threads.
        """
        together, workers = images_per_run(self.graph, speed.batch_size), speed.workers or cores()
        embed = partial(self._embed_batch, orientations=orientations, together=together)
        items = map(_detached, inputs)
        several = together == 1 and self.graph.pixels.size
        batches = batched(items, _TASK, workers=workers) if several else batched(items, together)
        # closing: where the caller stops early, so do the threads.
        with closing(ordered_map(embed, batches, workers)) as found:
            for batch in found:
                yield from batch

    def _embed_batch(self, batch: Sequence[_Detached], *, orientations: int, together: int) -> list[_Found]:
        prepared = [self._prepare(source, orientations) for _, source in batch]
        pixels = [view for views in prepared if not isinstance(views, ZooError) for view in views]
        try:
            unit = infer(self.graph, pixels, together).reshape(-1, orientations, self.embedding_dim)
            found: Iterator[Embeddings | RunError] = iter(unit)
        except RunError as error:
            found = repeat(error)
        results = [views if isinstance(views, ZooError) else self._checked(next(found)) for views in prepared]
        return [(item, result) for (item, _), result in zip(batch, results, strict=True)]

    def _prepare(self, source: Readable | ZooError, orientations: int) -> list[npt.NDArray[Any]] | ZooError:
        """Return the pixels of an image as the graph takes them: as it is, and turned."""
        if isinstance(source, ZooError):
            return source
        size = self.graph.pixels.size
        try:
            image = read_object(source, size)
            # Turned by 90 degrees it has the graph's size, too, if it was resized to a lying one.
            lying = (
                image if orientations == 1 or size is None or size[0] == size[1] else read_object(source, size[::-1])
            )
        except ZooError as error:
            return error
        return [graph_pixels(self.graph, np.rot90(lying if turn % 2 else image, -turn)) for turn in range(orientations)]

    def _checked(self, unit: Embeddings | RunError) -> Embeddings | RunError:
        if isinstance(unit, RunError):
            return unit
        if not np.isfinite(unit).all():
            msg = f"{self.graph.path}: gives embeddings that are not finite or zero"
            return RunError(msg, hint="the model has not learned anything: see 'zoo eval'")
        return unit if len(unit) > 1 else unit[0]


def _graph_in(folder: Path, precision: str) -> Path:
    if precision not in PRECISIONS:
        raise UsageError(f"there is no precision {precision!r}", hint=f"there are {', '.join(PRECISIONS)}")
    artifact = ArtifactFolder(folder)
    graph = artifact.graph(precision)
    if not graph.is_file():
        held = [name for name in PRECISIONS if artifact.graph(name).is_file()]
        hint = "give the folder that 'zoo export' or 'zoo pull' has printed, or an .onnx file"
        if held:
            hint = f"it holds {', '.join(held)}; 'zoo export --precision {precision}' says why another is left out"
        raise UsageError(f"{folder}: holds no {graph.relative_to(folder).as_posix()}", hint=hint)
    return graph


_Detached: TypeAlias = "tuple[ImageInput, Readable | ZooError]"
_Found: TypeAlias = "tuple[ImageInput, Embeddings | ZooError]"


def _detached(item: ImageInput | None) -> _Detached | None:
    if item is None:
        return None
    try:
        return item, readable(item)
    except ZooError as error:
        return item, error


def _embedding_or_raise(number: int, item: ImageInput, found: Embeddings | ZooError) -> Embeddings:
    if not isinstance(found, ZooError):
        return found
    if isinstance(item, (str, os.PathLike)):
        raise found
    raise found.with_problems(replace(one, message=f"inputs[{number}]: {one.message}") for one in found.problems)
