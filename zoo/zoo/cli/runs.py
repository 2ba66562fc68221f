"""``zoo runs``: what has been trained here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli.completion import complete_runs
from zoo.cli.options import json_option, open_run

if TYPE_CHECKING:
    from zoo.runs.layout import RunFolder
    from zoo.runs.summary import RunSummary

COLUMNS = {"tpr_at_fpr_1e-3": "TPR@1e-3", "rank1": "RANK-1"}
run_argument = click.argument("run", shell_complete=complete_runs, required=False)


@click.group("runs", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List, show, compare, name and delete runs.

    \b
    A RUN is a folder, RECIPE/TIME or TIME below runs/, or a tag.
    """  # noqa: D301 - click's mark, not a backslash


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the runs below runs/; the first is the latest, the one that was trained last."""
    from zoo.cli.output import print_columns, print_json, print_line, say
    from zoo.runs.catalog import all_runs, short_name
    from zoo.runs.layout import RUNS
    from zoo.runs.summary import summarize

    found = [summarize(run) for run in all_runs()]
    if as_json:
        print_json({"runs": [summary.to_json() for summary in found]})
        return
    if not found:
        say(f"there is no run below {RUNS.absolute()}; train one: zoo train RECIPE ('zoo recipes' lists them)")
        return
    # Figures of different protocols do not compare: a table for each.
    tables: dict[str, list[RunSummary]] = {}
    first = next((summary.protocol for summary in found if summary.metrics), "")
    for summary in found:
        tables.setdefault(summary.protocol if summary.metrics else first, []).append(summary)
    for number, summaries in enumerate(tables.values()):
        if len(tables) > 1:
            about = next((one.measured_on for one in summaries if one.metrics), "") or "of unknown data"
            click.echo("\n" if number else "", nl=False)
            print_line(f"{about} (protocol {summaries[0].protocol or 'unknown'})")
        rows = [
            [
                short_name(summary.run),
                summary.state,
                f"{summary.steps:,}" if summary.steps is not None else "",
                *(_figure(summary.metrics.get(name)) for name in COLUMNS),
                " ".join(summary.tags),
            ]
            for summary in summaries
        ]
        print_columns([["RUN", "STATE", "STEPS", *COLUMNS.values(), "TAGS"], *rows])


@command.command("show")
@run_argument
@json_option
def show(run: str | None, as_json: bool) -> None:
    """Show a RUN, else the latest: what made it, how far it is, how good it is."""
    from zoo.cli.output import print_columns, print_json
    from zoo.runs.summary import summarize

    summary = summarize(open_run(run))
    if as_json:
        print_json({"run": {**summary.to_json(), "record": summary.record}})
        return
    print_columns([[label, value] for label, value in _facts(summary) if value])
    if summary.metrics:
        click.echo()
        names = list(summary.metrics)
        figures = [[name, *(_figure(of.get(name)) for of in (summary.metrics, summary.untrained))] for name in names]
        print_columns([["METRIC", "TRAINED", "UNTRAINED"], *figures])


@command.command("compare")
@click.argument("first", metavar="RUN", shell_complete=complete_runs)
@click.argument("second", metavar="RUN", shell_complete=complete_runs)
@json_option
def compare(first: str, second: str, as_json: bool) -> None:
    """Show where the recipes of two runs differ, and their metrics side by side if they are of the same protocol.

    'zoo compare' measures both on the same data, and says which is better.
    """
    from zoo.cli.output import print_columns, print_json, warn
    from zoo.runs.catalog import short_name
    from zoo.runs.summary import summarize

    runs = open_run(first), open_run(second)
    recipes = [_recipe(run) for run in runs]
    differing = [key for key in dict.fromkeys([*recipes[0], *recipes[1]]) if recipes[0].get(key) != recipes[1].get(key)]
    one, two = (summarize(run) for run in runs)
    if as_json:
        changes = {key: [recipe.get(key) for recipe in recipes] for key in differing}
        print_json({"runs": [one.to_json(), two.to_json()], "recipe": changes})
        return
    click.echo("\n".join(f"{letter}  {short_name(run)}" for letter, run in zip("AB", runs, strict=True)))
    click.echo()
    rows = [[key, *(recipe.get(key, "-") for recipe in recipes)] for key in differing]
    print_columns([["RECIPE", "A", "B"], *rows]) if rows else click.echo("their recipes are the same")
    click.echo()
    print_columns([["RESULT", "A", "B", "B - A"], *_results(one, two)])
    if not _same_protocol(one, two):
        warn(
            f"their figures are of different protocols and do not compare ({one.measured_on or 'unknown'}; "
            f"{two.measured_on or 'unknown'}); measure both on the same data: zoo compare {first} {second}"
        )


@command.command("rm")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_runs)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def remove(runs: tuple[str, ...], yes: bool) -> None:
    """Delete runs with all their files: checkpoints, curves, artifact. One that is being trained is refused."""
    import shutil
    from contextlib import suppress

    from zoo.cli.output import say
    from zoo.runs.layout import RUNS
    from zoo.runs.lock import locked
    from zoo_core.errors import UsageError

    found = {run.path.resolve(): run for run in map(open_run, runs)}
    for run in found.values():
        if run.path.is_symlink():
            raise UsageError(f"{run.path} is a link to {run.path.resolve()}", hint="name the folder itself")
        # Before the question: what cannot be deleted need not be asked for.
        with locked(run, new=False):
            pass
    for run in found.values():
        if not yes and not _confirmed(run):
            say(f"kept: {run.path}")
            continue
        with locked(run, new=False):
            shutil.rmtree(run.path)
        # The recipe's folder, if that was its last run; no other is zoo's.
        if run.path.parent.resolve().parent == RUNS.resolve():
            with suppress(OSError):
                run.path.parent.rmdir()
        say(f"deleted: {run.path}")


@command.command("tag")
@run_argument
@click.argument("tag", required=False)
@click.option("-d", "--delete", is_flag=True, help="Take the tag from the run.")
def tag(run: str | None, tag: str | None, delete: bool) -> None:
    """Call RUN by the name TAG, as in --run TAG; a run that had the name loses it."""
    from zoo.cli.output import say
    from zoo.runs.catalog import add_tag, remove_tag
    from zoo_core.errors import UsageError

    if not run or not tag:
        raise UsageError("which run, and which tag?", hint="zoo runs tag RUN TAG")
    folder = open_run(run)
    if delete:
        remove_tag(folder, tag)
        say(f"{folder.path} is no longer {tag}")
        return
    for other in add_tag(folder, tag):
        say(f"{tag} was {other.path}")
    say(f"{tag} is {folder.path}")


def _confirmed(run: RunFolder) -> bool:
    import sys

    from zoo_core.errors import UsageError

    files = [path for path in run.path.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    if not sys.stdin.isatty():
        raise UsageError(f"{run.path} would be deleted, {size:.1f} MB, and nobody can be asked", hint="give --yes")
    return click.confirm(f"delete {run.path} ({len(files)} files, {size:.1f} MB)?", err=True)


def _recipe(run: RunFolder) -> dict[str, str]:
    """Return the leaves of a run's recipe by dotted key, as text."""
    from zoo.cli.config import in_line
    from zoo.recipes.loading import load_run_recipe
    from zoo_core.config import dotted, leaves

    recipe = load_run_recipe(run).recipe.model_dump(mode="json")
    return {dotted(path): in_line(value) for path, value in leaves(recipe)}


