"""A run's artifact to the Hub: planned whole, then sent as one commit."""

from __future__ import annotations

import logging
import tempfile
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, constants
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, but not in an __all__
    build_hf_headers,
    get_session,
)

from zoo.atomic import write_text
from zoo.publish.card import body, metadata
from zoo.publish.card_facts import PublishedFile, gather
from zoo.publish.card_merge import merge
from zoo.publish.hub import LOGIN, check_repo_id, hub_errors, token_of
from zoo_core.errors import RemoteError
from zoo_core.events import notify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huggingface_hub import HfApi

    from zoo.artifacts.layout import ArtifactFolder
    from zoo.publish.card_facts import Facts
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo_core.registry import Registry

CARD = "README.md"
# Folders of a repository that are zoo's own: what an earlier push left there and this one lacks is removed.
_OWN_FOLDERS = ("onnx/", "eval/", "assets/")


@dataclass(frozen=True)
class Target:
    """Where to publish. ``private`` None: as the recipe says for a new repository, unchanged for one that exists."""

    repo_id: str | None = None
    private: bool | None = None
    revision: str = constants.DEFAULT_REVISION
    create_pr: bool = False


@dataclass(frozen=True)
class Plan:
    """What a push will do. ``parent``: the commit it builds on; None when there is no such repository or branch."""

    repo_id: str
    private: bool
    revision: str
    create_pr: bool
    exists: bool
    parent: str | None
    files: tuple[PublishedFile, ...]
    removed: tuple[str, ...]
    card: str


@dataclass(frozen=True, repr=False)
class Pushed:
    """What a push did.

    Attributes:
        url: of the model on the Hub.
        commit: its new commit; None when everything was there already, and of a dry run.
        pull_request: its address, where one was asked for and made.
        plan: the files, the card, and what is removed.
    """

    url: str
    commit: str | None
    pull_request: str | None
    plan: Plan

    def __repr__(self) -> str:
        return f"Pushed({self.pull_request or self.url!r}, commit={self.commit!r})"


@dataclass(frozen=True)
class _Remote:
    exists: bool
    private: bool
    commit: str | None = None
    names: tuple[str, ...] = ()
    card: str | None = None


def plan_push(
    api: HfApi,
    run: RunFolder,
    loaded: LoadedRecipe,
    registry: Registry,
    target: Target,
    *,
    evaluated: bool = True,
    dry_run: bool = False,
) -> Plan:
    """Check the run folder, read what the Hub holds, and write the card; nothing is sent.

    Args:
        api: the Hub.
        run: a run folder with its artifact.
        loaded: its recipe.
        registry: plugins that may want to change the card.
        target: where to.
        evaluated: publish the evaluation too.
        dry_run: leave the card in the artifact as it is.

    Raises:
        UsageError: something is missing, or the card was edited both here and on the Hub.
        RunError: the export is not verified.
        RemoteError: the Hub refuses or cannot be reached.
    """
    facts = gather(run, loaded, evaluated=evaluated)
    chosen = loaded.recipe.hub.repo_id if target.repo_id is None else target.repo_id
    repo_id = _own_repo(api, loaded.name) if chosen is None else check_repo_id(chosen)
    wished = loaded.recipe.hub.private if target.private is None else target.private
    remote = _remote(api, repo_id, target.revision, private=wished)
    if remote.exists and target.private not in {None, remote.private}:
        state = "private" if remote.private else "public"
        warnings.warn(f"{repo_id} exists and stays {state}: change that in its settings on the Hub", stacklevel=2)
    text = _card(facts, repo_id, run.artifact, remote.card)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / CARD if dry_run else run.artifact.card
        write_text(path, text)
        notify(registry, "zoo_card_written", card=path)
        card = PublishedFile.of(path, CARD)
        text = path.read_bytes().decode()
    files = (replace(card, path=run.artifact.card), *facts.files)
    kept = {file.name for file in files}
    removed = tuple(name for name in remote.names if name.startswith(_OWN_FOLDERS) and name not in kept)
    return Plan(
        repo_id, remote.private, target.revision, target.create_pr, remote.exists, remote.commit, files, removed, text
    )


