"""``zoo.evaluate`` and ``zoo.compare``."""

from __future__ import annotations

import os
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

from zoo.api.surroundings import (
    left_as_found,
    open_registry,
    open_run,
    require_several,
    shows,
    warn,
    where_started,
)
from zoo.artifacts.layout import ArtifactFolder
from zoo_core.errors import UsageError
from zoo_core.extras import naming_missing_extras

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from zoo.evaluation.comparison import Comparison
    from zoo.evaluation.result import Evaluation
    from zoo.evaluation.subjects import Subject
    from zoo_core.config import Overrides
    from zoo_core.registry import Registry


@naming_missing_extras("zoo.evaluate")
def evaluate(
    model: str | os.PathLike[str] | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    overrides: Overrides = (),
    revision: str | None = None,
    strict: bool = False,
    quiet: bool = False,
) -> Evaluation:
    """Measure a model: all pairs of images, and identification by references.

    Figures and pictures of a run on its own validation data go into its evaluation folder, where `export` finds the
    threshold. Other data get a folder of their own in it; what is measured of any other model is in ``evaluations/``.

    Args:
        model: what `train` returned, or a run by folder or tag: its best checkpoint, in torch. What `export` returned,
            an artifact folder, an ``.onnx`` file or ``ORG/NAME`` on the Hub: its graph, in onnxruntime alone. By
            default the latest run.
        data: a folder of class folders, or one with ``references/CLASS`` and ``queries/CLASS``; by default the
            validation data of the recipe.
        output: where to write instead.
        overrides: what to change in the recipe, as in `train`: ``{"data.valid.options.seed": 7}``.
        revision: branch, tag or commit of a model on the Hub.
        strict: refuse plugins of other versions than the run was trained with, in place of a warning.
        quiet: show no progress; without a terminal there is none.

    Returns:
        The figures by name, the thresholds, and the protocol that they are of.

    Raises:
        UsageError: there is no such model or folder, or ``output`` holds figures of another protocol.
        RecipeError: the recipe or an override is wrong; all problems at once, each with its key.
        ComponentError: a component, or the extra ``plugzoo[train]``, is not installed.
        RunError: the model does not load, images cannot be read, or the embeddings cannot be measured.
    """
    from zoo.evaluation.progress import shown

    require_several(overrides)
    advance = shown if shows(quiet=quiet) else iter
    # Before the folder changes to that in which a run was started.
    folder, place = (None if path is None else Path(path).absolute() for path in (data, output))
    graph = find_graph(model, revision)
    if graph is not None:
        evaluation = _evaluate_graph(graph, os.fspath(model or graph), folder, place, overrides, advance, strict=strict)
    else:
        evaluation = _evaluate_run(model, folder, place, overrides, advance, strict=strict)
    warn(evaluation.warnings)
    return evaluation


@naming_missing_extras("zoo.compare")
def compare(
    models: Sequence[str | os.PathLike[str]],
    *,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    quiet: bool = False,
) -> Comparison:
    """Compare models on the same images, each with the first, by a paired bootstrap over classes.

    Args:
        models: two or more, as `evaluate` takes them.
        data: a folder as of `evaluate`; by default the validation data of the first model's recipe.
        output: a folder for ``comparison.json`` and ``comparison.png``; by default nothing is written.
        revision: branch, tag or commit of models on the Hub.
        quiet: show no progress; without a terminal there is none.

    Returns:
        The differences with their 95 % intervals, and a sentence on each: ``print(comparison)``.

    Raises:
        UsageError: there is no such model or folder, or fewer than two models are named.
        ComponentError: a component, or the extra ``plugzoo[train]``, is not installed.
        RunError: a model does not load, images cannot be read, or the embeddings cannot be measured.
    """
    from zoo.evaluation import comparison as stage
    from zoo.evaluation.files import LabelledFiles
    from zoo.evaluation.progress import shown

    if isinstance(models, str | bytes | os.PathLike):
        raise UsageError(f"models: one, not several: {models!r}", hint="give a list of two or more")
    folder, place = (None if path is None else Path(path).absolute() for path in (data, output))
    advance = shown if shows(quiet=quiet) else iter
    if len(models) < 2:  # noqa: PLR2004 - a comparison is of two
        raise UsageError("one model alone is not compared", hint="name two or more, or see 'zoo eval'")
    graphs = [find_graph(model, revision) for model in models]
    subjects: list[Subject] = []
    registry, failures = open_registry() if folder is None or None in graphs else (None, ())
    for model, graph in zip(models, graphs, strict=True):
        subjects.append(_subject(model, graph, registry))
    warn(failures)
    if folder is not None:
        with left_as_found() if None in graphs else nullcontext():
            return stage.compare(subjects, LabelledFiles.find(folder), output=place, advance=advance)
    from zoo.evaluation.checkpoint import CheckpointSubject, RecipeData, recipe_data

    first = subjects[0]
    with ExitStack() as stack:
        stack.enter_context(left_as_found())
        if isinstance(first, CheckpointSubject):
            stack.enter_context(where_started(first.run))
            found: RecipeData = RecipeData(first.loaded, first.registry)
        else:
            found = recipe_data(cast("Path", graphs[0]), (), cast("Registry", registry))
        return stage.compare(subjects, found, output=place, advance=advance)


