"""``zoo.bench``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.extras import naming_missing_extras

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from zoo.benchmark.run import Benchmark


def bench(
    model: str | os.PathLike[str],
    *,
    precisions: Sequence[str] = (),
    batch_sizes: Sequence[int] = (),
    threads: Sequence[int] = (),
    providers: Sequence[str] = (),
    image_size: tuple[int, int] | None = None,
    seconds: float = 2.0,
    picture: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    advance: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Benchmark:
    """Measure how fast a model is, and what memory it takes, on images of noise; reading images is not part of it.

    Each combination of precision, provider, threads and batch size runs in a process of its own.

    Args:
        model: what `load` takes.
        precisions: which of its files; default: all that it has, and ``"fp32"`` of a model on the Hub.
        batch_sizes: images in one run; default: 1, 8 and 32, or what the graph is fixed to.
        threads: of the CPU, for one run; default: one, and one for each core.
        providers: each by itself, as `load` takes them; default: the CPU.
        image_size: height and width, of a graph that takes any; default: 224 x 224.
        seconds: how long each configuration runs.
        picture: where to draw latency and throughput over the batch size; its ending says in which format.
        revision: branch, tag or commit of a model on the Hub.
        advance: wraps the configurations, to show progress.

    Raises:
        UsageError: there is no such model, file, provider or format of a picture, or a number is out of range.
        ComponentError: a provider, or for a picture matplotlib, is not installed.
        RemoteError: the Hub refuses, cannot be reached, or holds something else.
        RunError: a file is no ONNX file, does not say which pixels it takes, or nothing can be measured.
    """
    from zoo.api.loading import locate
    from zoo.artifacts.layout import PRECISIONS
    from zoo.benchmark.plan import plan_benchmark
    from zoo.benchmark.run import benchmark

    name = os.fspath(model)
    for precision in precisions or PRECISIONS[:1]:
        path = locate(name, revision, precision=precision)
    plan = plan_benchmark(
        path,
        precisions=precisions,
        providers=providers,
        threads=threads,
        batch_sizes=batch_sizes,
        image_size=image_size,
        seconds=seconds,
    )
    if picture is None:
        return benchmark(plan, advance=advance)
    with naming_missing_extras("a picture"):
        from zoo.benchmark.plot import check_picture, draw_benchmark
    check_picture(Path(picture))
    found = benchmark(plan, advance=advance)
    machine = found.document["machine"]
    draw_benchmark(
        found.rows, Path(picture), title=f"{_title(path, name)} on {machine['cpu']}, {machine['cores']} cores"
    )
    return found


def _title(path: Path, name: str) -> str:
    """Name a model as people do: a run's artifact by the run's folder."""
    if not Path(name).exists():
        return name
    whole = path.absolute()
    return whole.parent.name if whole.name == "artifact" else whole.name
