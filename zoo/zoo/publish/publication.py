"""A run, published: planned, and sent unless only the plan is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo.publish.hub import open_hub, progress_bars
from zoo.publish.plan import plan_push
from zoo.publish.push import Pushed, push
from zoo.publish.retry import retrying
from zoo.recipes.loading import load_run_recipe
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from zoo.publish.plan import Target
    from zoo.runs.layout import RunFolder
    from zoo_core.config import Overrides
    from zoo_core.registry import Registry


def publish(
    run: RunFolder,
    overrides: Overrides,
    registry: Registry,
    target: Target,
    *,
    evaluated: bool = True,
    dry_run: bool = False,
    show: bool = True,
) -> Pushed:
    """Publish the artifact of ``run`` as one commit.

    Args:
        run: a run folder with its artifact.
        overrides: of the recipe's ``card`` and ``hub``.
        registry: plugins that may want to change the card, or stop the push.
        target: where to.
        evaluated: publish the evaluation too.
        dry_run: send nothing, and leave the card in the artifact as it is.
        show: show the client's progress on a terminal, and print a line on stderr for each wait for the Hub.

    Raises:
        UsageError: an override is of another section, something is missing, the tag exists, or the card was edited
            both here and there.
        RecipeError: the recipe is wrong.
        RunError: the export is not verified, or a plugin stopped it.
        RemoteError: the Hub refuses or cannot be reached.
    """
    _check(overrides)
    loaded, api = load_run_recipe(run, overrides), open_hub()
    with retrying(show=show), progress_bars(show=show):
        plan = plan_push(api, run, loaded, registry, target, evaluated=evaluated, dry_run=dry_run)
        if dry_run:
            return Pushed(f"{api.endpoint}/{plan.repo_id}", None, None, plan)
        return push(api, plan, run, registry)


def _check(overrides: Overrides) -> None:
    """Refuse to change what the model was made of: its card would describe another model."""
    keys = overrides if isinstance(overrides, Mapping) else [word.partition("=")[0].strip() for word in overrides]
    for key in keys:
        if not str(key).startswith(("card.", "hub.")):
            message = f"{key}: a push changes only card.* and hub.*"
            raise UsageError(message, hint="the rest of the recipe is what the model was trained with")
