"""An evaluation to files: figures, thresholds and pictures."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from zoo.atomic import read_mapping, write_json, write_text
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from zoo.evaluation.measurement import Measurement
    from zoo.metrics.worst_pairs import WorstPairs
    from zoo.validation.embedded_images import EmbeddedImages
    from zoo_core.contracts import UInt8Image

METRICS = "metrics.json"
COLUMNS = ("fpr_target", "fpr", "tpr", "tpr_low", "tpr_high", "threshold", "too_few_pairs", "look_alike_fpr")


def write(
    measurement: Measurement, folder: Path, *, title: str, context: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Path]]:
    """Write ``metrics.json``, ``thresholds.csv``, and with matplotlib the curves.

    Returns:
        What is in ``metrics.json``, and the files written.
    """
    document = {**measurement.to_json(), **context}
    points = document["thresholds"]
    paths = [folder / name for name in (METRICS, "thresholds.csv")]
    if can_draw():
        from zoo.evaluation.plots import draw_roc, draw_scores  # noqa: PLC0415 - an extra

        paths += [folder / name for name in ("roc.png", "scores.png")]
        bounds = {point["fpr_target"]: tuple(point["interval"]) for point in points if point["interval"]}
        draw_roc(measurement.verification, paths[2], title=title, intervals=bounds)
        draw_scores(measurement.verification, paths[3], title=title)
    write_text(paths[1], _csv(points))
    write_json(paths[0], document)
    return document, paths


def _csv(points: Sequence[Mapping[str, Any]]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for point in points:
        low, high = point["interval"] or (None, None)
        writer.writerow({**point, "tpr_low": low, "tpr_high": high})
    return table.getvalue()


def draw_images(
    embedded: EmbeddedImages,
    worst: WorstPairs,
    folder: Path,
    image_of: Callable[[int], UInt8Image],
    classes: Sequence[str],
    *,
    title: str,
) -> list[Path]:
    """Draw the embeddings of some classes, and the worst pairs; return the files, none without matplotlib.

    ``image_of`` gives the image ``uint8 [H, W, 3]`` of an item.
    """
    if not can_draw():
        return []
    from zoo.evaluation.plots import draw_embedding  # noqa: PLC0415 - an extra
    from zoo.evaluation.worst_pairs import draw_worst  # noqa: PLC0415 - as above

    written = [folder / "embedding.png", folder / "worst_pairs.jpg"]
    draw_embedding(embedded, written[0], title=title)
    draw_worst(
        worst,
        lambda index: image_of(int(embedded.items[index])),
        lambda index: classes[int(embedded.labels[index])],
        written[1],
    )
    return written


def can_draw() -> bool:
    """Return whether matplotlib is installed, which is not part of the plain install."""
    try:
        import matplotlib as _  # noqa: F401, ICN001, PLC0415 - an extra
    except ModuleNotFoundError:
        return False
    return True


def require_same_protocol(folder: Path, digest: str) -> None:
    """Refuse a folder that holds figures of another protocol.

    Raises:
        UsageError: it does, or its figures cannot be read.
    """
    path = folder / METRICS
    if not path.is_file():
        return
    found = read_mapping(path).get("protocol")
    before = found.get("digest") if isinstance(found, dict) else "an older zoo's"
    if before != digest:
        message = f"{path}: holds figures of another protocol ({before}, not {digest})"
        raise UsageError(message, hint="name another folder with --output")
