"""Pictures to embeddings, by onnxruntime alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoo.artifacts.layout import ArtifactFolder
from zoo.artifacts.onnx_model import Graph, open_graph
from zoo_core.errors import RunError, UsageError
from zoo_core.images import resize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo_core.contracts import UInt8Image

Embeddings = npt.NDArray[np.float32]
BATCH = 32


@dataclass(frozen=True)
class Embedder:
    """An exported model, ready to embed pictures."""

    graph: Graph

    @classmethod
    def open(cls, model: Path) -> Embedder:
        """Open an artifact folder or an ``.onnx`` file.

        Raises:
            UsageError: there is no model at ``model``.
            RunError: the file is no ONNX file, or does not say which pixels it takes.
        """
        if not model.is_dir():
            return cls(open_graph(model))
        onnx = ArtifactFolder(model).onnx
        if not onnx.is_file():
            msg = f"{model}: holds no onnx/model.onnx"
            raise UsageError(msg, hint="give the folder that 'zoo export' or 'zoo pull' has printed, or an .onnx file")
        return cls(open_graph(onnx))

    def embed(self, images: Sequence[UInt8Image]) -> Embeddings:
        """Embed pictures, each ``uint8 [H, W, 3]`` RGB of any size, as L2-normalised ``float32 [N, D]``.

        Raises:
            RunError: the graph cannot run on them, or an embedding is not finite or zero.
        """
        pixels = [self._pixels(image) for image in images]
        # Pictures of several sizes do not stack: a graph that resizes them itself takes them one by one.
        step = (self.graph.fixed_batch or BATCH) if self.graph.pixels.size else 1
        batches = [self._infer(pixels[start : start + step]) for start in range(0, len(pixels), step)]
        raw = np.concatenate(batches)
        norms = np.linalg.norm(raw, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not norms.all():
            msg = f"{self.graph.path}: gives embeddings that are not finite or zero"
            raise RunError(msg, hint="the model has not learned anything: see 'zoo eval'")
        embeddings: Embeddings = raw / norms
        return embeddings

    def _pixels(self, image: UInt8Image) -> npt.NDArray[Any]:
        wanted = self.graph.pixels
        pixels: npt.NDArray[Any] = image if wanted.size is None else resize(image, wanted.size)
        if wanted.dtype == "float32":
            pixels = pixels.astype(np.float32) / np.float32(255 / wanted.maximum)
        return pixels if wanted.layout == "NHWC" else np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def _infer(self, pixels: Sequence[npt.NDArray[Any]]) -> Embeddings:
        # A graph with a fixed batch takes no fewer: the last picture fills up, and what comes of that is cut off.
        missing = max((self.graph.fixed_batch or 0) - len(pixels), 0)
        batch = np.stack([*pixels, *[pixels[-1]] * missing])
        try:
            embeddings: Embeddings = self.graph.session.run(None, {self.graph.input_name: batch})[0]
        except Exception as error:  # onnxruntime's exceptions share no base
            reason = " ".join(str(error).split())
            msg = f"{self.graph.path}: onnxruntime failed on {batch.dtype} {list(batch.shape)}: {reason}"
            raise RunError(msg) from error
        return embeddings[: len(pixels)].astype(np.float32, copy=False)
