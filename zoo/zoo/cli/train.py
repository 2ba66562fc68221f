"""``zoo train``: recipe to run folder."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from zoo.cli.completion import complete_runs
from zoo.cli.options import (
    cfg_option,
    json_option,
    load,
    load_of_run,
    open_run_where_started,
    recipe_argument,
    split_recipe,
    strict_option,
)

if TYPE_CHECKING:
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo.training.plan import TrainingPlan
    from zoo.training.run import TrainingOutcome
    from zoo_core.registry import Registry


class Duration(click.ParamType):  # type: ignore[type-arg] # generic in some versions of click only
    """A time such as ``90s``, ``15m``, ``1h30m`` or ``2d``; becomes Lightning's ``DD:HH:MM:SS``."""

    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Parse ``value``."""
        from zoo.training.duration import lightning_time
        from zoo_core.errors import UsageError

        try:
            return lightning_time(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


@click.command(
    epilog="KEY=VALUE changes the recipe: data.loader.batch_size=64 model.loss.options.m=0.3 trainer.max_epochs=5",
)
@cfg_option
@click.option("--max-time", type=Duration(), metavar="TIME", help="Stop after 90s, 15m, 1h30m ..., fully decayed.")
@click.option("--resume", is_flag=True, help="Go on with a run: the latest, or --run RUN.")
@click.option("--run", "run_name", metavar="RUN", shell_complete=complete_runs, help="The run to resume.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the new run.")
@click.option("-n", "--dry-run", is_flag=True, help="Build everything, say what would be trained, write nothing.")
@strict_option
@json_option
@recipe_argument
def command(
    cfg: str | None,
    max_time: str | None,
    resume: bool,
    run_name: str | None,
    output: Path | None,
    dry_run: bool,
    strict: bool,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Train a recipe, and evaluate the best checkpoint on classes it has never seen."""
    from zoo.cli.output import open_registry, say
    from zoo_core.errors import UsageError

    cfg, overrides = split_recipe(cfg, overrides)
    if run_name and not resume:
        raise UsageError("--run names a run to --resume; a new one goes to --output DIR")
    overrides = (*overrides, *([f"trainer.max_time='{max_time}'"] if max_time else []))
    resumed = _resumed(run_name, overrides, anew=bool(cfg or output)) if resume else None
    registry = open_registry()
    loaded = load_of_run(resumed, overrides, registry=registry) if resumed else load(cfg, overrides, registry=registry)

    from zoo.api.loading import fetch_whole
    from zoo.onnx_export.rehearsal import rehearse_export
    from zoo.runs.resuming import resume_command
    from zoo.training.plan import plan_training
    from zoo.training.start import new_folder, train_or_leave_nothing
    from zoo.training.trainer import is_first_rank

    if resumed and _has_ended(resumed, loaded, registry, as_json=as_json, dry_run=dry_run):
        return
    plan = plan_training(loaded, registry, resume=resumed, strict=strict, fetch=fetch_whole)
    rehearse_export(plan.model, loaded, registry)
    if is_first_rank():
        _announce(plan)
    if dry_run:
        return
    folder = resumed or new_folder(loaded.name, output)
    try:
        outcome = train_or_leave_nothing(plan, folder, named=bool(output or resume))
    except SystemExit:
        if is_first_rank():
            resumable = f"stopped at once; resume from the last checkpoint: {resume_command(folder)}"
            say(resumable if folder.last.is_file() else "stopped before the first step; nothing to resume")
        raise
    if outcome.interrupted:
        _leave(folder, outcome)
    if is_first_rank():
        say(f"trained on {outcome.images:,} images at {outcome.images_per_second:.0f} images/s")
        trained = {"images": outcome.images, "images_per_second": outcome.images_per_second}
        _conclude(folder, loaded, registry, trained, as_json=as_json)


def _has_ended(run: RunFolder, loaded: LoadedRecipe, registry: Registry, *, as_json: bool, dry_run: bool) -> bool:
    """Return whether there is nothing left to train, and say so; evaluate what was stopped before its evaluation."""
    from zoo.cli.output import print_json, say
    from zoo.runs.resuming import resume_command
    from zoo.training.ended import ended_training
    from zoo.training.trainer import is_first_rank

    ended = ended_training(run, loaded.recipe.trainer)
    if ended is None or not is_first_rank():
        return ended is not None
    say(
        f"{run.path}: nothing is left to train after epoch {ended.epochs}, step {ended.steps:,}; "
        f"to train on: {resume_command(run)} {' '.join(ended.limits)}"
    )
    if not ended.evaluated and not dry_run:
        _conclude(run, loaded, registry, as_json=as_json)
    elif as_json:
        print_json({"run": str(run.path), "ended": {"epochs": ended.epochs, "steps": ended.steps}})
    return True


