"""``zoo.train``."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.api.results import Run
from zoo.api.surroundings import (
    left_as_found,
    open_registry,
    open_run,
    require_several,
    shows,
    warn,
    where_started,
)
from zoo.runs.layout import RunFolder
from zoo_core.errors import RunError, UsageError
from zoo_core.extras import naming_missing_extras

if TYPE_CHECKING:
    import os
    from datetime import timedelta

    from zoo.recipes.loading import LoadedRecipe
    from zoo.training.plan import TrainingPlan
    from zoo_core.config import Overrides
    from zoo_core.registry import Registry


@naming_missing_extras("zoo.train")
def train(
    recipe: str | os.PathLike[str] | None = None,
    *,
    overrides: Overrides = (),
    max_time: str | timedelta | None = None,
    run: str | os.PathLike[str] | None = None,
    resume: bool = False,
    strict: bool = False,
    quiet: bool = False,
) -> Run:
    """Train a recipe on one device, or go on with a training; `evaluate` is another step.

    In the main thread Ctrl-C, SIGTERM and SIGHUP save the last step, and are then raised again: Ctrl-C becomes
    KeyboardInterrupt. In another thread no signal is listened to. The generators of random, numpy and torch are seeded
    by the recipe and put back afterwards, so train in one thread at a time. A run is resumed, as it is evaluated and
    exported, in the folder that it was started in, which its recipe's relative paths are relative to.

    Args:
        recipe: the name of a recipe, or the path of its file; None to ``resume``.
        overrides: what to change in the recipe: values by dotted key, ``{"trainer.max_epochs": 5, "ema": None}``, or
            words as on the command line, ``["trainer.max_epochs=5"]``, which are YAML.
        max_time: when to stop, fully decayed: ``"90s"``, ``"15m"``, ``"1h30m"``, ``"2d"``, or a timedelta.
        run: a new or empty folder for the run, by default ``runs/RECIPE/TIME``; with ``resume`` the run to go on with,
            by folder or tag, by default the latest.
        resume: go on from the last checkpoint; ``overrides`` may then change ``trainer.*``, ``data.loader.*``,
            ``checkpoint.every_*`` and ``optimizer.options.lr``.
        strict: make errors of what is only warned of: what is left out, leaked, dropped or replaced.
        quiet: show no progress; without a terminal there is none.

    Returns:
        The run, whose best checkpoint is kept; of a resumed one that has ended already, as it is, with a warning.

    Raises:
        UsageError: there is no such recipe or run, the folder is not free, an argument is wrong, or several devices
            would train.
        RecipeError: the recipe or an override is wrong; all problems at once, each with its key.
        ComponentError: a component, or the extra ``plugzoo[train]``, is not installed.
        RunError: the data cannot be read, or the training failed; the folder keeps the last checkpoint.
    """
    registry, failures = open_registry()
    warn(failures)
    changes = _changes(overrides, max_time)
    resumed = _opened(recipe, run, changes) if resume else None
    with where_started(resumed) if resumed else nullcontext():
        loaded = _loaded(recipe, resumed, changes, registry)
        warn((*loaded.notes, *loaded.warnings))
        if resumed and _has_ended(resumed, loaded):
            return Run(resumed.path)
        folder = resumed or (RunFolder(Path(run).absolute()) if run is not None else None)
        return Run(_trained(loaded, registry, folder, resume=resume, strict=strict, show=shows(quiet=quiet)).path)


def _trained(
    loaded: LoadedRecipe, registry: Registry, folder: RunFolder | None, *, resume: bool, strict: bool, show: bool
) -> RunFolder:
    from zoo.api.loading import fetch_whole
    from zoo.onnx_export.rehearsal import rehearse_export
    from zoo.runs.unreadable import summarize
    from zoo.training.plan import plan_training
    from zoo.training.start import new_folder

    with left_as_found():
        resumed = folder if resume else None
        plan = plan_training(loaded, registry, resume=resumed, strict=strict, fetch=fetch_whole)
        rehearse_export(plan.model, loaded, registry)
        _require_one_device(plan)
        changed = plan.resumption.lines if plan.resumption else ()
        lines = [*plan.report.lines, *plan.first_batch.warnings]
        warn((*(f"changed since the start: {line}" for line in changed), *lines))
        named = folder is not None
        folder = folder or new_folder(loaded.name, None)
        number = _train(plan, folder, named=named, show=show)
    if number:
        _pass_on(number, folder)
    warn(filter(None, [summarize(folder.unreadable)]))
    return folder


def _changes(overrides: Overrides, max_time: str | timedelta | None) -> Overrides:
    from zoo.training.duration import lightning_time

    require_several(overrides)
    if max_time is None:
        return overrides
    time = lightning_time(max_time)
    if isinstance(overrides, Mapping):
        return {**overrides, "trainer.max_time": time}
    return (*overrides, f"trainer.max_time='{time}'")


def _opened(recipe: str | os.PathLike[str] | None, run: str | os.PathLike[str] | None, changes: Overrides) -> RunFolder:
    """Open the run to resume."""
    from zoo.training.resume import require_changeable

    if recipe is not None:
        hint = "leave the recipe out, and name the run by run="
        raise UsageError("resume goes on with a run's own recipe", hint=hint)
    require_changeable(changes if isinstance(changes, Mapping) else [word.partition("=")[0] for word in changes])
    return open_run(run)


def _has_ended(run: RunFolder, loaded: LoadedRecipe) -> bool:
    """Return whether there is nothing left to train, and warn of it."""
    from zoo.training.ended import ended_training

    ended = ended_training(run, loaded.recipe.trainer)
    if ended is not None:
        done = f"nothing is left to train after epoch {ended.epochs}, step {ended.steps:,}"
        warn([f"{run.path}: {done}; to train on, override {' '.join(ended.limits)}"])
    return ended is not None


def _loaded(
    recipe: str | os.PathLike[str] | None, resumed: RunFolder | None, changes: Overrides, registry: Registry
) -> LoadedRecipe:
    from zoo.recipes.loading import load_recipe, load_run_recipe

    if resumed:
        return load_run_recipe(resumed, changes, registry=registry)
    if recipe is None:
        raise UsageError("which recipe?", hint="name one of those that 'zoo recipes' lists, or resume a run")
    return load_recipe(recipe, changes, registry=registry)


def _require_one_device(plan: TrainingPlan) -> None:
    if plan.devices > 1:
        # Lightning starts the program again for each, and each would go on behind this call.
        hint = 'pass overrides={"trainer.devices": 1}, or train by the command: zoo train'
        raise UsageError(f"zoo.train trains on one device, and the recipe on {plan.devices}", hint=hint)


def _train(plan: TrainingPlan, folder: RunFolder, *, named: bool, show: bool) -> int:
    """Train, and return the number of the signal that ended it; 0: none did."""
    from zoo.training.signals import STOPPING
    from zoo.training.start import train_or_leave_nothing

    try:
        return train_or_leave_nothing(plan, folder, named=named, show=show).signal
    except SystemExit as stop:
        for number in STOPPING:
            if stop.code == 128 + number:
                return int(number)
        raise


def _pass_on(number: int, folder: RunFolder) -> None:
    """Let the program's own handler have the signal; where it returns, go on with what is there."""
    name = signal.Signals(number).name
    if folder.last.is_file():
        warn([f"stopped by {name}; go on with zoo.train(resume=True, run={str(folder.path)!r})"])
    signal.raise_signal(number)
    if not folder.last.is_file():
        raise RunError(f"stopped by {name} before the first step; nothing to resume")
