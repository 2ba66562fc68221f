"""One evaluation of any model on any data; a graph on files needs neither torch nor a recipe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.evaluation.files import LabelledFiles
from zoo.evaluation.measurement import measure
from zoo.evaluation.result import Evaluation
from zoo.evaluation.writing import draw_images, require_same_protocol, write
from zoo.runs.unreadable import UnreadableSamples
from zoo_core.image_files import tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zoo.evaluation.subjects import Advance, EvaluationData, GraphSubject, Subject
    from zoo.validation.embedded_images import EmbeddedImages
    from zoo.validation.protocol import Protocol

# Below the current folder; neither an artifact nor the Hub's cache is a place for figures of a user's own data.
EVALUATIONS = Path("evaluations")


def evaluate_model(
    subject: GraphSubject, data: EvaluationData, *, output: Path | None = None, advance: Advance = iter
) -> Evaluation:
    """Evaluate an exported model; write into ``output``, or ``evaluations/MODEL/DATA-PROTOCOL``.

    Raises:
        UsageError: the folder holds figures of another protocol.
        RunError: the model cannot run, too many images are unreadable, or the embeddings cannot be measured.
    """
    identity = subject.identity
    home = EVALUATIONS / f"{slug(subject.name)}-{identity['onnx_sha256'][:8]}"

    def place(protocol: Protocol) -> Path:
        folder = output or home / folder_name(protocol)
        require_same_protocol(folder, protocol.digest)
        return folder

    def context(_protocol: Protocol) -> dict[str, Any]:
        return {"data": {"name": data.name}, "model": identity, "untrained": None, "unseen": False}

    title = f"{subject.name} on {data.name}"
    document, written = evaluate_subject(
        subject, data, UnreadableSamples(), place=place, context=context, title=title, advance=advance
    )
    return Evaluation(
        path=written[0],
        document=document,
        written=tuple(written),
        worse_than_untrained=None,
        unreadable=left_out(data, document),
    )


def evaluate_subject(
    subject: Subject,
    data: EvaluationData,
    unreadable: UnreadableSamples,
    *,
    place: Callable[[Protocol], Path],
    context: Callable[[Protocol], Mapping[str, Any]],
    title: str,
    advance: Advance,
    more: Callable[[EmbeddedImages], Mapping[str, Any]] = lambda _embedded: {},
) -> tuple[dict[str, Any], list[Path]]:
    """Embed, measure and write into the folder that ``place`` finds for the protocol; ``more`` measures, too.

    Returns:
        What is in ``metrics.json``, and the files written, that one first.
    """
    embedded = subject.embed(data, advance=advance, unreadable=unreadable)
    measurement = measure(embedded)
    protocol = data.protocol(embedded)
    folder = place(protocol)
    told = {"protocol": protocol.to_json(), **context(protocol), **more(embedded)}
    document, written = write(measurement, folder, title=title, context=told)
    items = data.items(subject.image_size, unreadable)
    return document, written + draw_images(
        embedded,
        measurement.verification.worst,
        folder,
        lambda item: items[item].image,
        items.dataset.classes,
        title=title,
    )


def left_out(data: EvaluationData, document: Mapping[str, Any]) -> str | None:
    """Return a sentence on what lies in a folder of pictures and was not measured; None where all of it was."""
    if not isinstance(data, LabelledFiles):
        return None
    lost = len(data.paths) - document["counts"]["images"]
    said = [f"{lost:,} of {len(data.paths):,} images are unreadable"] if lost else []
    strange = [one for one in data.skipped if one.kind == "file"]
    said += [f"files are left out ({tally(strange)})"] if strange else []
    return f"{data.name}: {'; '.join(said)}" if said else None


def folder_name(protocol: Protocol) -> str:
    """Return a name for a folder that holds figures of this protocol and of no other."""
    return f"{slug(protocol.name)}-{protocol.digest}"


def slug(name: str) -> str:
    """Return a name that can be a folder's."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "model"