def _leave(folder: RunFolder, outcome: TrainingOutcome) -> NoReturn:
    """Say how to resume, and exit as a process that a signal ended."""
    from zoo.cli.output import say
    from zoo.runs.resuming import resume_command
    from zoo.training.trainer import is_first_rank

    if is_first_rank():
        say(f"the last step is kept in {folder.last}; resume: {resume_command(folder)}")
    if outcome.signal == signal.SIGINT:
        raise KeyboardInterrupt
    raise click.exceptions.Exit(128 + outcome.signal)


def _resumed(run_name: str | None, overrides: tuple[str, ...], *, anew: bool) -> RunFolder:
    """Open the run to resume; what made its checkpoint has to stay, or it would not be the same training."""
    from zoo.training.resume import require_changeable
    from zoo_core.errors import UsageError

    if anew:
        raise UsageError("--resume goes on with a run's own recipe and folder; leave the recipe and --output out")
    require_changeable(override.partition("=")[0] for override in overrides)
    here = Path.cwd()
    run = open_run_where_started(run_name)
    if Path.cwd() != here:
        # Lightning starts other ranks by this process's words, and where it is.
        sys.argv[1:] = ["train", "--resume", "--run", str(run.path), *overrides]
    return run


def _announce(plan: TrainingPlan) -> None:
    from zoo.cli.output import say, warn
    from zoo_core.capabilities import HasClassTable

    for line in plan.resumption.lines if plan.resumption else ():
        say(f"changed since the start: {line}")
    recipe = plan.recipe
    parameters = sum(parameter.numel() for parameter in plan.model.parameters())
    height, width = recipe.data.image_size
    names = "  ".join(component.name for component in (recipe.model.backbone, recipe.model.head, recipe.model.loss))
    say(
        f"{plan.loaded.name}: {names}  {parameters / 1e6:.2f} M parameters  "
        f"{height}x{width} -> {plan.model.embedding_dim}"
    )
    say(
        f"{recipe.data.train.name}: {len(plan.data.classes):,} classes, {_samples(plan)}, "
        f"{plan.data.samples_per_epoch:,} an epoch  |  {plan.report.side}, {recipe.data.valid.name}: "
        f"{len(plan.data.validation.dataset.classes):,} classes, {len(plan.data.validation):,} images"
    )
    if plan.initial:
        say(plan.initial.summary)
    for line in (*plan.report.lines, *plan.first_batch.warnings):
        warn(line)
    if isinstance(plan.loss, HasClassTable):
        say(f"class table: {plan.loss.class_table_summary}")
    if plan.learning_rate_factor != 1:
        factor, images = plan.learning_rate_factor, plan.images_per_step
        say(f"learning rate: {factor:.3g} of the recipe's, for {images:,} images a step")


def _samples(plan: TrainingPlan) -> str:
    from zoo.training.data.streaming import ENDLESS

    count = len(plan.data.items)
    return f"{count:,} samples" if count < ENDLESS else "streamed"


def _conclude(
    folder: RunFolder,
    loaded: LoadedRecipe,
    registry: Registry,
    trained: dict[str, float] | None = None,
    *,
    as_json: bool,
) -> None:
    """Evaluate the best checkpoint, and say what there is now and what to type next."""
    from zoo.cli.evaluation_table import print_evaluation
    from zoo.cli.output import print_json, say, warn
    from zoo.evaluation.run import evaluate_run
    from zoo.evaluation.verdict import worse_than_untrained
    from zoo.runs.unreadable import summarize

    say(f"evaluating {folder.best}")
    document, _ = evaluate_run(folder, loaded, registry)
    worse = worse_than_untrained(document, folder, loaded.recipe.checkpoint.monitor)
    if as_json:
        results = {"trained": trained, "evaluation": document, "worse_than_untrained": worse}
        print_json({"run": str(folder.path), **results})
    else:
        print_evaluation(document)
    if worse:
        warn(worse)
    if unreadable := summarize(folder.unreadable):
        warn(unreadable)
    say(f"written: {folder.path} (recipe, record, checkpoints, curves, evaluation)")
    say(f"next: zoo export --simplify --run {folder.typed}   or look: tensorboard --logdir {folder.typed}")
