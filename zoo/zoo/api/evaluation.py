"""``zoo.evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.api.surroundings import (
    left_as_found,
    open_registry,
    open_run,
    require_several,
    shows,
    warn,
    where_started,
)
from zoo_core.extras import naming_missing_extras

if TYPE_CHECKING:
    import os

    from zoo.evaluation.result import Evaluation
    from zoo_core.config import Overrides


@naming_missing_extras("zoo.evaluate")
def evaluate(
    run: str | os.PathLike[str] | None = None, *, overrides: Overrides = (), quiet: bool = False
) -> Evaluation:
    """Measure a trained model: all pairs of its validation images, and rank-1 against one reference a class.

    Writes figures and pictures into the run's evaluation folder; `export` takes the threshold from there.

    Args:
        run: what `train` returned, or a run by folder or tag; by default the latest.
        overrides: what to change in the recipe, as in `train`: ``{"data.valid.options.seed": 7}``.
        quiet: show no progress; without a terminal there is none.

    Returns:
        The figures by name, and the thresholds.

    Raises:
        UsageError: there is no such run.
        RecipeError: the recipe or an override is wrong; all problems at once, each with its key.
        ComponentError: a component, or the extra ``plugzoo[train]``, is not installed.
        RunError: the checkpoint does not load, images cannot be read, or the embeddings cannot be measured.
    """
    from zoo.evaluation import run as stage
    from zoo.evaluation.progress import shown
    from zoo.recipes.loading import load_run_recipe

    require_several(overrides)
    folder = open_run(run)
    registry, failures = open_registry()
    with where_started(folder), left_as_found():
        # What was trained has been checked; its training data need not be there any more.
        loaded = load_run_recipe(folder, overrides, registry=registry if overrides else None)
        warn((*failures, *loaded.notes, *loaded.warnings))
        evaluation = stage.evaluate(folder, loaded, registry, advance=shown if shows(quiet=quiet) else iter)
    warn(evaluation.warnings)
    return evaluation
