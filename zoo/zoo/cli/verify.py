"""``zoo verify``: whether what a published model claims is true."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.image_options import revision_option
from zoo.cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.reproduction.check import Check, Reproduction

_HEADER = ["place", "claim", "claimed", "found", "verdict"]
_WIDEST = 44


@click.command("verify")
@click.argument("model", metavar="ORG/NAME|DIR")
@revision_option
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="DIR", help="The validation data, if the recipe draws none."
)
@click.option("--no-latency", is_flag=True, help="Do not time the files.")
@click.option("--all", "everything", is_flag=True, help="Show each claim by itself, those that hold too.")
@json_option
def command(
    model: str, revision: str | None, data: Path | None, *, no_latency: bool, everything: bool, as_json: bool
) -> None:
    """Make the figures of a published model again, and say which claims hold.

    Files are compared with the manifest first. What cannot be made again here is named with the reason. The exit code
    is 1 if a claim is false.
    """
    from zoo.api.verifying import verify
    from zoo.cli.output import print_columns, print_json, say

    found = verify(model, revision=revision, data=data, latency=not no_latency)
    if as_json:
        print_json(found.to_json())
    else:
        print_columns([_HEADER, *_rows(found, everything=everything)])
        say(f"{found.path}: {found}")
    if found.false:
        raise click.exceptions.Exit(1)


def _rows(found: Reproduction, *, everything: bool) -> Iterator[list[str]]:
    """Return a row for each claim; claims of one kind that all hold share one."""
    kinds: dict[tuple[str, str], list[Check]] = {}
    for number, check in enumerate(found.checks):
        key = (check.place, str(number) if everything or check.verdict != "holds" else _kind(check))
        kinds.setdefault(key, []).append(check)
    for (place, _), checks in kinds.items():
        first = checks[0]
        if len(checks) > 1:
            yield [place, _kind(first), f"{len(checks)} values", "the same", first.verdict]
            continue
        verdict = f"{first.verdict}: {first.note}" if first.note else first.verdict
        yield [place, first.claim, _short(first.claimed), _short(first.found), verdict]


def _kind(check: Check) -> str:
    """Return what a claim shares a row with: metrics stand by themselves, as each FPR's point does."""
    if check.claim.startswith(("metrics.", "model-index")):
        return check.claim
    head, bracket, rest = check.claim.partition("]")
    if head.startswith("thresholds[") and bracket:
        return head + bracket
    del rest
    return (
        check.claim.partition(":")[0] if check.place == "README.md" else check.claim.partition(".")[0].partition("[")[0]
    )


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    if value is None:
        return "-"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
