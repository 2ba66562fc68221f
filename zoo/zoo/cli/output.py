"""What commands print: the product on stdout, all else on stderr."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import click

from zoo_core.escaping import escape, escaped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo_core.errors import Problem
    from zoo_core.registry import Registry

SCHEMA = 1
_HALVES = re.compile("[\ud800-\udfff]")
# Characters of a column that is worth wrapping into.
NARROWEST = 20


def print_json(document: Mapping[str, Any]) -> None:
    """Print ``document`` on stdout as JSON, with its schema, in UTF-8 whatever the terminal speaks."""
    context = click.get_current_context(silent=True)
    click.echo(_json({"schema": SCHEMA, **document}), file=context.find_root().obj if context else None)


def print_json_line(document: Mapping[str, Any]) -> None:
    """Print ``document`` on stdout as one line of JSON, in UTF-8 whatever the terminal speaks."""
    click.echo(_json(document, indent=None))


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows`` on stdout, their cells aligned; on a terminal the last cell of a row wraps to its width."""
    rows = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    indent = sum(widths[:-1]) + 2 * len(widths[:-1])
    room = shutil.get_terminal_size().columns - indent if sys.stdout.isatty() else 0
    lines = []
    for row in rows:
        start = "".join(map(_padded, row[:-1], widths))
        # Too narrow to wrap: the terminal does it.
        cells = textwrap.wrap(row[-1], room, break_on_hyphens=False) if room >= NARROWEST else []
        lines.append((start + f"\n{' ' * indent}".join(cells or [row[-1]])).rstrip())
    # One write: a reader that has gone away is met once, and a thousand names are not a thousand flushes.
    text = "\n".join(lines)
    if text:
        click.echo(text)


def print_csv_line(cells: Sequence[object]) -> None:
    """Print a line of CSV on stdout, in UTF-8 whatever the terminal speaks."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    click.echo(_HALVES.sub(lambda match: escape(match[0]), line.getvalue()).encode(), nl=False)


class StreamedColumns:
    """A table on stdout whose rows are printed as they come; its columns grow with what they hold."""

    def __init__(self, header: Sequence[str]) -> None:
        self._header: Sequence[str] | None = header
        self._widths = [_width(name) for name in header]

    def print(self, row: Sequence[str]) -> None:
        """Print a row; before the first, the header."""
        cells = [escaped(cell) for cell in row]
        self._widths = [max(width, _width(cell)) for width, cell in zip(self._widths, cells, strict=True)]
        for line in ([self._header] if self._header else []) + [cells]:
            click.echo("".join(map(_padded, line, self._widths)).rstrip())
        self._header = None


def _width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes: two for each Chinese character."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell) + 2)


def print_line(text: str) -> None:
    """Print a line of the product on stdout."""
    click.echo(escaped(text))


def say(text: str) -> None:
    """Tell the user something on stderr."""
    click.echo(escaped(text), err=True)


def warn(text: str) -> None:
    """Warn the user on stderr."""
    say(f"warning: {text}")


def report_problems(code: str, problems: Sequence[Problem], *, as_json: bool) -> None:
    """Print what went wrong on stderr: one line per problem, or one JSON document."""
    if not as_json:
        for problem in problems:
            say(f"error: {problem}")
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
    click.echo(_json(document), err=True)


def _json(document: Mapping[str, Any], *, indent: int | None = 2) -> bytes:
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    # Half a surrogate pair is no text, and neither UTF-8 nor strict readers of JSON take it: write its escape.
    return _HALVES.sub(lambda match: escape(match[0]).replace("\\", r"\\"), text).encode()


def open_registry() -> Registry:
    """Discover the installed plugins; warn once of each that failed."""
    from zoo_core.discovery import discover

    registry = discover()
    for failure in registry.failures:
        warn(str(failure))
    return registry
