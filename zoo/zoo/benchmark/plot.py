"""The picture of a benchmark: latency and throughput over the batch size."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from zoo.atomic import replacing
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from matplotlib.axes import Axes

# Of Okabe and Ito, told apart by colour-blind readers, too: one for each precision.
_COLORS = {"fp32": "#0072B2", "fp16": "#D55E00", "int8": "#009E73"}
_STYLES = ("-", "--", ":", "-.")
_MARKERS = "osD^v"


def check_picture(path: Path) -> None:
    """Refuse a picture whose ending names no format; without an ending it is a PNG.

    Raises:
        UsageError: it names none.
    """
    known = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix and path.suffix[1:].lower() not in known:
        raise UsageError(f"{path}: no picture is drawn as {path.suffix}", hint=f"choose one of {', '.join(known)}")


def draw_benchmark(rows: Iterable[dict[str, Any]], path: Path, *, title: str) -> None:
    """Draw the rows without an error: a colour for each precision, a line style for each number of threads."""
    series: dict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if "error" not in row:
            series[row["precision"], row["provider"], row["threads"]].append(row)
    threads = sorted({key[2] for key in series})
    providers = sorted({key[1] for key in series})
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    latency, throughput = figure.subplots(1, 2)
    for (precision, provider, count), found in series.items():
        points = sorted(found, key=lambda row: row["batch_size"])
        style = {
            "color": _COLORS.get(precision, "#333333"),
            "linestyle": _STYLES[threads.index(count) % len(_STYLES)],
            "marker": _MARKERS[providers.index(provider) % len(_MARKERS)],
            "label": ", ".join(filter(None, [precision, provider if len(providers) > 1 else "", _threads(count)])),
        }
        sizes = [row["batch_size"] for row in points]
        latency.plot(sizes, [row["p50_ms"] for row in points], **style)
        latency.fill_between(
            sizes, [row["p50_ms"] for row in points], [row["p95_ms"] for row in points],
            color=style["color"], alpha=0.12, linewidth=0,
        )  # fmt: skip
        throughput.plot(sizes, [row["images_per_second"] for row in points], **style)
    latency.set_title("latency of a batch: p50, shaded up to p95")
    latency.set_ylabel("ms")
    latency.set_yscale("log")
    throughput.set_title("throughput")
    throughput.set_ylabel("images per second")
    throughput.set_ylim(bottom=0)
    sizes = sorted({row["batch_size"] for found in series.values() for row in found})
    for axes in (latency, throughput):
        _over_batches(axes, sizes)
    throughput.legend(frameon=False, fontsize="small")
    with replacing(path) as beside:
        figure.savefig(beside, dpi=120, format=path.suffix.lstrip(".") or "png")


def _over_batches(axes: Axes, sizes: list[int]) -> None:
    axes.set_xlabel("batch size")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.grid(visible=True, color="0.9")


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
