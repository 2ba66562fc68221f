"""What a push reads of the artifact's JSON files, checked once, so that no later step meets a missing key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from zoo.atomic import read_json
from zoo_core.errors import RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Batch(_Part):
    size: int
    max_abs_diff: FiniteFloat
    min_cosine: FiniteFloat


class ExportReport(_Part):
    """``onnx/export.json``."""

    verified: bool
    sha256: str
    weights_sha256: str
    opset: int
    tolerance: FiniteFloat
    batches: list[_Batch]
    params: FiniteFloat | None = None
    flops: FiniteFloat | None = None
    macs: FiniteFloat | None = None


class _Threshold(_Part):
    fpr_target: FiniteFloat
    value: FiniteFloat


class _Zoo(_Part):
    embedding_dim: int
    normalized: bool
    wrapper: str
    threshold: _Threshold | None = None


class _Pixels(_Part):
    mean: list[FiniteFloat]
    std: list[FiniteFloat]


class Config(_Part):
    """``config.json``."""

    zoo: _Zoo
    pretrained_cfg: _Pixels


class _Point(_Part):
    fpr_target: FiniteFloat
    fpr: FiniteFloat
    tpr: FiniteFloat
    threshold: FiniteFloat


class _Counts(_Part):
    images: int
    classes: int
    genuine_pairs: int
    impostor_pairs: int


class _Data(_Part):
    name: str


class Metrics(_Part):
    """``eval/metrics.json``."""

    metrics: dict[str, FiniteFloat]
    thresholds: list[_Point]
    counts: _Counts
    data: _Data
    untrained: dict[str, FiniteFloat] | None = None
    weights_sha256: str | None = None


Document = TypeVar("Document", bound=_Part)


def read_document(path: Path, kind: type[Document], *, hint: str) -> tuple[Mapping[str, Any], Document]:
    """Read a JSON file, as it is and checked.

    Raises:
        RunError: it is no JSON, or not what ``kind`` says.
    """
    try:
        said: Mapping[str, Any] = read_json(path)
        return said, kind.model_validate(said)
    except UsageError as error:
        raise RunError(str(error), hint=hint) from error
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        reason = wrong["msg"] if place else "not a mapping"
        raise RunError(f"{path}: {f'{place}: ' if place else ''}{reason}", hint=hint) from error
