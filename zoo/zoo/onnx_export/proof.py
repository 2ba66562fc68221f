"""Proof that a graph computes from an image file what the evaluated model does, the way that consumers run it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from zoo.models import graph_runs
from zoo.models.model import Model
from zoo.onnx_export.comparison import SHARE_OF_SPREAD, TOLERANCE, Distance, distance, unit
from zoo.onnx_export.diagnosis import explain, explain_resize
from zoo.onnx_export.witnesses import write_odd_files, write_png
from zoo_core.errors import RunError, ZooError
from zoo_core.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from zoo.onnx_export.evaluated import EvaluatedModel
    from zoo.onnx_export.pixels import PixelInput
    from zoo.onnx_export.witnesses import Witnesses
    from zoo.onnx_export.wrapping import Wrapper

BATCHES = (1, 3, 16, 65)
# One more batch is of a random size, which no fault can have been made for.
_RANDOM_BATCHES = (66, 257)
# For a graph that takes any size: small, wide, tall, about the sizes of photographs, and the largest; upright, as one
# of the files lies on its side.
SIZES = ((16, 16), (16, 1200), (900, 40), (97, 131), (480, 640), (1100, 1500), (4000, 3000))
_RANDOM_SIZES = (17, 2000)
_TOGETHER = 16
_SHARE_OF_DIFFERENCE = 0.05
# Embeddings must lie this many tolerances apart; those of a collapsed model agree with anything.
SPREAD_FACTOR = 1000


@dataclass(frozen=True)
class Compared:
    """What was compared, and the largest difference between normalised embeddings.

    ``size``: how many images were in the batch. ``image``: height and width of the image, where it is not the model's.
    """

    size: int
    max_abs_diff: float
    min_cosine: float
    image: tuple[int, int] | None = None


@dataclass(frozen=True)
class Proof:
    """A proof that succeeded: from files, by batches, and by sizes where the graph takes any.

    ``seed`` has chosen the sizes that are not fixed; ``spread`` is the mean distance between the embeddings of
    different images.
    """

    tolerance: float
    seed: int
    spread: float
    files: Compared
    batches: tuple[Compared, ...]
    sizes: tuple[Compared, ...]


def check_spread(embeddings: npt.NDArray[Any]) -> float:
    """Return the mean distance between embeddings of different images, as unit vectors.

    Raises:
        RunError: they tell no images apart, so that comparing them proves nothing.
    """
    if len(embeddings) == 1:
        raise RunError("parity needs several images", hint="leave axis 0 open in onnx.dynamic_axes")
    rows = unit(embeddings.astype(np.float64))
    first, second = np.triu_indices(len(rows), 1)
    spread = float(np.linalg.norm(rows[first] - rows[second], axis=1).mean())
    if not spread >= SPREAD_FACTOR * TOLERANCE:
        raise RunError(
            f"the model tells no images apart: embeddings of different images lie {spread:.1e} apart on average, "
            f"at least {SPREAD_FACTOR * TOLERANCE:.0e} is needed to prove anything",
            hint="it had too few steps, or has collapsed: train it longer; 'zoo runs show' has its steps and figures",
        )
    return spread


def batch_sizes(pixels: PixelInput, seed: int) -> tuple[int, ...]:
    """Return the batches to try: 1, 3, 16, 65 and a random one, or the one that the graph is fixed to."""
    if pixels.batch is not None:
        return (pixels.batch,)
    return (*BATCHES, int(np.random.default_rng(seed).integers(*_RANDOM_BATCHES)))


def prove(
    graph: bytes,
    reference: EvaluatedModel,
    pixels: PixelInput,
    witnesses: Witnesses,
    *,
    spread: float,
    seed: int,
) -> Proof:
    """Compare what ``zoo predict`` embeds by ``graph`` with what ``zoo eval`` embeds by the model.

    Args:
        graph: the ONNX file, with its metadata.
        reference: the model that was evaluated.
        pixels: the graph's input.
        witnesses: the images.
        spread: what ``check_spread`` returned for the model.
        seed: chooses the batch and the image size that are not fixed.

    Raises:
        RunError: an embedding differs; the line says what the graph does otherwise, where that can be told.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "model.onnx"
        path.write_bytes(graph)
        run = _Runs(Model.open(path), reference, min(TOLERANCE, SHARE_OF_SPREAD * spread), folder)
        files = [write_png(image, folder / f"{index}.png") for index, image in enumerate(witnesses.images)]
        # Files first, each by itself: a fault that shows there shows everywhere, and is named best.
        compared = run.files([*files, *write_odd_files(folder)], "in image files")
        batches = [run.batch(witnesses.batch(size, reference.size)) for size in batch_sizes(pixels, seed)]
        sizes = []
        if run.model.graph.pixels.size is None:
            random = tuple(np.random.default_rng(seed).integers(*_RANDOM_SIZES, 2).tolist())
            sizes = [run.sized(witnesses, size, number) for number, size in enumerate((*SIZES, random))]
    return Proof(run.tolerance, seed, spread, compared, tuple(batches), tuple(sizes))


