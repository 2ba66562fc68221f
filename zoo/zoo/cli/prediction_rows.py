"""Predictions on stdout as they come: a table for people, JSON and CSV for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from zoo.cli.output import StreamedColumns, print_csv_line, print_json, print_json_line, report_problems, say
from zoo.inference.prediction import Prediction, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zoo_core.errors import ZooError

UNKNOWN = "unknown"
Result: TypeAlias = Prediction | Unreadable


def print_results(results: Iterable[Result], form: str, *, top_k: int, turned: bool) -> list[ZooError]:
    """Print results as they come, except JSON, which is one document; return what could not be read.

    Args:
        results: what was found.
        form: ``table``, ``json``, ``jsonl`` or ``csv``.
        top_k: how many of the closest classes a row tells.
        turned: whether a row tells how the picture was turned.
    """
    if form == "json":
        kept = list(results)
        _print_document(kept, turned=turned)
        return [one.error for one in kept if isinstance(one, Unreadable)]
    show = {"table": _table, "csv": _csv, "jsonl": _jsonl}[form](top_k, turned=turned)
    count, lost = 0, []
    for result in results:
        show(result)
        count += 1
        lost += [result.error] if isinstance(result, Unreadable) else []
    if lost and form != "table":
        say(f"error: {len(lost):,} of {count:,} pictures cannot be read: see the rows with an error")
    return lost


def _row(result: Result, *, turned: bool) -> dict[str, Any]:
    """Return a result as JSON has it."""
    if isinstance(result, Unreadable):
        return {"path": str(result.path), "error": str(result.error)}
    nearest = [{"label": label, "score": score} for label, score in result.nearest]
    found = {"path": str(result.path), "label": result.label, "score": result.score, "threshold": result.threshold}
    return {**found, "nearest": nearest, **({"turn": result.turn} if turned else {})}


def _print_document(results: list[Result], *, turned: bool) -> None:
    """Print all results as one JSON document."""
    found = [_row(one, turned=turned) for one in results if isinstance(one, Prediction)]
    lost = [{"path": str(one.path), "message": str(one.error)} for one in results if isinstance(one, Unreadable)]
    print_json({"predictions": found, "errors": lost})


def _jsonl(_top_k: int, *, turned: bool) -> Callable[[Result], object]:
    return lambda result: print_json_line(_row(result, turned=turned))


def _table(top_k: int, *, turned: bool) -> Callable[[Result], object]:
    columns = StreamedColumns(["PATH", "LABEL", "SCORE", "THRESHOLD", *["TURN"] * turned, "NEAREST"])

    def show(result: Result) -> None:
        if isinstance(result, Unreadable):
            report_problems(result.error.code, result.error.problems, as_json=False)
            return
        # What the row says by itself is not said again.
        told = result.label is not None and top_k == 1
        nearest = "" if told else ", ".join(f"{label} {score:.4f}" for label, score in result.nearest)
        turn = [f"{result.turn}°"] * turned
        scores = [f"{result.score:.4f}", f"{result.threshold:.4f}"]
        columns.print([str(result.path), result.label or UNKNOWN, *scores, *turn, nearest])

    return show


def _csv(top_k: int, *, turned: bool) -> Callable[[Result], object]:
    more = [name for rank in range(2, top_k + 1) for name in (f"nearest_{rank}", f"score_{rank}")]
    header = ["path", "label", "score", "threshold", "nearest", *more, *["turn"] * turned, "error"]
    print_csv_line(header)

    def show(result: Result) -> None:
        if isinstance(result, Unreadable):
            print_csv_line([str(result.path), *[""] * (len(header) - 2), str(result.error)])
            return
        (first, _), *rest = result.nearest
        others = [cell for label, score in rest for cell in (label, score)]
        others += [""] * (len(more) - len(others))
        label = "" if result.label is None else result.label
        turn = [result.turn] * turned
        print_csv_line([str(result.path), label, result.score, result.threshold, first, *others, *turn, ""])

    return show
