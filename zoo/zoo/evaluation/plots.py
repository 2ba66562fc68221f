"""The ROC curve, the score histogram and the embeddings of some classes as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from zoo.atomic import replacing
from zoo.captions import font_of
from zoo.metrics.verification import LEAST_FALSE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from zoo.metrics.verification import OperatingPoint, Verification
    from zoo.validation.embedded_images import EmbeddedImages

    Intervals = Mapping[float, tuple[float, float]]

HISTOGRAM_FPR = 1e-3
_BINS = 120
_LOWEST_FPR = 1e-5
_CLASSES = 16
# Blue, orange and purple of Okabe and Ito, told apart by colour-blind readers, too.
_GENUINE, _IMPOSTOR, _ALIKE, _MARK = "#0072B2", "#D55E00", "#CC79A7", "#333333"
# Look-alikes are hard: at this rate their curve is worth looking at.
_ALIKE_FPR = 1e-1


def draw_roc(verification: Verification, path: Path, *, title: str, intervals: Intervals | None = None) -> None:
    """Draw the true positive rate over the logarithm of the false positive rate, with the operating points.

    Look-alikes have a curve of their own. Below the rate for which there are too few pairs the picture is shaded.
    ``intervals`` are those of the true positive rates, by target.
    """
    figure, axes = _canvas(title)
    alike = verification.look_alikes
    curves = [(verification, _GENUINE, "strangers", "-")]
    curves += [(alike, _ALIKE, "look-alikes", "--")] if alike else []
    for curve, colour, name, line in curves:
        fpr, tpr, _ = curve.roc()
        seen = _thinned(fpr)
        label = f"{name}: AUC {curve.auc:.6f}, {curve.impostor_pairs:,} pairs"
        shown = np.maximum(fpr[seen], _LOWEST_FPR / 10)
        axes.step(shown, tpr[seen], where="post", color=colour, linewidth=2, linestyle=line, label=label)
    diagonal = np.geomspace(_LOWEST_FPR, 1, 100)
    axes.plot(diagonal, diagonal, color="0.7", linestyle=":", linewidth=1.2, label="chance")
    points = [point for point in verification.operating_points if verification.has_enough(point.fpr_target)]
    bottom = _bottom(verification, points, intervals or {})
    _mark(axes, points, intervals or {}, middle=(1 + bottom) / 2)
    few = LEAST_FALSE / verification.impostor_pairs
    if few > _LOWEST_FPR:
        axes.axvspan(_LOWEST_FPR, min(few, 1), color="0.93", zorder=0, label="too few pairs")
    axes.set(xscale="log", xlim=(_LOWEST_FPR, 1), ylim=(bottom, 1 + 0.03 * (1 - bottom)))
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5, handlelength=1.8)
    _save(figure, path)


def _bottom(verification: Verification, points: Sequence[OperatingPoint], intervals: Intervals) -> float:
    """Return where the picture begins: a good model's curve lives in a narrow band at the top, look-alikes below."""
    alike = verification.look_alikes
    shown = [intervals.get(point.fpr_target, (point.tpr, 1.0))[0] for point in points] + (
        [alike.at_fpr(_ALIKE_FPR).tpr] if alike else []
    )
    lowest = min(shown, default=0.0)
    return max(0.0, lowest - max(0.02, 0.1 * (1 - lowest)))


def _mark(axes: Axes, points: Sequence[OperatingPoint], intervals: Intervals, *, middle: float) -> None:
    """Mark the operating points with their rates and intervals."""
    for index, point in enumerate(points):
        low, high = intervals.get(point.fpr_target, (point.tpr, point.tpr))
        axes.errorbar(
            [point.fpr_target],
            [point.tpr],
            yerr=[[max(0.0, point.tpr - low)], [max(0.0, high - point.tpr)]],
            fmt="o",
            color=_GENUINE,
            markeredgecolor="white",
            markersize=8,
            capsize=3,
            clip_on=False,
        )
        # Right below a high curve, left above a low one: where the curve is not.
        shift, side = ((6, -15), "left") if point.tpr > middle else ((-2, 8), "right") if index else ((4, 8), "left")
        axes.annotate(
            f"{point.tpr:.2%}",
            (point.fpr_target, point.tpr),
            xytext=shift,
            textcoords="offset points",
            horizontalalignment=side,
            fontsize=9,
        )


