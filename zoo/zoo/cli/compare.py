"""``zoo compare``: which of several models is better on the same data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.completion import complete_runs
from zoo.cli.eval import data_option
from zoo.cli.image_options import revision_option
from zoo.cli.options import json_option

if TYPE_CHECKING:
    from zoo.evaluation.comparison import Comparison


@click.command("compare")
@click.argument("models", nargs=-1, required=True, metavar="A B...", shell_complete=complete_runs)
@data_option
@click.option(
    "-o", "--output", metavar="DIR", type=click.Path(path_type=Path), help="Write comparison.json and comparison.png."
)
@revision_option
@json_option
def command(
    models: tuple[str, ...], folder: Path | None, output: Path | None, revision: str | None, as_json: bool
) -> None:
    """Compare models on the same images: a paired bootstrap over classes tells differences from luck.

    Each of A B... is a run (its best checkpoint), an artifact folder, an .onnx file or ORG/NAME on the Hub. All are
    measured on --data, else on the validation data of A's recipe.
    """
    from zoo.api.evaluation import compare
    from zoo.cli.output import print_json, print_line, say

    comparison = compare(models, data=folder, output=output, revision=revision)
    if as_json:
        print_json({"comparison": comparison.to_json(), "written": [str(path) for path in comparison.written]})
        return
    _print_table(comparison)
    click.echo()
    for verdict in comparison.verdicts:
        print_line(verdict)
    click.echo()
    print_line(str(comparison.protocol))
    if comparison.written:
        say(f"written: {', '.join(map(str, comparison.written))}")


def _print_table(comparison: Comparison) -> None:
    from zoo.cli.output import print_columns
    from zoo.evaluation.names import LETTERS, metric_name

    print_columns([[letter, name] for letter, name in zip(LETTERS, comparison.names, strict=False)])
    for number, differences in enumerate(comparison.differences, 1):
        letter = LETTERS[number]
        rows = [["", "A", letter, f"{letter} - A", "95% interval", ""]]
        for name, found in differences.items():
            bounds = f"[{found.low:+.4f}, {found.high:+.4f}]"
            better = f"{letter if found.value > 0 else 'A'} better" if found.shows else "no difference shows"
            figures = [f"{found.first:.4f}", f"{found.second:.4f}", f"{found.value:+.4f}"]
            rows.append([metric_name(name), *figures, bounds, better])
        click.echo()
        print_columns(rows)
