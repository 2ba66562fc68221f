"""A torch module to one clean ONNX graph, and the graph to a simpler one."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from contextlib import contextmanager, redirect_stdout
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import torch

from zoo_core.errors import RunError
from zoo_core.registry import describe

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
    bytes each time. Where torch no longer has it, dynamo's takes its place from opset 18 on.

    Raises:
        RunError: the exporter failed, is not there, or wrote another opset than was asked for.
    """
    wanted = options.get("opset_version")
    if options.get("dynamo") and (wanted or _LOWEST_DYNAMO_OPSET) < _LOWEST_DYNAMO_OPSET:
        message = f"opset {wanted} was asked for, but dynamo's exporter starts at {_LOWEST_DYNAMO_OPSET}"
        raise RunError(message, hint=_DYNAMO_HINT)
    example = torch.zeros(pixels.example_shape(), dtype=getattr(torch, pixels.dtype))
    arguments = {
        **options,
        "input_names": [pixels.name],
        "output_names": list(output_names),
        "dynamic_axes": {name: dict(dimensions) for name, dimensions in axes.items()},
    }
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        # Reports of the exporter would be files in the current folder.
        arguments.setdefault("artifacts_dir", folder)
        try:
            _export(module.eval(), example, path, arguments)
        except (ModuleNotFoundError, RunError, KeyboardInterrupt):
            raise
        except BaseException as error:  # exporters raise anything at all, and the module an attempt to exit
            raise RunError(
                f"torch.onnx.export failed: {describe(error)}",
                hint="check onnx.options; TorchScript's exporter (dynamo: false) takes opsets up to 20",
            ) from error
        finally:
            for report in sorted(Path(folder).glob("*.md")):
                sys.stderr.write(report.read_text(encoding="utf-8", errors="replace"))
        # Loads weights that an exporter has put into a second file, too.
        model = onnx.load(path)
    _check_opset(model, wanted)
    with torch.inference_mode():
        outputs = module(example)
    _close_axes(model, [output.shape for output in ((outputs,) if torch.is_tensor(outputs) else outputs)], axes)
    return clean(model)


def _export(module: torch.nn.Module, example: torch.Tensor, path: Path, arguments: Mapping[str, Any]) -> None:
    """Export by TorchScript unless dynamo's exporter is asked for, or torch has no other.

    Raises:
        RunError: the opset or the exporter that was asked for is not to be had.
    """
    parameters = signature(torch.onnx.export).parameters.values()
    takes_dynamo = any(one.name == "dynamo" or one.kind is Parameter.VAR_KEYWORD for one in parameters)
    opset = arguments.get("opset_version")
    if not arguments.get("dynamo") and takes_dynamo:
        older = {**arguments, "dynamo": False, "opset_version": opset or DEFAULT_OPSET}
        try:
            torch.onnx.export(module, (example,), path, **older)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("torch."):
                raise
        else:
            return
    missing = f"torch {torch.__version__} has no TorchScript exporter"
    if arguments.get("dynamo") is False:
        raise RunError(f"onnx.options.dynamo is false, but {missing}", hint="leave it out, with an opset from 18 on")
    if (opset or _LOWEST_DYNAMO_OPSET) < _LOWEST_DYNAMO_OPSET:
        message = f"opset {opset} was asked for, but {missing}, and dynamo's starts at {_LOWEST_DYNAMO_OPSET}"
        raise RunError(message, hint="set onnx.options.opset_version=18 or more, or install an older torch")
    newer = {**arguments, **({"dynamo": True} if takes_dynamo else {}), "opset_version": opset or _LOWEST_DYNAMO_OPSET}
    torch.onnx.export(module, (example,), path, **newer)


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
    """Remove from ``model`` what tools leave behind: stack traces, notes, and names with local paths; return it."""
    del model.metadata_props[:]
    _drop_notes(model)
    _rename_local(model)
    return model


def local_folders() -> list[str]:
    """Return the folders of this machine that no graph may name."""
    folders = {Path.cwd(), Path.home(), Path(sys.prefix), Path(tempfile.gettempdir()), Path(torch.__file__).parents[1]}
    # The root of a container is no folder of anybody's, and in every name.
    return sorted((str(folder) + "/" for folder in folders if len(folder.parts) > 1), key=len, reverse=True)


def _messages(message: Any) -> Iterator[Any]:  # noqa: ANN401 - any protobuf message
    """Yield the graph's messages that may hold a note or a name, subgraphs included."""
    yield message
    for field, value in message.ListFields():
        if field.name in {"graph", "g"}:
            yield from _messages(value)
        elif field.name in {"node", "attribute", "graphs", "functions", "input", "output", "value_info", "initializer"}:
            for item in value:
                # A node's inputs are names, a graph's are messages.
                if not isinstance(item, str):
                    yield from _messages(item)


def _drop_notes(model: onnx.ModelProto) -> None:
    for message in _messages(model):
        for field, value in message.ListFields():
            if field.name == "doc_string":
                message.ClearField(field.name)
            elif field.name == "metadata_props":
                del value[:]


def _rename_local(model: onnx.ModelProto) -> None:
    """Give nodes, tensors and subgraphs whose name holds a folder of this machine a number instead."""
    folders = local_folders()
    renamed: dict[str, str] = {}

    def fresh(name: str) -> str:
        if not any(folder in f"{name}/" for folder in folders):
            return name
        return renamed.setdefault(name, f"renamed_{len(renamed)}")

    for message in _messages(model):
        if isinstance(message, onnx.NodeProto):
            for names in (message.input, message.output):
                names[:] = [fresh(name) for name in names]
        if isinstance(message, (onnx.NodeProto, onnx.GraphProto, onnx.TensorProto, onnx.ValueInfoProto)):
            message.name = fresh(message.name)


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