def _results(one: RunSummary, two: RunSummary) -> list[list[str]]:
    rows = [["state", one.state, two.state, ""]]
    for label, key in (("steps", "step"), ("images/s", "images_per_second"), ("loss", "loss")):
        rows.append([label, *(_short(summary.curves.get(key, "-")) for summary in (one, two)), ""])
    for name in dict.fromkeys([*one.metrics, *two.metrics]) if _same_protocol(one, two) else ():
        values = [summary.metrics.get(name) for summary in (one, two)]
        both = values[0] is not None and values[1] is not None
        change = f"{values[1] - values[0]:+.4f}" if both else ""  # type: ignore[operator] # both are numbers
        rows.append([name, *map(_figure, values), change])
    return rows


def _same_protocol(one: RunSummary, two: RunSummary) -> bool:
    return one.protocol == two.protocol or not (one.metrics and two.metrics)


def _facts(summary: RunSummary) -> list[tuple[str, str]]:
    record, curves = summary.record, summary.curves
    hardware, git, weights = (_mapping(record.get(key)) for key in ("hardware", "git", "weights"))
    devices = hardware.get("devices")
    names = ", ".join(map(str, devices)) if isinstance(devices, list) else ""
    commit = f"{str(git['revision'])[:12]}{', changed' if git.get('dirty') else ''}" if git.get("revision") else ""
    # One that has ended may have done so early.
    done = "" if summary.state in {"trained", "exported"} else _written(curves, "progress", "({:.0%} of the training)")
    step = f"{summary.steps:,} {done}".rstrip() if summary.steps is not None else ""
    return [
        ("run", str(summary.run.path)),
        ("recipe", summary.run.name),
        ("tags", " ".join(summary.tags)),
        ("state", summary.state),
        ("trained", f"{summary.trained_at.astimezone():%Y-%m-%d %H:%M:%S}"),
        ("steps", step),
        ("speed", _written(curves, "images_per_second", "{:.0f} images/s")),
        ("device", names or str(hardware.get("cpu") or "")),
        ("weights", str(weights.get("weights") or "")),
        ("commit", commit),
    ]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _written(curves: dict[str, str], name: str, form: str) -> str:
    """Return a number of the curves in that form; nothing where there is none."""
    try:
        return form.format(float(curves[name]))
    except (KeyError, ValueError):
        return ""


def _short(text: str) -> str:
    """Return a number of the curves without digits that nobody compares."""
    try:
        return text if text.isdecimal() else f"{float(text):.5g}"
    except ValueError:
        return text


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
