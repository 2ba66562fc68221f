"""A torch module to one clean ONNX graph, and the graph to a simpler one."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import torch

from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zoo.onnx_export.pixels import PixelInput

DEFAULT_OPSET = 17
# Asked for less, the newer exporter fails to convert its graph down, logs a traceback, and continues.
_LOWEST_DYNAMO_OPSET = 18
_DYNAMO_HINT = "only TorchScript's exporter writes opsets below 18: set onnx.options.dynamo=false"


def to_onnx(
    module: torch.nn.Module,
    pixels: PixelInput,
    *,
    output_names: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
    options: Mapping[str, Any],
) -> onnx.ModelProto:
    """Export ``module`` by ``torch.onnx.export``, whose own ``options`` are passed as they are.

    The default exporter is TorchScript's (``dynamo: false``): it alone reaches opsets below 18, and gives the same
    bytes each time.

    Raises:
        RunError: the exporter failed, or wrote another opset than was asked for.
    """
    arguments = {"dynamo": False, **options}
    if not arguments["dynamo"]:
        arguments.setdefault("opset_version", DEFAULT_OPSET)
    elif (arguments.get("opset_version") or _LOWEST_DYNAMO_OPSET) < _LOWEST_DYNAMO_OPSET:
        message = f"opset {arguments['opset_version']} was asked for, but dynamo's exporter starts at 18"
        raise RunError(message, hint=_DYNAMO_HINT)
    example = torch.zeros(pixels.example_shape(), dtype=getattr(torch, pixels.dtype))
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        try:
            torch.onnx.export(
                module.eval(),
                (example,),
                path,
                input_names=[pixels.name],
                output_names=list(output_names),
                dynamic_axes={name: dict(dimensions) for name, dimensions in axes.items()},
                **arguments,
            )
        except ModuleNotFoundError:
            raise
        except Exception as error:  # exporters raise anything at all
            text = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise RunError(
                f"torch.onnx.export failed: {text}",
                hint="check onnx.options; TorchScript's exporter (dynamo: false) takes opsets up to 20",
            ) from error
        # Loads weights that an exporter has put into a second file, too.
        model = onnx.load(path)
    _check_opset(model, arguments.get("opset_version"))
    with torch.inference_mode():
        outputs = module(example)
    _close_axes(model, [output.shape for output in ((outputs,) if torch.is_tensor(outputs) else outputs)], axes)
    return clean(model)


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold and fuse by onnxsim; the result still has to be compared with the torch module.

    Raises:
        RunError: onnxsim failed or added nodes.
    """
    import onnxsim  # noqa: PLC0415 - only wanted by --simplify

    try:
        simpler, _ = onnxsim.simplify(model)
    except Exception as error:  # onnxsim's exceptions share no base
        raise RunError(f"onnxsim failed: {' '.join(str(error).split())}", hint="export without --simplify") from error
    if len(simpler.graph.node) > len(model.graph.node):
        raise RunError(
            f"onnxsim made {len(simpler.graph.node)} nodes of {len(model.graph.node)}", hint="export without --simplify"
        )
    return clean(simpler)


def opset(model: onnx.ModelProto) -> int:
    """Read the version of ONNX's own operators out of a graph."""
    return int(next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}))


def clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove from ``model`` what tools leave behind, stack traces with local paths and their metadata; return it."""
    del model.metadata_props[:]
    _drop_notes(model)
    return model


def _drop_notes(message: Any) -> None:  # noqa: ANN401 - any protobuf message
    for field, value in message.ListFields():
        if field.name == "doc_string":
            message.ClearField(field.name)
        elif field.name == "metadata_props":
            del value[:]
        elif field.name in {"graph", "g"}:
            _drop_notes(value)
        elif field.name in {"node", "attribute", "graphs", "functions", "input", "output", "value_info", "initializer"}:
            for item in value:
                # A node's inputs are names, a graph's are messages.
                if not isinstance(item, str):
                    _drop_notes(item)


def _close_axes(model: onnx.ModelProto, shapes: Sequence[torch.Size], axes: Mapping[str, Mapping[int, str]]) -> None:
    """Give the outputs the sizes that tracing lost, on all axes that are not open."""
    for output, shape in zip(model.graph.output, shapes, strict=True):
        for axis, (dimension, size) in enumerate(zip(output.type.tensor_type.shape.dim, shape, strict=True)):
            if axis not in axes.get(output.name, {}):
                dimension.dim_value = size


def _check_opset(model: onnx.ModelProto, asked: int | None) -> None:
    if asked is not None and opset(model) != asked:
        raise RunError(
            f"opset {asked} was asked for, but the exporter wrote opset {opset(model)}",
            hint=_DYNAMO_HINT,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch thinks of zoo's choice of exporter and arguments; keep what exporters print off stdout."""
    with warnings.catch_warnings(), _stdout_to_stderr():
        for message in (
            "You are using the legacy TorchScript-based ONNX export",
            "The feature will be removed",
            "# 'dynamic_axes' is not recommended when dynamo=True",
            "from_dynamic_axes_to_dynamic_shapes is deprecated",
        ):
            warnings.filterwarnings("ignore", message)
        yield


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Turn away from stdout what C++ prints, too (``verbose: true``), which ``redirect_stdout`` does not reach."""
    sys.stdout.flush()
    stdout = os.dup(1)
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
