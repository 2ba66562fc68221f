"""The ROC curve, the score histogram and the embeddings of some classes as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from zoo.atomic import replacing
from zoo.captions import font_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from zoo.metrics.verification import Verification
    from zoo.validation.embedded_images import EmbeddedImages

HISTOGRAM_FPR = 1e-3
_BINS = 120
_LOWEST_FPR = 1e-5
_CLASSES = 16
# Blue and orange of Okabe and Ito, told apart by colour-blind readers, too.
_GENUINE, _IMPOSTOR, _MARK = "#0072B2", "#D55E00", "#333333"


def draw_roc(verification: Verification, path: Path, *, title: str) -> None:
    """Draw the true positive rate over the logarithm of the false positive rate, with the operating points."""
    figure, axes = _canvas(title)
    fpr, tpr, _ = verification.roc()
    seen = _thinned(fpr)
    axes.step(np.maximum(fpr[seen], _LOWEST_FPR / 10), tpr[seen], where="post", color=_GENUINE, linewidth=2)
    diagonal = np.geomspace(_LOWEST_FPR, 1, 100)
    axes.plot(diagonal, diagonal, color="0.7", linestyle=":", linewidth=1.2, label="chance")
    points = verification.operating_points
    axes.plot(
        [point.fpr_target for point in points],
        [point.tpr for point in points],
        "o",
        color=_GENUINE,
        markeredgecolor="white",
        markersize=8,
        clip_on=False,
        label="operating points",
    )
    lowest = min(point.tpr for point in points)
    # A good model's curve lives in a narrow band at the top; show that band, not the emptiness below it.
    bottom = max(0.0, lowest - max(0.02, 0.35 * (1 - lowest)))
    for index, point in enumerate(points):
        # Right below a high curve, left above a low one: where the curve is not.
        shift, side = ((4, -15), "left") if bottom else ((-2, 8), "right") if index else ((4, 8), "left")
        axes.annotate(
            f"{point.tpr:.2%}",
            (point.fpr_target, point.tpr),
            xytext=shift,
            textcoords="offset points",
            horizontalalignment=side,
            fontsize=9,
        )
    axes.set(xscale="log", xlim=(_LOWEST_FPR, 1), ylim=(bottom, 1 + 0.03 * (1 - bottom)))
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    corner: Literal["lower right", "upper left"] = "lower right" if bottom else "upper left"
    axes.legend(title=f"AUC {verification.auc:.6f}", loc=corner, frameon=False, alignment="left")
    _save(figure, path)


def draw_scores(verification: Verification, path: Path, *, title: str) -> None:
    """Draw how scores of genuine and impostor pairs are distributed, and the threshold at a FPR of 1e-3."""
    figure, axes = _canvas(title)
    edges = _edges(verification)
    middles = (edges[:-1] + edges[1:]) / 2
    kinds = (("impostor", _IMPOSTOR, verification.impostor_pairs), ("genuine", _GENUINE, verification.genuine_pairs))
    for counts, (name, colour, total) in zip(reversed(verification.histogram(edges)), kinds, strict=True):
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