def push(api: HfApi, plan: Plan, run: RunFolder, registry: Registry) -> Pushed:
    """Carry out ``plan``: create what is missing, then one commit on the planned parent, or none if nothing changed.

    Raises:
        RunError: a plugin stopped it.
        RemoteError: the Hub refuses, cannot be reached, or was changed since the plan was made.
    """
    notify(registry, "zoo_before_push", artifact=run.artifact.path, repo_id=plan.repo_id)
    if not token_of(api):
        raise RemoteError(f"{api.endpoint}: not logged in", hint=LOGIN)
    with hub_errors(api, plan.repo_id), ExitStack() as stack:
        parent = plan.parent or _create(api, plan)
        plain = not _speaks_xet(api, plan)
        stack.enter_context(_quiet_client())
        # The client sends an open file by plain LFS, a path by xet, and has no way back from a Hub without xet.
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(file.name, file.content or (_opened(file, stack) if plain else file.path))
            for file in plan.files
        ]
        operations += [CommitOperationDelete(name) for name in plan.removed]
        commit = api.create_commit(
            plan.repo_id,
            operations,
            commit_message=f"Publish {run.name} by zoo",
            revision=plan.revision,
            parent_commit=parent,
            create_pr=plan.create_pr,
            # Files with the same content share one handle, which only one upload may read at a time.
            num_threads=1,
        )
    changed = commit.oid != parent
    url = f"{api.endpoint}/{plan.repo_id}"
    return Pushed(url, commit.oid if changed else None, commit.pr_url if changed else None, plan)


def _opened(file: PublishedFile, stack: ExitStack) -> BinaryIO:
    return stack.enter_context(file.path.open("rb"))


def _own_repo(api: HfApi, name: str) -> str:
    if not token_of(api):
        raise RemoteError(f"{api.endpoint}: not logged in, and no ORG/NAME is given", hint=LOGIN)
    with hub_errors(api, name):
        return f"{api.whoami()['name']}/{name}"


def _remote(api: HfApi, repo_id: str, revision: str, *, private: bool) -> _Remote:
    """Read what the repository holds; of a branch that does not exist yet, what it will start from."""
    with hub_errors(api, repo_id):
        try:
            main = api.model_info(repo_id)
        except RepositoryNotFoundError:
            return _Remote(exists=False, private=private)
        try:
            info = main if revision == constants.DEFAULT_REVISION else api.model_info(repo_id, revision=revision)
            commit = info.sha
        except RevisionNotFoundError:
            info, commit = main, None
        names = tuple(sibling.rfilename for sibling in info.siblings or [])
        card = _fetch_card(api, repo_id, info.sha) if CARD in names else None
    return _Remote(exists=True, private=bool(main.private), commit=commit, names=names, card=card)


def _fetch_card(api: HfApi, repo_id: str, commit: str | None) -> str | None:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            path = Path(api.hf_hub_download(repo_id, CARD, revision=commit, local_dir=scratch))
        except EntryNotFoundError:
            return None
        try:
            return path.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise RemoteError(f"{repo_id}: README.md is not UTF-8: {error}", hint="correct it on the Hub") from error


def _card(facts: Facts, repo_id: str, artifact: ArtifactFolder, remote: str | None) -> str:
    local = artifact.card.read_bytes().decode() if artifact.card.is_file() else None
    return merge(metadata(facts, repo_id), body(facts, repo_id), local=local, remote=remote)


def _create(api: HfApi, plan: Plan) -> str | None:
    if not plan.exists:
        api.create_repo(plan.repo_id, private=plan.private, exist_ok=True)
    if plan.revision != constants.DEFAULT_REVISION:
        api.create_branch(plan.repo_id, branch=plan.revision, exist_ok=True)
    return api.model_info(plan.repo_id, revision=plan.revision).sha


def _speaks_xet(api: HfApi, plan: Plan) -> bool:
    if api.endpoint == constants.HUGGINGFACE_CO_URL_HOME.rstrip("/"):
        return True
    url = f"{api.endpoint}/api/models/{plan.repo_id}/xet-write-token/{quote(plan.revision, safe='')}"
    return bool(get_session().get(url, headers=build_hf_headers(token=api.token)).is_success)


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Silence the client's advice: what it says (nothing changed, no xet) is known here and reported better."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
