"""``zoo.export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.api.results import Artifact
from zoo.api.surroundings import left_as_found, open_registry, open_run, require_several, warn, where_started
from zoo_core.extras import naming_missing_extras

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from zoo_core.config import Overrides


@naming_missing_extras("zoo.export")
def export(
    run: str | os.PathLike[str] | None = None,
    *,
    simplify: bool = False,
    precision: str | Sequence[str] | None = None,
    overrides: Overrides = (),
    strict: bool = False,
) -> Artifact:
    """Export a trained model to ONNX, and prove that the file computes what the model does.

    From image files, and in batches of several sizes, the file has to give the embeddings of the model that `evaluate`
    measures. Only a file that does is written, into the run's artifact folder with all else that `push` publishes; when
    a check fails, an older artifact stays as it is.

    Args:
        run: what `train` returned, or a run by folder or tag; by default the latest.
        simplify: simplify the graph by onnxsim, and compare it with torch again.
        precision: in which precisions to write the graph, one or several: ``"fp32"`` (always written), ``"fp16"`` and
            ``"int8"``; by default the recipe's ``onnx.precision.files``. One that loses more on the validation data
            than the recipe's budget allows is left out, with a warning.
        overrides: what to change in the recipe, as in `train`: ``{"onnx.options.opset_version": 17}``.
        strict: refuse plugins of other versions than the run was trained with, in place of a warning.

    Returns:
        The artifact.

    Raises:
        UsageError: there is no such run or precision, or its evaluation is malformed.
        RecipeError: the recipe or an override is wrong, or its ``onnx`` section does not describe one image input.
        ComponentError: a component, or the extra ``plugzoo[train]``, is not installed.
        RunError: the checkpoint does not load, the wrapper or the exporter fails, or the graph differs from the
            checkpoint.
    """
    from zoo.artifacts.layout import PRECISIONS
    from zoo.onnx_export.artifact import export_artifact
    from zoo.recipes.loading import load_run_recipe
    from zoo_core.errors import UsageError

    require_several(overrides)
    wanted = [precision] if isinstance(precision, str) else precision
    wrong = [name for name in wanted or () if name not in PRECISIONS]
    if wrong:
        raise UsageError(f"there is no precision {wrong[0]!r}", hint=f"there are {', '.join(PRECISIONS)}")
    folder = open_run(run)
    registry, failures = open_registry()
    with where_started(folder), left_as_found():
        # What was trained has been checked; its data need not be there any more.
        loaded = load_run_recipe(
            folder, overrides, registry=registry if overrides else None, installed=registry, strict=strict
        )
        warn((*failures, *loaded.notes, *loaded.warnings))
        done = export_artifact(folder, loaded, registry, simplify=simplify, precisions=wanted)
    warn(done.warnings)
    return Artifact(folder.artifact.path)
