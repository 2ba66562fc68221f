"""One evaluation of a run's best checkpoint: on its validation data or on a folder of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.atomic import read_mapping
from zoo.evaluation.checkpoint import CheckpointSubject, RecipeData
from zoo.evaluation.model import evaluate_subject, folder_name, left_out
from zoo.evaluation.plugin_metrics import measure_by_plugins
from zoo.evaluation.result import Evaluation
from zoo.evaluation.verdict import worse_than_untrained
from zoo.evaluation.writing import METRICS, require_same_protocol
from zoo.recipes.loading import load_run_recipe
from zoo.runs import unreadable

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.evaluation.files import LabelledFiles
    from zoo.evaluation.subjects import Advance
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo.validation.embedded_images import EmbeddedImages
    from zoo.validation.protocol import Protocol
    from zoo_core.registry import Registry

UNTRAINED = "untrained.json"


def evaluate(
    run: RunFolder,
    loaded: LoadedRecipe,
    registry: Registry,
    *,
    files: LabelledFiles | None = None,
    output: Path | None = None,
    advance: Advance = iter,
) -> Evaluation:
    """Evaluate the best checkpoint of ``run`` as `evaluate_run` does, and judge what was found."""
    document, written = evaluate_run(run, loaded, registry, files=files, output=output, advance=advance)
    lost = left_out(files, document) if files else unreadable.summarize(run.unreadable, "valid")
    return Evaluation(
        path=written[0],
        document=document,
        written=tuple(written),
        worse_than_untrained=worse_than_untrained(document, run, loaded.recipe.checkpoint.monitor),
        unreadable=lost,
    )


def evaluate_run(
    run: RunFolder,
    loaded: LoadedRecipe,
    registry: Registry,
    *,
    files: LabelledFiles | None = None,
    output: Path | None = None,
    advance: Advance = iter,
) -> tuple[dict[str, Any], list[Path]]:
    """Evaluate the best checkpoint of ``run`` on the recipe's validation data or on ``files``, and write it down.

    What the run was validated on in training goes into its evaluation folder; anything else goes into a folder of its
    protocol in there, or into ``output``.

    Returns:
        What is in ``metrics.json``, and the files written, that one first.

    Raises:
        UsageError: ``output`` holds figures of another protocol.
        RunError: the checkpoint does not load, or its embeddings cannot be measured.
    """
    subject = CheckpointSubject(loaded.name, run, loaded, registry)
    share = loaded.recipe.data.unreadable_share
    named = loaded.recipe.validation_protocol()
    # Another data set, or captures of another kind: not the validation data of the training.
    own = files is None and named == load_run_recipe(run).recipe.validation_protocol()
    if files is None:
        unreadable.clear(run.unreadable, "valid")
    data = files or RecipeData(loaded, registry)
    samples = unreadable.UnreadableSamples(None if files else run.unreadable, share)
    unseen = own and _is_unseen(run)

    def place(protocol: Protocol) -> Path:
        if own and output is None:
            return run.evaluation
        folder = output or run.evaluation / folder_name(protocol)
        require_same_protocol(folder, protocol.digest)
        return folder

    def context(protocol: Protocol) -> dict[str, Any]:
        return {
            "data": {"name": files.name} if files else named,
            "model": subject.identity,
            "weights_sha256": subject.identity["weights_sha256"],
            "unseen": unseen,
            "untrained": _untrained(run.evaluation, protocol) if own else None,
        }

    def more(embedded: EmbeddedImages) -> dict[str, Any]:
        found = measure_by_plugins(loaded, registry, embedded)
        return {"plugin_metrics": found} if found else {}

    title = f"{loaded.name} on {data.name}" + (", classes not seen in training" if unseen else "")
    return evaluate_subject(
        subject, data, samples, place=place, context=context, title=title, advance=advance, more=more
    )


def _is_unseen(run: RunFolder) -> bool:
    """Return whether training looked for its own classes in the validation data and found none."""
    if not run.record.is_file():
        return False
    match run.read_record():
        case {"start": {"leak": {"shared_names": 0, "alike_classes": 0}}}:
            return True
    # Found some, or a damaged record, which does not say.
    return False


def _untrained(folder: Path, protocol: Protocol) -> dict[str, float] | None:
    """Read what training measured before its first step, else what an earlier evaluation knew: by this protocol."""
    if (folder / UNTRAINED).is_file():
        found = read_mapping(folder / UNTRAINED)
        figures, measured = {key: value for key, value in found.items() if key != "protocol"}, found.get("protocol")
    elif (folder / METRICS).is_file():
        found = read_mapping(folder / METRICS)
        figures, measured = found.get("untrained") or {}, found.get("protocol")
    else:
        return None
    # An older zoo knew no protocol, and counted look-alikes among the strangers.
    same = protocol.look_alikes == 0 if measured is None else measured.get("digest") == protocol.digest
    return figures if figures and same else None
