"""What is measured: a model's files, and every combination of provider, threads and batch size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from zoo.artifacts.layout import PRECISIONS, ArtifactFolder
from zoo.artifacts.providers import CPU, resolve
from zoo.models.model import Model
from zoo.workers import cores
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BATCH_SIZES = (1, 8, 32)


@dataclass(frozen=True)
class Configuration:
    """One measurement: a process of its own that opens ``graph`` and runs it for ``seconds``."""

    graph: Path
    precision: str
    provider: str
    threads: int
    batch_size: int
    image_size: tuple[int, int]
    seconds: float


def plan_benchmark(
    path: Path,
    *,
    precisions: Sequence[str] = (),
    providers: Sequence[str] = (),
    threads: Sequence[int] = (),
    batch_sizes: Sequence[int] = (),
    image_size: tuple[int, int] | None = None,
    seconds: float,
) -> list[Configuration]:
    """Open each of the files once, so that what is wrong is known before anything is measured.

    Args:
        path: an artifact folder or an ``.onnx`` file.
        precisions: which of the artifact's files; default: all that it has.
        providers: each by itself, as ``zoo.load`` takes them; default: the CPU.
        threads: of the CPU, for one run; default: one, and one for each core.
        batch_sizes: images in one run; default: 1, 8 and 32, or what the graph is fixed to.
        image_size: height and width, of a graph that takes any; default: 224 x 224.
        seconds: how long each configuration runs.

    Raises:
        UsageError: there is no such file or provider, or a number is out of range.
        ComponentError: a provider is not installed.
        RunError: a file is no ONNX file, or does not say which pixels it takes.
    """
    names = [resolve(name)[0] for name in providers] or [CPU]
    counts = list(threads) or sorted({1, cores()})
    if min(counts) < 1 or min(batch_sizes, default=1) < 1 or not seconds > 0:
        raise UsageError("threads and batch sizes are at least 1, and seconds above 0")
    planned = []
    for precision, model in _models(path, precisions).items():
        for provider in set(names) - {CPU}:
            Model.open(model.graph.path, providers=provider)
        graph = model.graph
        sizes = list(batch_sizes) or ([graph.fixed_batch] if graph.fixed_batch else list(BATCH_SIZES))
        wrong = [size for size in sizes if graph.fixed_batch not in {None, size}]
        if wrong:
            raise UsageError(f"{graph.path}: takes {graph.fixed_batch} images at a time, not {wrong[0]}")
        size = graph.pixels.size or image_size or (224, 224)
        planned += [
            Configuration(graph.path, precision, provider, count, batch, size, seconds)
            for provider, count, batch in product(names, counts, sizes)
        ]
    return planned


def _models(path: Path, precisions: Sequence[str]) -> dict[str, Model]:
    """Open the wanted files; a file by itself says which precision it is."""
    if path.is_dir():
        held = [name for name in PRECISIONS if _holds(path, name)]
        return {name: Model.open(path, precision=name) for name in precisions or held or PRECISIONS[:1]}
    model = Model.open(path, precision=next(iter(precisions), None))
    return {model.graph.metadata.get("zoo.precision", PRECISIONS[0]): model}


def _holds(folder: Path, precision: str) -> bool:
    return ArtifactFolder(folder).graph(precision).is_file()