def draw_scores(verification: Verification, path: Path, *, title: str) -> None:
    """Draw how scores of genuine and impostor pairs are distributed, and the threshold at a FPR of 1e-3."""
    figure, axes = _canvas(title)
    edges = _edges(verification)
    middles = (edges[:-1] + edges[1:]) / 2
    genuine, impostor = verification.histogram(edges)
    kinds = [("impostor", _IMPOSTOR, impostor), ("genuine", _GENUINE, genuine)]
    if verification.look_alikes:
        kinds.insert(1, ("look-alike", _ALIKE, verification.look_alikes.histogram(edges)[1]))
    for name, colour, counts in kinds:
        total = int(counts.sum())
        density = counts / total
        axes.fill_between(middles, density, step="mid", color=colour, alpha=0.25, linewidth=0)
        axes.step(middles, density, where="mid", color=colour, linewidth=1.5, label=f"{total:,} {name} pairs")
    point = verification.at_fpr(HISTOGRAM_FPR)
    axes.axvline(
        point.threshold,
        color=_MARK,
        linestyle="--",
        linewidth=1.3,
        label=f"threshold {point.threshold:.4f}: TPR {point.tpr:.2%} at FPR 0.1%",
    )
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, None), xlabel="cosine", ylabel="share of pairs")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5, handlelength=1.5, columnspacing=1.5)
    _save(figure, path)


def draw_embedding(embedded: EmbeddedImages, path: Path, *, title: str) -> None:
    """Draw the images of some classes on the two axes along which these images vary most; stars are references."""
    classes, counts = np.unique(embedded.labels, return_counts=True)
    shown = np.sort(classes[np.argsort(-counts, kind="stable")[:_CLASSES]])
    rows = np.flatnonzero(np.isin(embedded.labels, shown))
    centred = embedded.embeddings[rows] - embedded.embeddings[rows].mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    positions = centred @ directions[:2].T
    shares = sizes[:2] ** 2 / max(float((sizes**2).sum()), np.finfo(np.float32).tiny)
    figure, axes = _canvas("")
    colours = colormaps["tab20"]
    for number, label in enumerate(shown):
        own, reference = embedded.labels[rows] == label, embedded.is_reference[rows]
        for marker, size, chosen in (("o", 22, own & ~reference), ("*", 130, own & reference)):
            x, y = positions[chosen].T
            axes.scatter(x, y, color=colours(number), marker=marker, s=size, edgecolors="white", linewidths=0.5)
    axes.set(xlabel=f"first component, {shares[0]:.0%} of variance", ylabel=f"second, {shares[-1]:.0%}")
    axes.set_title(
        f"{len(shown)} of {len(classes)} classes, a colour each; stars are references", fontsize=8.5, loc="right"
    )
    text, font = font_of(title)
    figure.suptitle(text, font=font, fontsize=11, x=0.01, horizontalalignment="left", parse_math=False)
    _save(figure, path)


def _edges(verification: Verification) -> np.ndarray:
    """Cut the range of scores that occur into bins; an untrained model's is narrow."""
    highest, lowest = verification.scores[[0, -1]]
    margin = max((highest - lowest) * 0.02, 1e-12)
    return np.linspace(lowest - margin, highest + margin, _BINS + 1)


def _thinned(fpr: np.ndarray, count: int = 2000) -> np.ndarray:
    """Choose points of a curve, evenly over the logarithm, both ends included."""
    wanted = np.geomspace(_LOWEST_FPR / 10, 1, count)
    return np.unique(np.concatenate([[0], np.searchsorted(fpr, wanted, side="right") - 1, [len(fpr) - 1]]))


def _canvas(title: str) -> tuple[Figure, Axes]:
    # Not by pyplot, which keeps figures in global state and may ask for a window.
    figure = Figure(figsize=(7.2, 4.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    text, font = font_of(title)
    axes.set_title(text, font=font, fontsize=11, loc="left", parse_math=False)
    axes.grid(visible=True, which="major", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as beside:
        # No date and no version inside, so that the same figures give the same bytes.
        figure.savefig(beside, format="png", metadata={"Software": None})
