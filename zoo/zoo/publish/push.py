"""A planned push, carried out: one commit, and nothing left behind where the Hub refuses it."""

from __future__ import annotations

import logging
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import CONFLICT, INTERNAL_SERVER_ERROR, PRECONDITION_FAILED
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, but not in an __all__
    build_hf_headers,
    get_session,
)

from zoo.publish.hub import LOGIN, hub_errors, token_of
from zoo.publish.remote import holds, read_files
from zoo.publish.retry import LostError
from zoo_core.errors import RemoteError
from zoo_core.events import notify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huggingface_hub import HfApi

    from zoo.publish.artifact_facts import PublishedFile
    from zoo.publish.plan import Plan
    from zoo.runs.layout import RunFolder
    from zoo_core.registry import Registry


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

    @property
    def revision(self) -> str | None:
        """What to pull to get these files: a tag, a pull request or a branch; None: the main branch has them."""
        if self.pull_request:
            return f"refs/pr/{self.pull_request.rpartition('/')[2]}"
        return self.plan.tag or (None if self.plan.revision == constants.DEFAULT_REVISION else self.plan.revision)

    def __repr__(self) -> str:
        return f"Pushed({self.pull_request or self.url!r}, commit={self.commit!r})"


def push(api: HfApi, plan: Plan, run: RunFolder, registry: Registry) -> Pushed:
    """Carry out ``plan``: create what is missing, then one commit on the planned parent, or none if nothing changed.

    A repository or branch that this push has created goes again when its commit is refused.

    Raises:
        RunError: a plugin stopped it.
        RemoteError: the Hub refuses, cannot be reached, or was changed since the plan was made.
    """
    notify(registry, "zoo_before_push", artifact=run.artifact.path, repo_id=plan.repo_id)
    if not token_of(api):
        raise RemoteError(f"{api.endpoint}: not logged in", hint=LOGIN)
    commit, pull_request = None, None
    with hub_errors(api, plan.repo_id), _quiet_client(), _place(api, plan) as parent:
        if plan.sent or plan.removed:
            commit, pull_request = _commit(api, plan, parent, f"Publish {run.name} by zoo")
    if commit == parent:  # others have sent the same in the meantime
        commit, pull_request = None, None
    if plan.tag:
        _tag(api, plan, commit or parent, made=commit is not None)
    return Pushed(f"{api.endpoint}/{plan.repo_id}", commit, pull_request, plan)


@contextmanager
def _place(api: HfApi, plan: Plan) -> Iterator[str]:
    """Yield the commit to build on; a repository or branch that is created for it goes again if the push fails."""
    if plan.parent:
        yield plan.parent
        return
    # All that can be asked without a repository is asked before there is one.
    _check_card(api, plan)
    created, branched = not plan.exists and _is_created(api, plan), False
    try:
        branched = plan.revision != constants.DEFAULT_REVISION and _is_branched(api, plan)
        yield str(api.model_info(plan.repo_id, revision=plan.revision).sha)
    except BaseException:  # Ctrl-C too
        if created:
            _delete_repository(api, plan.repo_id)
        elif branched:
            _delete_branch(api, plan)
        raise


def _check_card(api: HfApi, plan: Plan) -> None:
    headers = build_hf_headers(token=api.token)
    sent = {"content": plan.card, "repoType": constants.REPO_TYPE_MODEL}
    answer = get_session().post(f"{api.endpoint}/api/validate-yaml", json=sent, headers=headers)
    if answer.is_success:
        return
    try:
        said = "; ".join(str(error["message"]) for error in answer.json()["errors"])
    except (ValueError, LookupError, TypeError):
        said = answer.text
    raise RemoteError(f"{plan.repo_id}: {api.endpoint} refuses the metadata of README.md: {' '.join(said.split())}")


def _is_created(api: HfApi, plan: Plan) -> bool:
    """Create the repository; return False where somebody has in the meantime."""
    try:
        api.create_repo(plan.repo_id, private=plan.private)
    except HfHubHTTPError as error:
        if error.response.status_code != CONFLICT:
            raise
        return False
    return True


