"""The smaller files of an export: what each loses against float32, and which ones are kept."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from zoo.artifacts.layout import PRECISIONS, ArtifactFolder
from zoo.assembly import RecipeBuilder
from zoo.models.latency import random_batch, time_runs
from zoo.models.model import Model
from zoo.onnx_export.float16 import to_float16
from zoo.onnx_export.precision_loss import measure_loss
from zoo.onnx_export.quantization import to_int8
from zoo.onnx_export.samples import training_images, validation_images
from zoo.onnx_export.validation_embeddings import embed_validation
from zoo.onnx_export.witnesses import patterns
from zoo.validation.protocol import Protocol
from zoo_core.errors import RunError, ZooError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from zoo.artifacts.onnx_model import Graph
    from zoo.onnx_export.precision_loss import Loss
    from zoo.onnx_export.run import VerifiedExport
    from zoo.recipes.schema import PrecisionBudget
    from zoo.validation.embedded_images import EmbeddedImages
    from zoo_core.contracts import UInt8Image
    from zoo_core.registry import Registry

FLOAT32, FLOAT16, INT8 = PRECISIONS
_MEASURED_IMAGES, _CALIBRATION_IMAGES, _CALIBRATION_BATCH = 32, 256, 16
_ROUNDS, _RUNS = 20, 20
# Less is no difference on a machine that does something else, too.
_SAME_SPEED = 0.05
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Precisions:
    """What became of the precisions that were asked for.

    ``graphs``: the ONNX files to keep beside float32, by precision. ``report``: what ``onnx/export.json`` says of them;
    None where there is nothing to say. ``left_out``: why, by precision.
    """

    graphs: Mapping[str, bytes] = field(default_factory=dict)
    report: Mapping[str, Any] | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each that is left out."""
        return tuple(f"{name} is left out: {reason}" for name, reason in self.left_out.items())

    def graph(self, name: str, export: VerifiedExport) -> bytes:
        """Return the graph of one precision of ``export``.

        Raises:
            RunError: it is left out.
        """
        if name == FLOAT32:
            return export.graph
        if name not in self.graphs:
            raise RunError(f"{name} is left out: {self.left_out[name]}")
        return self.graphs[name]


NO_OTHERS = Precisions()


def make_precisions(export: VerifiedExport, registry: Registry, wanted: Sequence[str] | None = None) -> Precisions:
    """Convert a verified float32 graph to the other precisions in ``wanted``, and judge them on the validation data.

    One that cannot be made or judged, or loses more than the recipe's budget allows, is left out. By default the
    recipe says which ones are wanted.
    """
    recipe = export.loaded.recipe
    names = recipe.onnx.precision.files if wanted is None else wanted
    others = [name for name in PRECISIONS if name in names and name != FLOAT32]
    if not others:
        return NO_OTHERS
    builder = RecipeBuilder(export.loaded, registry)
    with tempfile.TemporaryDirectory() as folder:
        graphs, left_out = _convert(others, export, builder)
        models = {name: _opened(Path(folder), name, graph) for name, graph in graphs.items()}
        left_out |= check_outputs(models, normalized=export.report["normalized"])
        models = {name: model for name, model in models.items() if name not in left_out}
        entries = _files({name: graphs[name] for name in models}, _seconds(models))
        try:
            embedded, failed = embed_validation(models, builder)
        except ZooError as error:
            reason = f"what it loses cannot be measured on the validation data: {_line(error)}"
            left_out = {name: left_out.get(name, reason) for name in others}
            return Precisions(report={"left_out": left_out}, left_out=left_out)
    if FLOAT32 in failed:
        failed = dict.fromkeys(others, failed[FLOAT32])
    left_out |= failed
    left_out |= _judge({name: entry for name, entry in entries.items() if name not in left_out}, embedded, export)
    report = {
        "protocol": Protocol.of_recipe(recipe, embedded[FLOAT32]).to_json() if FLOAT32 in embedded else None,
        "files": {name: entry for name, entry in entries.items() if name not in left_out},
        "left_out": left_out,
    }
    return Precisions({name: graphs[name] for name in others if name not in left_out}, report, left_out)