@dataclass(frozen=True)
class _Runs:
    """The graph as consumers run it, beside the model."""

    model: Model
    reference: EvaluatedModel
    tolerance: float
    folder: Path

    def files(self, paths: Sequence[Path], where: str) -> Compared:
        """Compare the embeddings of files, one at a time."""
        fitted = np.stack([read_image(path, self.reference.size) for path in paths])
        rows = []
        for path, (_, found) in zip(paths, self.model.embed_each(list(paths)), strict=True):
            if isinstance(found, ZooError):
                message = f"the exported graph gives no embedding of {_named(path)}: {found.problems[0].message}"
                raise RunError(message.replace(str(self.folder / "model.onnx"), "it"))
            rows.append(found)
        wanted, embeddings = self.reference.embed(fitted), np.stack(rows)
        if embeddings.shape != wanted.shape:
            self._refuse(fitted, embeddings, None, where)
        differing = [index for index in range(len(paths)) if not self._within(embeddings[index], wanted[index])]
        for index in differing:
            wanted[index] = self._by_columns(paths[index], fitted[index], wanted[index])
        differing = [index for index in differing if not self._within(embeddings[index], wanted[index])]
        if len(differing) < len(paths) / 2 and differing:
            height, width = read_image(paths[differing[0]]).shape[:2]
            where += f" such as one of {height} x {width} pixels (height x width)"
        return self._compared(fitted, embeddings, wanted, where, path=paths[differing[0]] if differing else None)

    def batch(self, images: npt.NDArray[np.uint8]) -> Compared:
        """Compare the embeddings of images of the model's size in one batch."""
        graph = self.model.graph
        stacked = np.stack([graph_runs.graph_pixels(graph, image) for image in images])
        found = graph_runs.infer(graph, list(stacked), len(images))
        where = f"in batches of {len(images)}" if len(images) > 1 else "of one image"
        return self._compared(images, found, self.reference.embed(images), where)

    def sized(self, witnesses: Witnesses, size: tuple[int, int], number: int) -> Compared:
        """Compare the embedding of one image of ``size``, from a file."""
        path = write_png(witnesses.sized(size, number), self.folder / f"sized{number}.png")
        done = self.files([path], f"in images of {size[0]} x {size[1]} pixels (height x width)")
        return Compared(1, done.max_abs_diff, done.min_cosine, size)

    def _compared(
        self,
        images: npt.NDArray[np.uint8],
        found: npt.NDArray[Any],
        wanted: npt.NDArray[Any],
        where: str,
        *,
        path: Path | None = None,
    ) -> Compared:
        if found.shape != wanted.shape:
            self._refuse(images, found, None, where)
        apart = distance(found, wanted)
        if not apart.within(self.tolerance):
            self._refuse(images, found, apart, where, path=path)
        return Compared(len(images), apart.max_abs_diff, apart.min_cosine)

    def _within(self, found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> bool:
        return distance(found[None], wanted[None]).within(self.tolerance)

    def _by_columns(self, path: Path, fitted: npt.NDArray[np.uint8], wanted: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the embedding of an image resized horizontally first, as a graph does, where that is one level away.

        Pillow 13 starts with the vertical pass for some images; the two orders round differently.
        """
        height, width = self.reference.size
        whole = Image.fromarray(read_image(path))
        columns = whole.resize((width, whole.height), Image.Resampling.BILINEAR)
        other = np.asarray(columns.resize((width, height), Image.Resampling.BILINEAR))
        if np.abs(other.astype(int) - fitted).max() > 1:
            return wanted
        embedding: npt.NDArray[Any] = self.reference.embed(np.array(other)[None])[0]
        return embedding

    def _refuse(
        self,
        images: npt.NDArray[np.uint8],
        found: npt.NDArray[Any],
        apart: Distance | None,
        where: str,
        *,
        path: Path | None = None,
    ) -> None:
        reason = None
        if path is not None and self.model.graph.pixels.size is None:
            reason = explain_resize(self.reference, read_image(path), self.model.embed(path))
        run = None if self.model.graph.fixed_batch else self._embed
        raise _difference("graph", self.reference, images, found, apart, where, self.tolerance, reason, run)

    def _embed(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        graph = self.model.graph
        return graph_runs.infer(graph, [graph_runs.graph_pixels(graph, image) for image in images], len(images))


def check_wrapper(
    wrapper: Wrapper,
    reference: EvaluatedModel,
    pixels: PixelInput,
    batches: Sequence[npt.NDArray[np.uint8]],
    spread: float,
) -> None:
    """Compare the first output of a wrapper with the model, on images of the model's size, before anything is exported.

    Raises:
        RunError: it differs; the line says what the wrapper does otherwise, where that can be told.
    """
    tolerance = min(TOLERANCE, SHARE_OF_SPREAD * spread)

    def embed(images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        array = torch.from_numpy(pixels.array(list(images), reference.size))
        return unit(wrapper.outputs(array)[0].float().numpy())

    for number, images in enumerate(batches):
        found, wanted = embed(images), reference.embed(images)
        apart = distance(found, wanted)
        if not apart.within(tolerance):
            # What shows in the first has nothing to do with its size.
            where = f"in batches of {len(images)}" if number else ""
            run = None if pixels.batch else embed
            suspects = wrapper.changed_weights(reference)
            reason = f"has other weights than the model: {', '.join(suspects[:3])}" if suspects else None
            raise _difference("wrapper", reference, images, found, apart, where, tolerance, reason, run)


def _difference(
    subject: str,
    reference: EvaluatedModel,
    images: npt.NDArray[np.uint8],
    found: npt.NDArray[Any],
    apart: Distance | None,
    where: str,
    tolerance: float,
    reason: str | None,
    run: Callable[[npt.NDArray[np.uint8]], npt.NDArray[Any]] | None,
) -> RunError:
    """Return the error that names a difference: a known fault of the pixels, a mixed batch, or else ``reason``."""
    told, wanted = explain(reference, images, found), reference.embed(images)
    if told is None and run is not None and len(images) > 1:
        few = images[:_TOGETHER]
        alone = np.concatenate([run(image[None]) for image in few])
        # Weights that magnify rounding differ a little, too.
        if np.abs(run(few) - alone).max() > max(tolerance, _SHARE_OF_DIFFERENCE * np.abs(found - wanted).max()):
            told = "lets an image's embedding depend on the others of its batch: is a layer in training mode?"
    told = told or reason or "does not compute what the evaluated model does"
    figures = f" ({apart.describe(tolerance)})" if apart else ""
    return RunError(f"parity failed: {where}{', ' if where else ''}the {subject} {told}{figures}", hint=_HINT)


_HINT = "mend the export wrapper: its first output is the embedding of the model that was evaluated"


def _named(path: Path) -> str:
    return f"an image file ({path.name})"