def _is_branched(api: HfApi, plan: Plan) -> bool:
    """Create the branch from what the plan compares with; return False where somebody has in the meantime.

    Raises:
        RemoteError: that branch holds something else than the plan knows.
    """
    try:
        api.create_branch(plan.repo_id, branch=plan.revision, revision=plan.base)
    except HfHubHTTPError as error:
        if error.response.status_code != CONFLICT:
            raise
        if plan.base and api.model_info(plan.repo_id, revision=plan.revision).sha != plan.base:
            message = f"{plan.repo_id}: the branch {plan.revision} was created in the meantime, and is not what main is"
            raise RemoteError(message, hint="run it again: nothing was changed by this push") from error
        return False
    return True


def _delete_repository(api: HfApi, repo_id: str) -> None:
    """Delete what this push has created, unless somebody has put something into it."""
    try:
        refs = api.list_repo_refs(repo_id, include_pull_requests=True)
        heads = {ref.target_commit for ref in [*refs.branches, *(refs.pull_requests or ())]}
        if len(heads) == 1 and len(api.list_repo_commits(repo_id, revision=heads.pop())) == 1:
            api.delete_repo(repo_id)
            return
        why = "somebody has committed to it"
    except Exception as error:  # noqa: BLE001 - the push has failed already, and that error matters more
        why = " ".join(str(error).split())
    warnings.warn(f"{repo_id}: this push has created the repository, and leaves it on the Hub: {why}", stacklevel=2)


def _delete_branch(api: HfApi, plan: Plan) -> None:
    """Delete the branch that this push has created, unless somebody has committed to it."""
    try:
        if api.model_info(plan.repo_id, revision=plan.revision).sha == plan.base:
            api.delete_branch(plan.repo_id, branch=plan.revision)
            return
        why = "somebody has committed to it"
    except Exception as error:  # noqa: BLE001 - as above
        why = " ".join(str(error).split())
    message = f"{plan.repo_id}: this push has created the branch {plan.revision}, and leaves it on the Hub: {why}"
    warnings.warn(message, stacklevel=2)


def _commit(api: HfApi, plan: Plan, parent: str, message: str) -> tuple[str, str | None]:
    """Send what is new, changed and gone as one commit; return it, and the address of its pull request."""
    with ExitStack() as stack:
        plain = not _speaks_xet(api, plan)
        # The client sends an open file by plain LFS, a path by xet, and has no way back from a Hub without xet.
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(file.name, file.content or (_opened(file, stack) if plain else file.path))
            for file in plan.sent
        ]
        operations += [CommitOperationDelete(name) for name in plan.removed]
        try:
            made = api.create_commit(
                plan.repo_id,
                operations,
                commit_message=message,
                revision=plan.revision,
                parent_commit=parent,
                create_pr=plan.create_pr,
                # Files with the same content share one handle, which only one upload may read at a time.
                num_threads=1,
            )
        except (HfHubHTTPError, LostError) as error:
            landed = _landed(api, plan, error)
            if landed is None:
                raise
            return landed, None
    return made.oid, made.pr_url


def _landed(api: HfApi, plan: Plan, error: HfHubHTTPError | LostError) -> str | None:
    """Return the branch's newest commit if it is what was to be committed: the answer was lost, not the commit.

    Sent again after a cut connection, a commit meets itself as a change in the meantime.
    """
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status is not None and status < INTERNAL_SERVER_ERROR and status not in {CONFLICT, PRECONDITION_FAILED}:
        return None
    try:
        commit = str(api.model_info(plan.repo_id, revision=plan.revision).sha)
        there = read_files(api, plan.repo_id, commit)
    except (HfHubHTTPError, LostError, OSError):
        return None  # what has failed first is reported
    return commit if holds(there, plan.files, plan.removed) else None


def _tag(api: HfApi, plan: Plan, commit: str, *, made: bool) -> None:
    try:
        with hub_errors(api, plan.repo_id):
            try:
                api.create_tag(plan.repo_id, tag=str(plan.tag), revision=commit)
            except HfHubHTTPError as error:
                # Sent again after its answer was lost, a tag meets itself.
                tags = api.list_repo_refs(plan.repo_id).tags if error.response.status_code == CONFLICT else []
                if not any((tag.name, tag.target_commit) == (plan.tag, commit) for tag in tags):
                    raise
    except RemoteError as error:
        done = f"commit {commit} was made" if made else f"nothing has changed since commit {commit}"
        hint = f"run it again with --tag {plan.tag}, or another"
        raise RemoteError(f"{plan.repo_id}: {done}, but it has no tag: {error}", hint=hint) from error


def _opened(file: PublishedFile, stack: ExitStack) -> BinaryIO:
    return stack.enter_context(file.path.open("rb"))


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