def _subject(model: str | os.PathLike[str], graph: Path | None, registry: Registry | None) -> Subject:
    from zoo.evaluation.subjects import GraphSubject

    if graph is not None:
        from zoo.models.model import Model

        return GraphSubject.named(os.fspath(model), Model.open(graph.absolute()))
    from zoo.evaluation.checkpoint import CheckpointSubject
    from zoo.recipes.loading import load_run_recipe

    run = open_run(model)
    name = f"{run.path.parent.name}/{run.path.name}"
    return CheckpointSubject(name, run, load_run_recipe(run, installed=registry), cast("Registry", registry))


def find_graph(model: str | os.PathLike[str] | None, revision: str | None = None) -> Path | None:
    """Return the artifact folder or ``.onnx`` file of a model, downloaded if need be; None where it is a run.

    Raises:
        UsageError: it is neither.
        RemoteError: the Hub refuses, cannot be reached, or holds something else.
    """
    if model is None:
        return None
    from zoo.api.loading import locate

    path, name = Path(model), os.fspath(model)
    if path.exists():
        return path if path.is_file() or ArtifactFolder(path).onnx.is_file() else None
    try:
        open_run(name)
    except UsageError:
        if name.count("/") == 1 or path.suffix == ".onnx":
            return locate(name, revision)
        raise
    return None


def _evaluate_run(
    model: str | os.PathLike[str] | None,
    data: Path | None,
    output: Path | None,
    overrides: Overrides,
    advance: Callable[[Iterable[Any]], Iterable[Any]],
    *,
    strict: bool,
) -> Evaluation:
    from zoo.evaluation import run as stage
    from zoo.evaluation.files import LabelledFiles
    from zoo.recipes.loading import load_run_recipe

    folder = open_run(model)
    registry, failures = open_registry()
    with where_started(folder), left_as_found():
        # What was trained has been checked; its training data need not be there any more.
        loaded = load_run_recipe(
            folder, overrides, registry=registry if overrides else None, installed=registry, strict=strict
        )
        warn((*failures, *loaded.notes, *loaded.warnings))
        files = LabelledFiles.find(data) if data else None
        return stage.evaluate(folder, loaded, registry, files=files, output=output, advance=advance)


def _evaluate_graph(
    graph: Path,
    name: str,
    data: Path | None,
    output: Path | None,
    overrides: Overrides,
    advance: Callable[[Iterable[Any]], Iterable[Any]],
    *,
    strict: bool,
) -> Evaluation:
    from zoo.evaluation.files import LabelledFiles
    from zoo.evaluation.model import evaluate_model
    from zoo.evaluation.subjects import GraphSubject
    from zoo.models.model import Model

    subject = GraphSubject.named(name, Model.open(graph))
    if data is not None:
        if overrides:
            raise UsageError("overrides change a recipe, which a folder of pictures does not need")
        return evaluate_model(subject, LabelledFiles.find(data), output=output, advance=advance)
    from zoo.evaluation.checkpoint import recipe_data

    registry, failures = open_registry()
    recipe = recipe_data(graph, overrides, registry, strict=strict)
    warn((*failures, *recipe.loaded.notes, *recipe.loaded.warnings))
    with left_as_found():
        return evaluate_model(subject, recipe, output=output, advance=advance)
