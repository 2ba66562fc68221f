"""A graph at work: images as it takes them, and what it makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.artifacts.onnx_model import Graph
    from zoo_core.contracts import UInt8Image

Embeddings: TypeAlias = npt.NDArray[np.float32]


def images_per_run(graph: Graph, batch_size: int) -> int:
    """Return how many images run at once: one on the CPU, elsewhere ``batch_size``, or what the graph is fixed to.

    On the CPU an image's embedding then depends on nothing else, and threads with an image each keep all cores busy.
    """
    if graph.pixels.size is None:  # images of several sizes do not stack
        return 1
    return graph.fixed_batch or (1 if graph.on_cpu else batch_size)


def graph_pixels(graph: Graph, image: UInt8Image) -> npt.NDArray[Any]:
    """Return ``image uint8 [H, W, 3]`` in the layout, dtype and range that the graph takes."""
    wanted = graph.pixels
    pixels: npt.NDArray[Any] = image
    if wanted.dtype == "float32":
        pixels = pixels.astype(np.float32) / np.float32(255 / wanted.maximum)
    return np.ascontiguousarray(pixels if wanted.layout == "NHWC" else pixels.transpose(2, 0, 1))


def infer(graph: Graph, pixels: Sequence[npt.NDArray[Any]], together: int) -> Embeddings:
    """Run the graph on ``together`` images at a time: ``float32 [N, D]`` of unit length, not finite where that fails.

    Raises:
        RunError: the graph cannot run on them.
    """
    if not pixels:
        return np.empty((0, graph.embedding_dim), np.float32)
    starts = range(0, len(pixels), together)
    raw = np.concatenate([_run(graph, pixels[start : start + together], together) for start in starts])
    with np.errstate(divide="ignore", invalid="ignore"):
        unit: Embeddings = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit


def _run(graph: Graph, pixels: Sequence[npt.NDArray[Any]], together: int) -> Embeddings:
    # Always of one length, which a graph with a fixed batch wants, and so that an embedding does not depend on how
    # many there are: the last image fills up, and what comes of that is cut off.
    missing = max(together, graph.fixed_batch or 0) - len(pixels)
    alone = len(pixels) == 1 and not missing
    batch = pixels[0][np.newaxis] if alone else np.stack([*pixels, *[pixels[-1]] * missing])
    try:
        embeddings: Embeddings = graph.session.run(None, {graph.input_name: batch})[0]
    except Exception as error:  # onnxruntime's exceptions share no base
        reason = " ".join(str(error).split())
        msg = f"{graph.path}: onnxruntime failed on {batch.dtype} {list(batch.shape)}: {reason}"
        raise RunError(msg) from error
    return embeddings[: len(pixels)].astype(np.float32, copy=False)
