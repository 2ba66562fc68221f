"""Proof that a graph computes what the torch module does: batches, images, two runtimes, and spread."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx.reference import ReferenceEvaluator

from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOLERANCE = 1e-5
LOWEST_COSINE = 1 - 1e-6
# Embeddings must lie this many tolerances apart; those of a collapsed model agree with anything.
SPREAD_FACTOR = 1000
_ERRORS_ONLY = 3

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class BatchParity:
    """The largest difference from torch, and the lowest cosine between an embedding and torch's."""

    size: int
    max_abs_diff: float
    min_cosine: float


@dataclass(frozen=True)
class Parity:
    """A proof that succeeded.

    ``batches``: against torch. ``alone``: the largest difference between an image in the largest batch and the same
    image alone. ``second``: the largest difference of onnx's reference evaluator, None when it lacks an operator.
    ``spread``: the mean distance between the embeddings of different images. ``normalized``: whether they have
    length one.
    """

    tolerance: float
    batches: tuple[BatchParity, ...]
    alone: float
    second: float | None
    spread: float
    embedding_dim: int
    normalized: bool


def check_parity(
    model: onnx.ModelProto,
    module: torch.nn.Module,
    batches: Sequence[Array],
    *,
    axes: Mapping[str, Mapping[int, str]],
    output_names: Sequence[str],
    tolerance: float = TOLERANCE,
) -> Parity:
    """Run a graph and the module it came from on the same images.

    Differences are absolute, but relative to the largest torch value of the batch where that is above 1 (embeddings
    that are not normalised).

    Args:
        model: the graph, with one input.
        module: the torch module; put into evaluation mode.
        batches: inputs of different batch sizes, the images of each distinct; the last is the largest.
        axes: the dimensions that the graph must leave open, by input or output name.
        output_names: names of the outputs; the first is the embedding.
        tolerance: the largest difference allowed.

    Raises:
        RunError: the graph does not run, differs, mixes up rows, or the model tells no images apart.
    """
    session = _open(model)
    _check_axes(session, axes, output_names)
    references = [_torch_outputs(module, batch) for batch in batches]
    spread = _spread(references[-1][0], tolerance)
    found = [_infer(session, batch) for batch in batches]
    compared = []
    for got, wanted, batch in zip(found, references, batches, strict=True):
        try:
            compared.append(_compare(got, wanted, tolerance, f"at batch {len(batch)}"))
        except RunError as error:
            raise RunError(str(error), hint=_reason(module, batch, wanted, tolerance)) from error
    alone = 0.0
    if 0 in axes.get(session.get_inputs()[0].name, {}):
        for row, image in enumerate(batches[-1]):
            rows = [output[row : row + 1] for output in found[-1]]
            parity = _compare(_infer(session, image[None]), rows, tolerance, f"alone and as row {row} of a batch")
            alone = max(alone, parity.max_abs_diff)
    embeddings = references[-1][0]
    return Parity(
        tolerance=tolerance,
        batches=tuple(compared),
        alone=alone,
        second=_second_opinion(model, batches[0], references[0], tolerance),
        spread=spread,
        embedding_dim=embeddings.shape[1],
        normalized=bool(np.allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=0, atol=1e-4)),
    )


