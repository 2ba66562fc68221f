"""``zoo.push`` and ``zoo.pull``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.api.results import Artifact
from zoo.api.surroundings import open_registry, open_run, require_several, warn
from zoo_core.errors import UsageError
from zoo_core.extras import naming_missing_extras

if TYPE_CHECKING:
    from zoo.publish.push import Pushed
    from zoo.runs.layout import RunFolder
    from zoo_core.config import Overrides


@naming_missing_extras("zoo.push")
def push(
    artifact: str | os.PathLike[str] | None = None,
    repo_id: str | None = None,
    *,
    private: bool | None = None,
    revision: str = "main",
    create_pr: bool = False,
    tag: str | None = None,
    prune: bool = False,
    evaluated: bool = True,
    overrides: Overrides = (),
    dry_run: bool = False,
    quiet: bool = False,
) -> Pushed:
    """Publish an exported run on the Hugging Face Hub, with a model card, as one commit.

    The Hub is the one that ``HF_ENDPOINT`` and ``HF_TOKEN`` (or ``hf auth login``) name.

    Args:
        artifact: what `export` or `train` returned, or a run by folder or tag; by default the latest run.
        repo_id: ``ORG/NAME``; by default the recipe's ``hub.repo_id``, or your own ``RECIPE``.
        private: visibility of a new repository; None: as the recipe's ``hub.private`` says, by default private.
        revision: the branch; a new one is made.
        create_pr: open a pull request instead of changing the branch.
        tag: a name for the commit; one that exists is refused before anything is sent.
        prune: remove what others have added to the repository, too. Without it, only what an earlier push has left
            and this one lacks is removed.
        evaluated: publish the evaluation, too.
        overrides: of the recipe's ``card`` and ``hub``, as in `train`: ``{"card.license": "apache-2.0"}``.
        dry_run: send nothing; the plan, with the card, is in what is returned.
        quiet: show no progress, of which there is none without a terminal, and no line when the Hub is busy.

    Returns:
        Address, commit and plan.

    Raises:
        UsageError: there is no such run, licence, artifact or evaluation, an override is of another section, the tag
            exists, or the card was edited both here and on the Hub.
        RecipeError: the recipe or an override is wrong.
        RunError: the export is not verified, or a plugin stopped it.
        RemoteError: the Hub refuses or cannot be reached.
    """
    from zoo.publish.plan import Target
    from zoo.publish.publication import publish

    require_several(overrides)
    run = _run_of(artifact)
    registry, failures = open_registry()
    warn(failures)
    target = Target(repo_id, private, revision, create_pr, tag, prune)
    return publish(run, overrides, registry, target, evaluated=evaluated, dry_run=dry_run, show=not quiet)


@naming_missing_extras("zoo.pull")
def pull(
    repo_id: str,
    *,
    revision: str | None = None,
    output: str | os.PathLike[str] | None = None,
    quiet: bool = False,
) -> Artifact:
    """Download a model that zoo published, and check that its graph is the one that was verified.

    Args:
        repo_id: ``ORG/NAME``.
        revision: branch, tag or commit; by default the main branch.
        output: a new folder for a copy of the files; by default they stay in the Hub's cache.
        quiet: show no progress; without a terminal there is none.

    Returns:
        The artifact.

    Raises:
        RemoteError: the Hub refuses, cannot be reached, or holds something else.
        UsageError: ``output`` exists and is not empty, or ``repo_id`` is no valid name.
    """
    from zoo.publish.pull import pull as pull_files

    folder = None if output is None else Path(output)
    return Artifact(pull_files(repo_id, revision=revision, output=folder, show=not quiet))


def _run_of(artifact: str | os.PathLike[str] | None) -> RunFolder:
    """Return the run that an artifact was exported from, or the run that is named."""
    from zoo.artifacts.layout import ArtifactFolder
    from zoo.runs.layout import RunFolder

    if artifact is None:
        return open_run(None)
    path = Path(os.fspath(artifact))
    run = RunFolder(path.absolute().parent)
    if run.artifact.path == path.absolute() and run.recipe.is_file():
        return run
    if ArtifactFolder(path).onnx.is_file():
        hint = "push the run that it was exported from"
        raise UsageError(f"{path} lies in no run, of whose record the card is made", hint=hint)
    return open_run(artifact)
