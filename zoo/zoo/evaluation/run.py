"""One evaluation: a run's best checkpoint on its validation data, to figures and pictures in the run folder."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from zoo.artifacts.weights import weights_sha256
from zoo.assembly import RecipeBuilder
from zoo.atomic import read_mapping, write_json, write_text
from zoo.evaluation.plots import draw_embedding, draw_roc, draw_scores
from zoo.evaluation.result import Evaluation
from zoo.evaluation.verdict import worse_than_untrained
from zoo.evaluation.worst_pairs import draw_worst
from zoo.metrics.identification import rank1
from zoo.metrics.summary import figures
from zoo.metrics.verification import verify
from zoo.models.torch_model import embed, open_checkpoint
from zoo.recipes.loading import load_run_recipe
from zoo.runs import unreadable
from zoo.workers import loader_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from zoo.metrics.verification import Verification
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo.validation.embedded_images import EmbeddedImages
    from zoo_core.registry import Registry

METRICS, UNTRAINED = "metrics.json", "untrained.json"


@dataclass(frozen=True, eq=False)
class Measurement:
    """Verification over all pairs, and rank-1 of the images that are no references."""

    verification: Verification
    rank1: float

    @property
    def figures(self) -> dict[str, float]:
        """The figures that a table shows; see ``zoo.metrics.summary``."""
        return figures(self.verification, self.rank1)


def measure(embedded: EmbeddedImages) -> Measurement:
    """Measure embeddings.

    Raises:
        RunError: they cannot be measured; see ``zoo.metrics``.
    """
    return Measurement(
        verify(embedded.embeddings, embedded.labels),
        rank1(embedded.embeddings, embedded.labels, embedded.is_reference),
    )


def evaluate(
    run: RunFolder,
    loaded: LoadedRecipe,
    registry: Registry,
    *,
    advance: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Evaluation:
    """Evaluate the best checkpoint of ``run`` as `evaluate_run` does, and judge what was found."""
    document, written = evaluate_run(run, loaded, registry, advance=advance)
    return Evaluation(
        path=run.evaluation / METRICS,
        document=document,
        written=tuple(written),
        worse_than_untrained=worse_than_untrained(document, run, loaded.recipe.checkpoint.monitor),
        unreadable=unreadable.summarize(run.unreadable, "valid"),
    )


def evaluate_run(
    run: RunFolder,
    loaded: LoadedRecipe,
    registry: Registry,
    *,
    advance: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> tuple[dict[str, Any], list[Path]]:
    """Evaluate the best checkpoint of ``run`` on the recipe's validation data and write all of it down.

    Returns:
        What is in ``metrics.json``, and the files written.

    Raises:
        RunError: the checkpoint does not load, or its embeddings cannot be measured.
    """
    builder = RecipeBuilder(loaded, registry)
    model = open_checkpoint(builder, run.best)
    # Before the model moves to a device.
    measured = weights_sha256(model)
    loader, data = loaded.recipe.data.loader, loaded.recipe.data.valid
    unreadable.clear(run.unreadable, "valid")
    samples = unreadable.UnreadableSamples(run.unreadable, loaded.recipe.data.unreadable_share)
    items = builder.validation_items().recording(samples)
    embedded = embed(
        model,
        items,
        batch_size=loader.batch_size,
        num_workers=loader_processes(loader.num_workers),
        advance=advance,
    )
    protocol = loaded.recipe.validation_protocol()
    # Another data set, or captures of another kind: not the validation data of the training.
    own = protocol == load_run_recipe(run).recipe.validation_protocol()
    unseen = own and _is_unseen(run)
    context: dict[str, Any] = {"data": protocol, "weights_sha256": measured, "unseen": unseen}
    title = f"{loaded.name} on {data.name}" + (", classes not seen in training" if unseen else "")
    if not own:
        # The untrained model was measured on the validation data of the training.
        context["untrained"] = None
    document, written = write(measure(embedded), run.evaluation, title=title, context=context)
    written.append(run.evaluation / "embedding.png")
    draw_embedding(embedded, written[-1], title=title)
    written.append(run.evaluation / "worst_pairs.jpg")
    classes = items.dataset.classes
    draw_worst(
        embedded, lambda index: items[int(embedded.items[index])].image, lambda label: classes[label], written[-1]
    )
    return document, written


def write(
    measurement: Measurement, folder: Path, *, title: str, context: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Path]]:
    """Write ``metrics.json``, ``thresholds.csv`` and the pictures; keep the metrics of the untrained model.

    Returns:
        What is in ``metrics.json``, and the files written.
    """
    verification = measurement.verification
    points = [asdict(point) for point in verification.operating_points]
    document = {
        "schema": 1,
        "metrics": measurement.figures,
        "thresholds": points,
        "counts": {
            "images": verification.images,
            "classes": verification.classes,
            "genuine_pairs": verification.genuine_pairs,
            "impostor_pairs": verification.impostor_pairs,
        },
        "untrained": _untrained(folder),
        **context,
    }
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(points[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(points)
    paths = [folder / name for name in (METRICS, "thresholds.csv", "roc.png", "scores.png")]
    draw_roc(verification, paths[2], title=title)
    draw_scores(verification, paths[3], title=title)
    write_text(paths[1], table.getvalue())
    write_json(paths[0], document)
    return document, paths


def _is_unseen(run: RunFolder) -> bool:
    """Return whether training looked for its own classes in the validation data and found none."""
    if not run.record.is_file():
        return False
    match run.read_record():
        case {"start": {"leak": {"shared_names": 0, "alike_classes": 0}}}:
            return True
    # Found some, or a damaged record, which does not say.
    return False


def _untrained(folder: Path) -> dict[str, float] | None:
    """Read what training measured before its first step, else what an earlier evaluation knew."""
    if (folder / UNTRAINED).is_file():
        return read_mapping(folder / UNTRAINED)
    return read_mapping(folder / METRICS).get("untrained") if (folder / METRICS).is_file() else None
