"""``zoo bench``: how fast an exported model is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.image_options import revision_option
from zoo.cli.options import json_option

if TYPE_CHECKING:
    from zoo.benchmark.run import Benchmark

_HEADER = (
    "precision",
    "provider",
    "threads",
    "batch",
    "p50 ms",
    "p95 ms",
    "images/s",
    "open ms",
    "peak MB",
    "added",
)


class Numbers(click.ParamType):  # type: ignore[type-arg]  # of newer clicks alone
    """Whole numbers from 1 on, separated by commas."""

    name = "N,N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:  # noqa: ANN401 - click's signature
        """Read ``1,8,32``."""
        if isinstance(value, list):
            return value
        words = [word.strip() for word in value.split(",")]
        if not all(word.isdecimal() and int(word) for word in words):
            self.fail(f"{value!r} is no list of whole numbers from 1 on, such as 1,8,32", param, ctx)
        return [int(word) for word in words]


def listed(_context: click.Context, _parameter: click.Parameter, value: str | None) -> list[str]:
    """Read ``fp32,fp16``."""
    return [] if value is None else [word.strip() for word in value.split(",")]


@click.command("bench")
@click.argument("model", metavar="MODEL")
@click.option("--precision", "precisions", metavar="LIST", callback=listed, help="Files: fp32,fp16. [default: all]")
@click.option("--batch-size", "batch_sizes", type=Numbers(), help="Images in a run. [default: 1,8,32]")
@click.option("--threads", type=Numbers(), help="CPU threads of a run. [default: 1 and all cores]")
@click.option("--provider", "providers", multiple=True, help="Hardware: cpu, cuda, ...; several are compared.")
@click.option(
    "--image-size", nargs=2, type=click.IntRange(1), metavar="H W", help="Of a graph that takes any. [default: 224 224]"
)
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), default=2.0, show_default=True,
    help="How long each configuration runs.",
)  # fmt: skip
@click.option(
    "-o", "--output", metavar="FILE.json", type=click.Path(path_type=Path, dir_okay=False), help="Write all of it."
)
@click.option(
    "--picture", metavar="FILE.png", type=click.Path(path_type=Path, dir_okay=False),
    help="Draw latency and throughput over the batch size; needs matplotlib.",
)  # fmt: skip
@revision_option
@json_option
def command(
    model: str,
    precisions: list[str],
    batch_sizes: list[int] | None,
    threads: list[int] | None,
    providers: tuple[str, ...],
    image_size: tuple[int, int] | None,
    seconds: float,
    output: Path | None,
    picture: Path | None,
    revision: str | None,
    *,
    as_json: bool,
) -> None:
    """Measure how fast MODEL is, and what memory it takes.

    MODEL is an artifact folder, a run, an .onnx file or ORG/NAME on the Hub. Each combination of precision, provider,
    threads and batch size runs in a process of its own, on images of noise. Reading images is not part of it.
    """
    from zoo.api.benchmark import bench
    from zoo.cli.output import print_json, say

    found = bench(
        model,
        precisions=precisions,
        batch_sizes=batch_sizes or (),
        threads=threads or (),
        providers=providers,
        image_size=image_size,
        seconds=seconds,
        picture=picture,
        revision=revision,
        advance=_progress,
    )
    if output:
        found.write(output)
    written = [str(path) for path in (output, picture) if path]
    if as_json:
        print_json({**found.document, "written": written})
    else:
        _print(found)
        for path in written:
            say(f"written: {path}")
    if found.failed:
        raise click.exceptions.Exit(1)


def _progress(configurations: Any) -> Any:  # noqa: ANN401 - what rich takes and gives
    if not sys.stderr.isatty():
        return configurations
    from rich.console import Console
    from rich.progress import track

    return track(configurations, "configurations", console=Console(stderr=True), transient=True)


def _print(found: Benchmark) -> None:
    from zoo.cli.output import print_columns, print_line, say

    print_columns([_HEADER, *(_row(row) for row in found.rows if "error" not in row)])
    machine, (height, width) = found.document["machine"], found.document["image_size"]
    print_line(f"{height} x {width} pixels; {machine['cpu']}, {machine['cores']} cores")
    for row in found.failed:
        where = f"{row['precision']} on {row['provider']}, {row['threads']} threads, batch {row['batch_size']}"
        say(f"error: {where}: {row['error']}")


def _row(row: dict[str, Any]) -> list[str]:
    memory = ["" if row[key] is None else f"{row[key]:,.0f}" for key in ("peak_mb", "added_mb")]
    times = [f"{row[key]:.2f}" for key in ("p50_ms", "p95_ms")]
    times += [f"{row[key]:,.0f}" for key in ("images_per_second", "open_ms")]
    return [row["precision"], row["provider"], str(row["threads"]), str(row["batch_size"]), *times, *memory]
