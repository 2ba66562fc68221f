"""A graph in 8-bit integers: a third of the bytes, calibrated on images."""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from zoo.onnx_export.torch_export import opset
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

# Scales per channel are written from here on.
_LOWEST_OPSET = 13
# Ranges leave out this many percent of the activations less: a few outliers would make the steps of all coarse.
_PERCENTILE = 99.99
# Tells the quantizer that it need not advise to prepare the graph: measured, that gains nothing.
_PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")
_OWN_NOTES = ("onnx.infer", _PREPARED[0])


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # it ships no types
    """Batches for the quantizer; by ``set_range`` it asks for one at a time, so that memory holds one's activations."""

    def __init__(self, name: str, batches: Sequence[npt.NDArray[Any]]) -> None:
        self._name, self._batches = name, batches
        self._next, self._end = 0, len(batches)

    def __len__(self) -> int:
        return len(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Continue at batch ``start_index``, up to ``end_index``."""
        self._next, self._end = start_index, end_index

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return the next batch by the name of the input, or None after the last."""
        if self._next == self._end:
            return None
        self._next += 1
        return {self._name: self._batches[self._next - 1]}


def to_int8(model: onnx.ModelProto, batches: Sequence[npt.NDArray[Any]]) -> onnx.ModelProto:
    """Return ``model`` with convolutions and matrix products in int8, weights per channel, activations per tensor.

    The first convolution and depthwise ones stay in float: they hold few weights, and lose most.

    Args:
        model: a float32 graph with one input.
        batches: what goes into it, of the kind that it was trained on; they set the range of each activation.

    Raises:
        RunError: the opset is too old, or the quantizer fails.
    """
    if opset(model) < _LOWEST_OPSET:
        raise RunError(
            f"int8 needs opset {_LOWEST_OPSET}, not {opset(model)}",
            hint=f"set onnx.options.opset_version={_LOWEST_OPSET}",
        )
    named = onnx.ModelProto()
    named.CopyFrom(model)
    for number, node in enumerate(named.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    named.metadata_props.add(key=_PREPARED[0], value=_PREPARED[1])
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        path = Path(folder) / "model.onnx"
        try:
            quantize_static(
                named,
                path,
                _Calibration(named.graph.input[0].name, batches),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv", "Gemm", "MatMul"],
                nodes_to_exclude=_in_float(named),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={"CalibPercentile": _PERCENTILE, "CalibStridedMinMax": 1},
            )
        except Exception as error:  # it raises anything at all
            raise RunError(f"onnxruntime cannot quantize the graph: {' '.join(str(error).split())}") from error
        quantized = onnx.load(path)
    kept = [entry for entry in quantized.metadata_props if entry.key not in _OWN_NOTES]
    del quantized.metadata_props[:]
    quantized.metadata_props.extend(kept)
    del quantized.graph.value_info[:]
    return quantized


def _in_float(model: onnx.ModelProto) -> list[str]:
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return [node.name for number, node in enumerate(convolutions) if number == 0 or _groups(node) > 1]


def _groups(convolution: onnx.NodeProto) -> int:
    return next((int(attribute.i) for attribute in convolution.attribute if attribute.name == "group"), 1)
