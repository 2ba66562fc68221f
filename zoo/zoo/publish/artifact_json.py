"""What a push reads of the artifact's JSON files, checked once, so that no later step meets a missing key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from zoo.artifacts.layout import PRECISIONS
from zoo.atomic import read_json
from zoo_core.errors import RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class _Section(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Batch(_Section):
    size: int
    max_abs_diff: FiniteFloat
    min_cosine: FiniteFloat


class _Graph(_Section):
    sha256: str
    bytes: int
    p50_ms: FiniteFloat
    verdict: str | None = None
    mean_cosine: FiniteFloat | None = None
    lowest_cosine: FiniteFloat | None = None
    tpr: dict[str, FiniteFloat] = {}


class _Precisions(_Section):
    files: dict[Literal["fp32", "fp16", "int8"], _Graph] = {}


class ExportReport(_Section):
    """``onnx/export.json``."""

    verified: bool
    sha256: str
    weights_sha256: str
    recipe_sha256: str | None = None
    opset: int
    tolerance: FiniteFloat
    batches: list[_Batch]
    params: FiniteFloat | None = None
    flops: FiniteFloat | None = None
    macs: FiniteFloat | None = None
    precisions: _Precisions | None = None

    def smaller_files(self) -> dict[str, _Graph]:
        """Return the graphs of other precisions than float32, by their names."""
        files = self.precisions.files if self.precisions else {}
        return {name: entry for name, entry in files.items() if name != PRECISIONS[0]}


class _Threshold(_Section):
    fpr_target: FiniteFloat
    value: FiniteFloat


class _Zoo(_Section):
    embedding_dim: int
    normalized: bool
    wrapper: str
    mean: list[FiniteFloat]
    std: list[FiniteFloat]
    threshold: _Threshold | None = None


class Config(_Section):
    """``config.json``."""

    zoo: _Zoo


class _Point(_Section):
    fpr_target: FiniteFloat
    fpr: FiniteFloat
    tpr: FiniteFloat
    threshold: FiniteFloat


class _Counts(_Section):
    images: int
    classes: int
    genuine_pairs: int
    impostor_pairs: int


class _Data(_Section):
    name: str


class Metrics(_Section):
    """``eval/metrics.json``."""

    metrics: dict[str, FiniteFloat]
    thresholds: list[_Point]
    counts: _Counts
    data: _Data
    untrained: dict[str, FiniteFloat] | None = None
    weights_sha256: str | None = None


Document = TypeVar("Document", bound=_Section)


def read_document(path: Path, kind: type[Document], *, hint: str) -> tuple[Mapping[str, Any], Document]:
    """Read a JSON file, as it is and checked.

    Raises:
        RunError: it is no JSON, or not what ``kind`` says.
    """
    try:
        document: Mapping[str, Any] = read_json(path)
        return document, kind.model_validate(document)
    except UsageError as error:
        raise RunError(str(error), hint=hint) from error
    except ValidationError as error:
        wrong = error.errors()[0]
        key = ".".join(map(str, wrong["loc"]))
        reason = wrong["msg"] if key else "not a mapping"
        raise RunError(f"{path}: {f'{key}: ' if key else ''}{reason}", hint=hint) from error
