"""A graph in float16: half the bytes, with the same float32 input and output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

LARGEST = float(np.finfo(np.float16).max)
# Values grow on images that were not tried; a node stays in float32 where they come this close to the largest float16.
_HEADROOM = 8
# Normalisation, of pixels, layers and the embedding, which sums squares and divides by small numbers: it costs next to
# nothing, and is where float16 loses most.
_IN_FLOAT32 = (
    *("BatchNormalization", "Clip", "Constant", "Div", "Expand", "LayerNormalization", "LpNormalization", "Pow"),
    *("ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare", "Resize", "Sqrt", "Sub"),
)
_ERRORS_ONLY = 3


def to_float16(model: onnx.ModelProto, batches: Iterable[npt.NDArray[Any]]) -> onnx.ModelProto:
    """Return ``model`` with weights and arithmetic in float16, but for what would overflow or lose too much there.

    Args:
        model: a float32 graph with one input.
        batches: what goes into it; each node's values are measured on them.
    """
    named = onnx.ModelProto()
    named.CopyFrom(model)
    for number, node in enumerate(named.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    half: onnx.ModelProto = convert_float_to_float16(
        named,
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *_IN_FLOAT32],
        node_block_list=_too_large(named, _magnitudes(named, batches)),
    )
    tidied = OnnxModel(half)
    # From float32 to float16 and straight back, between two nodes that stay in float32.
    tidied.remove_cascaded_cast_nodes()
    tidied.prune_graph()
    tidied.topological_sort()
    del half.graph.value_info[:]
    return half


def _too_large(model: onnx.ModelProto, magnitudes: dict[str, float]) -> list[str]:
    """Name the nodes that read or write a value, or hold a weight, that float16 cannot hold."""
    return [
        node.name
        for node in model.graph.node
        if any(magnitudes.get(name, 0.0) > LARGEST / _HEADROOM for name in (*node.input, *node.output))
    ]


def _magnitudes(model: onnx.ModelProto, batches: Iterable[npt.NDArray[Any]]) -> dict[str, float]:
    """Return the largest magnitude of each float32 value and weight."""
    found = {
        weight.name: float(np.abs(numpy_helper.to_array(weight)).max(initial=0.0))
        for weight in model.graph.initializer
        if weight.data_type == onnx.TensorProto.FLOAT
    }
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    outputs = {output.name for output in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name and name not in outputs]
    watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    written = [output.name for output in session.get_outputs()]
    for batch in batches:
        for name, value in zip(written, session.run(None, {session.get_inputs()[0].name: batch}), strict=True):
            if isinstance(value, np.ndarray) and value.dtype == np.float32:
                largest = float(np.abs(value).max(initial=0.0))
                found[name] = max(largest, found.get(name, 0.0))
    return found
