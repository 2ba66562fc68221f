"""The sample of an artifact: a drawn picture and its embedding, by which anyone sees that a model works as it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.artifacts.layout import PRECISIONS, ArtifactFolder
from zoo.atomic import read_mapping
from zoo.models.model import Model
from zoo_core.errors import RunError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

SCHEMA = 1
# Another processor adds in another order; another picture or model is off by a hundred times as much.
TOLERANCE = 1e-4


def sample_document(model: Model, image: Path) -> dict[str, Any]:
    """Embed ``image`` and return what ``sample/embedding.json`` holds."""
    return {"schema": SCHEMA, "image": f"sample/{image.name}", "embedding": [float(one) for one in model.embed(image)]}


def check_sample(artifact: Path) -> float | None:
    """Embed the sample picture of an artifact folder again, and compare it with the embedding that is beside it.

    Returns:
        The largest difference; None where the folder has no sample, or no float32 graph.

    Raises:
        RunError: the embedding is another, or the sample is damaged.
    """
    both = embed_sample(artifact)
    if both is None:
        return None
    folder, (expected, found) = ArtifactFolder(artifact), both
    difference = float(np.abs(found - expected).max())
    # Written so that NaN fails, too.
    if not difference <= TOLERANCE:
        message = (
            f"{folder.sample_image}: has another embedding than {folder.sample_embedding} says ({difference:.1e} off)"
        )
        raise RunError(message, hint="do not use this model here; tell its owner")
    return difference


def embed_sample(artifact: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None:
    """Return the published embedding of the sample picture of an artifact folder, and what the model gives here.

    None where the folder has no sample, or no float32 graph.

    Raises:
        RunError: the sample is damaged, or the model gives an embedding of another length.
    """
    folder = ArtifactFolder(artifact)
    if not (folder.sample_image.is_file() and folder.sample_embedding.is_file() and folder.onnx.is_file()):
        return None
    expected = _expected(folder.sample_embedding)
    found = np.asarray(Model.open(artifact, precision=PRECISIONS[0]).embed(folder.sample_image))
    if expected.shape != found.shape:
        message = f"{folder.sample_embedding}: has {expected.size} numbers, and the model gives {found.size}"
        raise RunError(message, hint="do not use this model; tell its owner")
    return expected, found


def _expected(path: Path) -> npt.NDArray[np.float32]:
    try:
        return np.array(read_mapping(path)["embedding"], np.float32)
    except (UsageError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: is no embedding", hint="do not use this model; tell its owner") from error