def _convert(
    names: Sequence[str], export: VerifiedExport, builder: RecipeBuilder
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the graphs, the float32 one among them, and why others cannot be made."""
    graphs, failed = {FLOAT32: export.graph}, {}
    for name in names:
        try:
            graphs[name] = _converted(name, export, builder)
        except ZooError as error:
            failed[name] = _line(error)
    return graphs, failed


def _converted(name: str, export: VerifiedExport, builder: RecipeBuilder) -> bytes:
    model = onnx.load_from_string(export.graph)
    if name == FLOAT16:
        images = validation_images(builder, _MEASURED_IMAGES) + patterns(_MEASURED_IMAGES)
        converted = to_float16(model, _batches(export, images, 1))
    else:
        images = training_images(builder, _CALIBRATION_IMAGES)
        converted = to_int8(model, _batches(export, images, _CALIBRATION_BATCH))
    converted.metadata_props.add(key="zoo.precision", value=name)
    try:
        onnx.checker.check_model(converted, full_check=True)
    except Exception as error:  # the checker's exceptions share no base
        raise RunError(f"the converted graph is not valid: {' '.join(str(error).split())}") from error
    data: bytes = converted.SerializeToString(deterministic=True)
    return data


def _batches(export: VerifiedExport, images: Sequence[UInt8Image], together: int) -> list[npt.NDArray[Any]]:
    """Put images into batches as the graph takes them; the last is filled up from the first."""
    pixels = export.pixels
    together = pixels.batch or together
    image_size = export.loaded.recipe.data.image_size
    height, width = (fixed or own for fixed, own in zip(pixels.size, image_size, strict=True))
    count = -(-len(images) // together)
    endless = cycle(images)
    return [pixels.array(list(islice(endless, together)), (height, width)) for _ in range(count)]


def _opened(folder: Path, name: str, graph: bytes) -> Model:
    path = folder / f"{name}.onnx"
    path.write_bytes(graph)
    return Model.open(path)


def check_outputs(models: Mapping[str, Model], *, normalized: bool) -> dict[str, str]:
    """Return of each model whose graph does not give what its metadata promise, what is wrong."""
    failed = {}
    for name, model in models.items():
        try:
            _check_output(model.graph, normalized=normalized)
        except RunError as error:
            failed[name] = _line(error)
    return failed


def _check_output(graph: Graph, *, normalized: bool) -> None:
    """Run a batch of noise: an image's embedding must depend on nothing else, and have the length that is promised.

    Raises:
        RunError: it is not so.
    """
    batch = random_batch(graph, graph.fixed_batch or _CALIBRATION_BATCH)
    rows = [batch] if graph.fixed_batch else [image[np.newaxis] for image in batch]
    try:
        together = graph.session.run(None, {graph.input_name: batch})[0]
        apart = np.concatenate([graph.session.run(None, {graph.input_name: row})[0] for row in rows])
    except Exception as error:  # onnxruntime's exceptions share no base
        raise RunError(f"onnxruntime cannot run it: {' '.join(str(error).split())}") from error
    lengths = np.linalg.norm(together, axis=1, keepdims=True)
    # Written so that NaN fails, too.
    if normalized and not np.abs(lengths - 1).max() <= _TOLERANCE:
        raise RunError(f"its embeddings have lengths of {lengths.min():.4f} to {lengths.max():.4f}, not 1")
    if not np.abs((together - apart) / lengths).max() <= _TOLERANCE:
        raise RunError("an image's embedding depends on the other images of its batch")


def _seconds(models: Mapping[str, Model]) -> dict[str, list[float]]:
    """Time one image on one thread; in turns, so that what else the machine does hits all alike."""
    batches = {name: random_batch(model.graph, model.graph.fixed_batch or 1) for name, model in models.items()}
    taken: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(_ROUNDS):
        for name, model in models.items():
            taken[name] += time_runs(model.graph, batches[name], _RUNS)
    return taken


def _files(graphs: Mapping[str, bytes], seconds: Mapping[str, list[float]]) -> dict[str, dict[str, Any]]:
    folder = ArtifactFolder(Path())
    return {
        name: {
            "file": folder.graph(name).as_posix(),
            "sha256": hashlib.sha256(graph).hexdigest(),
            "bytes": len(graph),
            "p50_ms": round(float(np.median(seconds[name])) * 1000, 4),
            "verdict": _verdict(len(graph) / len(graphs[FLOAT32]), seconds[name], seconds[FLOAT32]),
        }
        for name, graph in graphs.items()
    }


def _judge(
    entries: Mapping[str, dict[str, Any]], embedded: Mapping[str, EmbeddedImages], export: VerifiedExport
) -> dict[str, str]:
    """Add to ``entries`` what each file loses; return why some cannot be kept."""
    refused = {}
    for name in entries.keys() - {FLOAT32}:
        loss = measure_loss(embedded[name], embedded[FLOAT32])
        budget: PrecisionBudget = getattr(export.loaded.recipe.onnx.precision, name)
        entries[FLOAT32] |= loss.before.to_json()
        entries[name] |= {**loss.to_json(), "budget": budget.model_dump()}
        reason = _over_budget(name, loss, budget)
        if reason:
            refused[name] = reason
    return refused


def _over_budget(name: str, loss: Loss, budget: PrecisionBudget) -> str | None:
    key = f"onnx.precision.{name}"
    # Written so that NaN is refused, too.
    if not loss.mean_cosine >= budget.mean_cosine:
        return (
            f"its embeddings have a mean cosine of {loss.mean_cosine:.7f} to float32's, less than {key}.mean_cosine, "
            f"{budget.mean_cosine:g}"
        )
    if loss.judged_at is None:
        return None
    lost = -loss.tpr_difference[loss.judged_at]
    # Rounding can move one pair across any threshold, which of few pairs is much.
    if lost > budget.tpr_loss + loss.one_pair:
        return f"TPR@FPR={loss.judged_at:g} falls by {lost:.4f}, more than {key}.tpr_loss, {budget.tpr_loss:g}"
    return None


def _verdict(size: float, seconds: Sequence[float], reference: Sequence[float]) -> str:
    # Of the fastest quarter: other work delays a run, and never speeds it up.
    ratio = float(np.percentile(seconds, 25) / np.percentile(reference, 25))
    speed = "as fast" if abs(ratio - 1) <= _SAME_SPEED else "slower" if ratio > 1 else "faster"
    return f"{'smaller' if size < 1 else 'no smaller'}, {speed}"


def _line(error: ZooError) -> str:
    return str(error).replace("\n", "; ")
