"""What commands print: the product on stdout, all else on stderr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo_core.errors import Problem
    from zoo_core.registry import Registry

SCHEMA = 1


def print_json(document: Mapping[str, Any]) -> None:
    """Print ``document`` on stdout as JSON, with its schema."""
    click.echo(json.dumps({"schema": SCHEMA, **document}, indent=2, ensure_ascii=False))


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows`` on stdout, their cells aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    # One write: a reader that has gone away is met once, and a thousand names are not a thousand flushes.
    text = "\n".join(lines)
    if text:
        click.echo(text)


def say(text: str) -> None:
    """Tell the user something on stderr."""
    click.echo(text, err=True)


def warn(text: str) -> None:
    """Warn the user on stderr, in one line."""
    from zoo_core.errors import one_line

    click.echo(f"warning: {one_line(text)}", err=True)


def report_problems(code: str, problems: Sequence[Problem], *, as_json: bool) -> None:
    """Print what went wrong on stderr: one line per problem, or one JSON document."""
    if not as_json:
        for problem in problems:
            click.echo(f"error: {problem}", err=True)
        return
    locations = [
        {
            "file": problem.location.file,
            "line": problem.location.line,
            "column": problem.location.column,
            "key": problem.location.key,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in problems
        if problem.location
    ]
    message = "\n".join(map(str, problems))
    document = {"schema": SCHEMA, "error": {"code": code, "message": message, "locations": locations}}
    click.echo(json.dumps(document, indent=2, ensure_ascii=False), err=True)


def open_registry() -> Registry:
    """Discover the installed plugins; warn once of each that failed."""
    from zoo_core.discovery import discover

    registry = discover()
    for failure in registry.failures:
        warn(str(failure))
    return registry
