"""Compare ways to make a model smaller: `python benchmarks/precisions.py --run RUN` prints a row for each.

Each file is judged as `zoo export --precision` does it: on the recipe's validation data against the float32 file, and
by the median time of one image on one thread. zoo writes the last two; the others say why it does not write them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from zoo.assembly import RecipeBuilder
from zoo.models.latency import random_batch, time_runs
from zoo.models.model import Model
from zoo.onnx_export.float16 import to_float16
from zoo.onnx_export.precision_loss import embed_validation, measure_loss
from zoo.onnx_export.quantization import to_int8
from zoo.onnx_export.run import export_run
from zoo.onnx_export.samples import training_images
from zoo.recipes.loading import load_run_recipe
from zoo.runs.layout import RunFolder
from zoo_core.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DENSE, LAYERS = ["MatMul", "Gemm"], ["Conv", "MatMul", "Gemm"]
PERCENTILE = {"calibrate_method": CalibrationMethod.Percentile}
WIDE = {"activation_type": QuantType.QUInt16}
ROUNDS, RUNS = 30, 20


class Batches(CalibrationDataReader):
    """Calibration batches, one at a time."""

    def __init__(self, batches: Sequence[Any]) -> None:
        self.batches, self.next, self.end = batches, 0, len(batches)

    def __len__(self) -> int:
        return len(self.batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Continue at a batch."""
        self.next, self.end = start_index, end_index

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch."""
        self.next += 1
        return None if self.next > self.end else {"img": self.batches[self.next - 1]}


def dynamic(path: Path, target: Path, operators: list[str]) -> None:
    """Quantize weights alone, activations as they come."""
    quantize_dynamic(path, target, op_types_to_quantize=operators, weight_type=QuantType.QUInt8)


def static(path: Path, target: Path, batches: Sequence[Any], left_out: Sequence[str] = (), **options: Any) -> None:  # noqa: ANN401
    """Quantize weights per channel and activations by what the batches gave."""
    arguments: dict[str, Any] = {"per_channel": True, "weight_type": QuantType.QInt8, **options}
    arguments.setdefault("activation_type", QuantType.QUInt8)
    extra = {"CalibStridedMinMax": 1, "CalibPercentile": 99.99}
    quantize_static(
        path, target, Batches(batches), op_types_to_quantize=LAYERS, nodes_to_exclude=list(left_out),
        extra_options=extra, **arguments,
    )  # fmt: skip


def depthwise(model: onnx.ModelProto) -> list[str]:
    """Name the depthwise convolutions."""
    groups = {node.name: [one.i for one in node.attribute if one.name == "group"] for node in model.graph.node}
    return [name for name, found in groups.items() if found and found[0] > 1]


def write_variants(graph: bytes, batches: Sequence[Any], folder: Path) -> dict[str, Path]:
    """Write all files; return them by name."""
    model = onnx.load_from_string(graph)
    paths: dict[str, Path] = {"fp32": folder / "fp32.onnx"}
    paths["fp32"].write_bytes(graph)
    source = folder / "source.onnx"
    model.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    onnx.save(model, source)
    apart = depthwise(model)
    ways: dict[str, Callable[[Path], object]] = {
        "int8 dynamic, dense layers": lambda to: dynamic(source, to, DENSE),
        "int8 dynamic, all": lambda to: dynamic(source, to, LAYERS),
        "int8 static": lambda to: static(source, to, batches),
        "int8 static, percentile": lambda to: static(source, to, batches, **PERCENTILE),
        "+ depthwise in float": lambda to: static(source, to, batches, apart, **PERCENTILE),
        "static, 16-bit activations": lambda to: static(source, to, batches, **WIDE),
        "zoo fp16": lambda to: onnx.save(to_float16(onnx.load_from_string(graph), batches), to),
        "zoo int8": lambda to: onnx.save(to_int8(onnx.load_from_string(graph), batches), to),
    }
    for number, (name, write) in enumerate(ways.items()):
        path = folder / f"{number}.onnx"
        with contextlib.redirect_stdout(io.StringIO()):
            write(path)
        paths[name] = path
    return paths


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a run with a best checkpoint")
    run = RunFolder(parser.parse_args().run)
    loaded, registry = load_run_recipe(run), discover()
    export = export_run(run, loaded, registry, simplify=False)
    builder = RecipeBuilder(loaded, registry)
    images = training_images(builder, 256)
    size = loaded.recipe.data.image_size
    batches = [export.pixels.array(images[start : start + 16], size) for start in range(0, len(images), 16)]
    with tempfile.TemporaryDirectory() as folder:
        paths = write_variants(export.graph, batches, Path(folder))
        models = {name: Model.open(path) for name, path in paths.items()}
        seconds: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(ROUNDS):
            for name, model in models.items():
                seconds[name] += time_runs(model.graph, random_batch(model.graph, 1), RUNS)
        embedded, failed = embed_validation(models, builder)
        print("| file | KB | p50 ms | cosine mean | lowest | TPR@1e-3 | @1e-4 |\n|---|---|---|---|---|---|---|")
        for name, path in paths.items():
            start = f"| {name} | {path.stat().st_size / 1000:.0f} | {np.median(seconds[name]) * 1000:.2f} |"
            if name in failed:
                print(f"{start} {failed[name]} | | | |")
                continue
            loss = measure_loss(embedded[name], embedded["fp32"])
            rates = [f"{loss.rates.tpr[target]:.4f}" if target in loss.rates.tpr else "" for target in (1e-3, 1e-4)]
            print(f"{start} {loss.mean_cosine:.5f} | {loss.lowest_cosine:.3f} | {' | '.join(rates)} |")


if __name__ == "__main__":
    main()
