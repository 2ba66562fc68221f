"""The differences of models as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from zoo.atomic import replacing
from zoo.captions import font_of
from zoo.evaluation.names import LETTERS, metric_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from zoo.metrics.bootstrap import Difference

# Okabe and Ito's, told apart by colour-blind readers, too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def draw_comparison(names: Sequence[str], compared: Sequence[Mapping[str, Difference]], path: Path) -> None:
    """Draw how far figures of the others are from the first model's, with intervals; filled where these leave out 0."""
    figures = list(compared[0])
    others = len(compared)
    labels = [f"{letter}  {name}" for letter, name in zip(LETTERS, names, strict=False)]
    figure = Figure(
        figsize=(7.2, 1.6 + 0.34 * len(figures) * max(1, others) + 0.2 * others), dpi=150, layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, differences in enumerate(compared):
        colour = _COLOURS[number % len(_COLOURS)]
        shift = (number - (others - 1) / 2) * 0.7 / others
        for row, name in enumerate(figures):
            found = differences[name]
            axes.errorbar(
                [found.value],
                [row + shift],
                xerr=[[found.value - found.low], [found.high - found.value]],
                fmt="o",
                color=colour,
                markerfacecolor=colour if found.shows else "white",
                capsize=3,
                label=LETTERS[number + 1] if row == 0 else None,
            )
    axes.axvline(0, color="0.4", linewidth=1)
    axes.set_yticks(range(len(figures)), [metric_name(name) for name in figures])
    axes.set_ylim(len(figures) - 0.4, -0.6)
    axes.set_xlabel("difference from A, with its 95 % interval; filled: it shows")
    axes.grid(visible=True, axis="x", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    text, font = font_of(labels[0])
    figure.suptitle(text, font=font, fontsize=9.5, x=0.01, horizontalalignment="left", parse_math=False)
    # One font for all of them: where it lacks a character, that is escaped.
    legend = figure.legend(loc="outside lower left", frameon=False, fontsize=8.5)
    for entry, label in zip(legend.get_texts(), labels[1:], strict=True):
        text, font = font_of(label)
        entry.set(text=text, font=font, fontsize=8.5, parse_math=False)
    with replacing(path) as beside:
        figure.savefig(beside, format="png", metadata={"Software": None})
