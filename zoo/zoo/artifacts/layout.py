"""The artifact folder: where each published file lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The forms that a model's graph comes in; the first is always there, and the others are judged by it.
PRECISIONS = ("fp32", "fp16", "int8")
# The pictures of an evaluation that are published.
PICTURES = ("roc.png", "scores.png", "embedding.png")


@dataclass(frozen=True)
class ArtifactFolder:
    """Exactly what is published."""

    path: Path

    @property
    def card(self) -> Path:
        """The model card."""
        return self.path / "README.md"

    @property
    def config(self) -> Path:
        """Architecture, preprocessing and what ``zoo predict`` needs to know."""
        return self.path / "config.json"

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def preprocessor(self) -> Path:
        """Preprocessing in the form that transformers and Transformers.js read."""
        return self.path / "preprocessor_config.json"

    @property
    def weights(self) -> Path:
        """Weights of backbone and head."""
        return self.path / "model.safetensors"

    @property
    def onnx(self) -> Path:
        """The verified graph."""
        return self.path / "onnx" / "model.onnx"

    def graph(self, precision: str) -> Path:
        """The graph in one of ``PRECISIONS``; ``fp32`` is ``onnx``."""
        return self.onnx if precision == PRECISIONS[0] else self.onnx.with_name(f"model_{precision}.onnx")

    @property
    def export_report(self) -> Path:
        """How the graph was verified."""
        return self.path / "onnx" / "export.json"

    @property
    def metrics(self) -> Path:
        """The evaluation of the weights."""
        return self.path / "eval" / "metrics.json"

    @property
    def assets(self) -> Path:
        """Pictures that the card shows."""
        return self.path / "assets"

    @property
    def backbone(self) -> Path:
        """The backbone alone, as the library that it comes from reads it."""
        return self.path / "backbone"

    @property
    def sample_image(self) -> Path:
        """A drawn picture."""
        return self.path / "sample" / "image.png"

    @property
    def sample_embedding(self) -> Path:
        """Its embedding."""
        return self.path / "sample" / "embedding.json"
