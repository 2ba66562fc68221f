"""Proof that a graph computes what the torch module does: all outputs, several batches, two runtimes."""

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
from onnx.reference.op_run import OpRun

from zoo.onnx_export.comparison import LOWEST_COSINE, TOLERANCE, distance
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ERRORS_ONLY = 3
# Images of the largest batch that are run alone, too.
_ALONE = 16
# Below this opset, a BatchNormalization with one output normalises by its running statistics.
_TRAINING_MODE_OPSET = 14

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class OutputParity:
    """The largest difference of one output from torch's, over all batches; integers and booleans are equal."""

    name: str
    dtype: str
    max_abs_diff: float


@dataclass(frozen=True)
class Parity:
    """A comparison that succeeded.

    ``outputs``: each against torch. ``second``: the largest difference of onnx's reference evaluator, None when it
    lacks an operator. ``normalized``: whether embeddings have length one.
    """

    outputs: tuple[OutputParity, ...]
    second: float | None
    embedding_dim: int
    normalized: bool


def check_parity(
    model: onnx.ModelProto,
    module: torch.nn.Module,
    batches: Sequence[Array],
    references: Sequence[Sequence[torch.Tensor]],
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
        module: the torch module.
        batches: inputs, the images of each distinct.
        references: what the module makes of each batch.
        axes: the dimensions that the graph must leave open, by input or output name.
        output_names: names of the outputs; the first is the embedding.
        tolerance: the largest difference allowed.

    Raises:
        RunError: the graph does not run, or differs.
    """
    session = _open(model)
    _check_axes(session, axes, output_names)
    largest = max(range(len(batches)), key=lambda index: len(batches[index]))
    worst = [0.0] * len(output_names)
    second = None
    for index, (batch, outputs) in enumerate(zip(batches, references, strict=True)):
        wanted, found = [_numpy(output) for output in outputs], _infer(session, batch)
        try:
            apart = _compare(found, wanted, output_names, tolerance, f"at batch {len(batch)}")
        except RunError as error:
            raise RunError(str(error), hint=_reason(module, batch, wanted, tolerance)) from error
        worst = [max(pair) for pair in zip(worst, apart, strict=True)]
        if index == 0:
            second = _second_opinion(model, batch, wanted, output_names, tolerance)
        if index == largest:
            embeddings, dtypes = wanted[0], [str(output.dtype) for output in found]
    return Parity(
        outputs=tuple(map(OutputParity, output_names, dtypes, worst)),
        second=second,
        embedding_dim=embeddings.shape[1],
        normalized=bool(np.allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=0, atol=1e-4)),
    )


def check_alone(model: onnx.ModelProto, batch: Array, names: Sequence[str], tolerance: float = TOLERANCE) -> float:
    """Return the largest difference between outputs of an image in ``batch`` and of the same image alone.

    Raises:
        RunError: an image's outputs depend on the others of its batch.
    """
    session = _open(model)
    together, worst = _infer(session, batch), 0.0
    for row, image in enumerate(batch[:_ALONE]):
        rows = [output[row : row + 1] for output in together]
        where = f"alone and as row {row} of a batch of {len(batch)}"
        worst = max(worst, *_compare(_infer(session, image[None]), rows, names, tolerance, where))
    return worst


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


def _numpy(output: torch.Tensor) -> Array:
    # numpy has no bfloat16.
    return (output.float() if output.dtype == torch.bfloat16 else output).numpy()


def _infer(session: onnxruntime.InferenceSession, batch: Array) -> list[Array]:
    try:
        return list(session.run(None, {session.get_inputs()[0].name: batch}))
    except Exception as error:  # onnxruntime's exceptions share no base
        raise RunError(f"the exported graph fails at batch {len(batch)}: {_line(error)}") from error


def _compare(
    found: Sequence[Array], wanted: Sequence[Array], names: Sequence[str], tolerance: float, where: str
) -> list[float]:
    """Return the largest difference of each output: the embeddings in direction, too, whole numbers without any."""
    worst = []
    for position, (name, got, reference) in enumerate(zip(names, found, wanted, strict=True)):
        if got.shape != reference.shape:
            raise RunError(f"the graph gives shape {list(got.shape)} {where}, torch gives {list(reference.shape)}")
        if position and np.array_equal(got, reference, equal_nan=reference.dtype.kind == "f"):
            worst.append(0.0)
            continue
        if reference.dtype.kind != "f":
            differing = int((got != reference).sum())
            kind = "booleans" if reference.dtype.kind == "b" else "whole numbers"
            raise RunError(f"parity failed {where}: {differing} of {reference.size} {kind} in output {name!r} differ")
        apart = distance(got, reference)
        # A further output is as exact as its own type can be: float16 rounds by a thousandth.
        allowed = max(tolerance, float(np.finfo(reference.dtype).eps)) if position else tolerance
        # Written so that NaN fails, too.
        if not (apart.max_abs_diff <= allowed and (position or apart.min_cosine >= LOWEST_COSINE)):
            figures = apart.describe(allowed)
            figures = f"{figures.partition(', lowest')[0]} in output {name!r}" if position else figures
            raise RunError(f"parity failed {where}: {figures}")
        worst.append(apart.max_abs_diff)
    return worst


def _reason(module: torch.nn.Module, batch: Array, wanted: Sequence[Array], tolerance: float) -> str:
    """Tell a graph that is wrong from weights that magnify rounding, by the same model in float64."""
    wide = batch.astype(np.float64) if batch.dtype == np.float32 else batch
    try:
        double = copy.deepcopy(module).double().eval()
        with torch.inference_mode():
            outputs = double(torch.from_numpy(wide))
        exact = _numpy(outputs if isinstance(outputs, torch.Tensor) else outputs[0])
    except Exception:  # noqa: BLE001 - a wrapper that fixes its dtype cannot be asked, and may raise anything
        return "the graph does not compute what the torch model does"
    rounding = float(np.abs(exact - wanted[0]).max() / max(1.0, np.abs(exact).max()))
    if rounding > tolerance / 4:
        return (
            f"torch's own float32 result is {rounding:.1e} away from the exact one: the weights magnify rounding, "
            f"train the model further"
        )
    return "the graph does not compute what the torch model does"


class BatchNormalization(OpRun):
    """The operator of opsets 9 to 13 in onnx's reference evaluator, which mixes the batch's statistics into it.

    A node with one output normalises by the running statistics alone. The evaluator takes the default momentum for a
    sign of training instead (https://github.com/onnx/onnx/pull/8442, in onnx 1.23).
    """

    op_domain = ""

    def _run(self, x: Array, *weights: Array, epsilon: float, momentum: float) -> tuple[Array, ...]:
        del momentum
        if len(self.output) > 1:
            raise NotImplementedError("training mode")
        shape = (-1, *[1] * (x.ndim - 2))
        scale, bias, mean, variance = (one.reshape(shape) for one in weights)
        return ((scale * (x - mean) / np.sqrt(variance + epsilon) + bias).astype(x.dtype),)


def _second_opinion(
    model: onnx.ModelProto, batch: Array, wanted: Sequence[Array], names: Sequence[str], tolerance: float
) -> float | None:
    opset = next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"})
    own: list[type[OpRun]] = [BatchNormalization] if opset < _TRAINING_MODE_OPSET else []
    try:
        evaluator = ReferenceEvaluator(model, new_ops=own)
        found = [np.asarray(output) for output in evaluator.run(None, {model.graph.input[0].name: batch})]
    except Exception:  # noqa: BLE001 - it raises anything for an operator it lacks, which says nothing about the graph
        return None
    return max(_compare(found, wanted, names, tolerance, "by onnx's reference evaluator"))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
