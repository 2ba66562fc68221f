"""How long a graph takes for a batch of images."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from zoo.artifacts.onnx_model import Graph

# What a graph of any size is timed with.
ANY_SIZE = (224, 224)
_WARM_UP = 3


def random_batch(graph: Graph, images: int, size: tuple[int, int] | None = None) -> npt.NDArray[Any]:
    """Return ``images`` of noise in the layout, dtype and range that the graph takes; of ``size`` where any will do."""
    pixels = graph.pixels
    height, width = pixels.size or size or ANY_SIZE
    shape = (images, height, width, 3) if pixels.layout == "NHWC" else (images, 3, height, width)
    noise = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    return noise if pixels.dtype == "uint8" else noise.astype(np.float32) / np.float32(255 / pixels.maximum)


def time_runs(graph: Graph, batch: npt.NDArray[Any], runs: int, *, seconds: float = float("inf")) -> list[float]:
    """Run the graph ``runs`` times, or for ``seconds``, whichever ends first; return the seconds of each run.

    A few runs before these are not counted, and at least one is.
    """
    name = graph.input_name
    for _ in range(min(_WARM_UP, runs)):
        graph.session.run(None, {name: batch})
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while not taken or (len(taken) < runs and time.perf_counter() < end):
        started = time.perf_counter()
        graph.session.run(None, {name: batch})
        taken.append(time.perf_counter() - started)
    return taken
