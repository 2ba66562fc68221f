"""A sheet of the samples that a check found to look the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.inspection.contact_sheet import Cell, Sheet
from zoo.validation.shown import shown, shown_size
from zoo_core.contracts import StreamingDataset

if TYPE_CHECKING:
    from zoo.inspection.check import Report

_SIDE_BY_SIDE = 3


def draw(report: Report) -> Sheet | None:
    """Draw the listed pairs, as far as their samples can be read again; ``None`` if there is none."""
    readable = {part.name: part.dataset for part in report.parts if not isinstance(part.dataset, StreamingDataset)}
    cells = []
    for pair in report.document["duplicates"]["listed"]:
        samples = (pair["first"], pair["second"])
        if all(described["part"] in readable for described in samples):
            cells.append([_cell(readable, described) for described in samples])
    if not cells:
        return None
    title = f"{report.document['recipe']}: different classes that look the same"
    columns = [("", 2)] * min(_SIDE_BY_SIDE, len(cells))
    sheet = Sheet(title, "leaks from training into validation first", columns)
    for start in range(0, len(cells), _SIDE_BY_SIDE):
        sheet.rows.append([cell for pair in cells[start : start + _SIDE_BY_SIDE] for cell in pair])
    return sheet


def _cell(datasets: dict[str, Any], described: dict[str, Any]) -> Cell:
    sample = datasets[described["part"]][described["index"]]
    return Cell(shown(sample, shown_size(sample)), f"{described['part']} {described['class']}")