def _open(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    try:
        onnx.checker.check_model(model, full_check=True)
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base
        raise RunError(f"the exported graph cannot be opened: {_line(error)}") from error


def _check_axes(
    session: onnxruntime.InferenceSession, axes: Mapping[str, Mapping[int, str]], output_names: Sequence[str]
) -> None:
    outputs = [output.name for output in session.get_outputs()]
    if outputs != list(output_names):
        raise RunError(f"the graph's outputs are {outputs}, not {list(output_names)}")
    for value in (*session.get_inputs(), *session.get_outputs()):
        closed = [axis for axis in axes.get(value.name, {}) if isinstance(value.shape[axis], int)]
        if closed:
            raise RunError(
                f"the graph fixes axis {closed[0]} of {value.name} to {value.shape[closed[0]]}, "
                f"but onnx.dynamic_axes leaves it open"
            )


def _torch_outputs(module: torch.nn.Module, batch: Array) -> list[Array]:
    with torch.inference_mode():
        outputs = module.eval()(torch.from_numpy(batch))
    listed = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
    return [output.numpy() for output in listed]


def _infer(session: onnxruntime.InferenceSession, batch: Array) -> list[Array]:
    try:
        return list(session.run(None, {session.get_inputs()[0].name: batch}))
    except Exception as error:  # onnxruntime's exceptions share no base
        raise RunError(f"the exported graph fails at batch {len(batch)}: {_line(error)}") from error


def _compare(found: Sequence[Array], wanted: Sequence[Array], tolerance: float, where: str) -> BatchParity:
    worst, lowest = 0.0, 1.0
    for got, reference in zip(found, wanted, strict=True):
        if got.shape != reference.shape:
            raise RunError(f"the graph gives shape {list(got.shape)} {where}, torch gives {list(reference.shape)}")
        got_rows, rows = (array.reshape(len(array), -1).astype(np.float64) for array in (got, reference))
        difference = float(np.abs(got_rows - rows).max() / max(1.0, np.abs(rows).max()))
        cosine = float((_unit(got_rows) * _unit(rows)).sum(axis=1).min())
        # Written so that NaN fails, too.
        if not (difference <= tolerance and cosine >= LOWEST_COSINE):
            raise RunError(
                f"parity failed {where}: largest difference {difference:.1e} (allowed {tolerance:.0e}), "
                f"lowest cosine {cosine:.7f}"
            )
        worst, lowest = max(worst, difference), min(lowest, cosine)
    return BatchParity(len(found[0]), worst, lowest)


def _reason(module: torch.nn.Module, batch: Array, wanted: Sequence[Array], tolerance: float) -> str:
    """Tell a graph that is wrong from weights that magnify rounding, by the same model in float64."""
    double = copy.deepcopy(module).double()
    wide = batch.astype(np.float64) if batch.dtype == np.float32 else batch
    try:
        exact = _torch_outputs(double, wide)[0]
    except RuntimeError:  # a module that fixes its dtype cannot be asked
        return "the graph does not compute what the torch model does"
    rounding = float(np.abs(exact - wanted[0]).max() / max(1.0, np.abs(exact).max()))
    if rounding > tolerance / 4:
        return (
            f"torch's own float32 result is {rounding:.1e} away from the exact one: the weights magnify rounding, "
            f"train the model further"
        )
    return "the graph does not compute what the torch model does"


def _spread(embeddings: Array, tolerance: float) -> float:
    """Return the mean distance between the embeddings, as unit vectors."""
    if len(embeddings) == 1:
        raise RunError("parity needs several images", hint="leave axis 0 open in onnx.dynamic_axes")
    unit = _unit(embeddings.reshape(len(embeddings), -1).astype(np.float64))
    rows, others = np.triu_indices(len(unit), 1)
    spread = float(np.linalg.norm(unit[rows] - unit[others], axis=1).mean())
    if not spread >= SPREAD_FACTOR * tolerance:
        raise RunError(
            f"the model tells no images apart: embeddings of different images lie {spread:.1e} apart on average, "
            f"at least {SPREAD_FACTOR * tolerance:.0e} is needed to prove anything",
            hint="it had too few steps, or has collapsed: train it longer; 'zoo runs show' has its steps and figures",
        )
    return spread


def _second_opinion(model: onnx.ModelProto, batch: Array, wanted: Sequence[Array], tolerance: float) -> float | None:
    name = model.graph.input[0].name
    try:
        found = [np.asarray(output) for output in ReferenceEvaluator(model).run(None, {name: batch})]
    except Exception:  # noqa: BLE001 - it raises anything for an operator it lacks, which says nothing about the graph
        return None
    return _compare(found, wanted, tolerance, "by onnx's reference evaluator").max_abs_diff


def _unit(rows: Array) -> Array:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Array = rows / np.where(lengths > 0, lengths, 1)
    return unit


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
