"""What a push will do: which files are new, changed and gone, and the card; nothing is sent."""

from __future__ import annotations

import difflib
import io
import re
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import constants

from zoo.artifacts.manifest import CARD
from zoo.atomic import write_text
from zoo.publish.artifact_facts import PublishedFile
from zoo.publish.card.document import body, plugin_sections
from zoo.publish.card.merging import merge
from zoo.publish.card.metadata import metadata
from zoo.publish.facts import gather
from zoo.publish.hub import LOGIN, check_repo_id, hub_errors, token_of
from zoo.publish.private import check_private
from zoo.publish.remote import ATTRIBUTES, read_remote
from zoo_core.errors import RemoteError, UsageError
from zoo_core.events import notify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from huggingface_hub import HfApi

    from zoo.artifacts.layout import ArtifactFolder
    from zoo.publish.facts import Facts
    from zoo.publish.remote import Remote
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo_core.registry import Registry

# What git takes as the name of a tag, without its rarer characters.
_TAG = re.compile(r"(?!.*(\.\.|//|\.lock(/|$)|/\.))[A-Za-z0-9_][A-Za-z0-9_.+/-]*(?<![./])")

_PINNED = re.compile(r'revision="[^"\n]+"')


@dataclass(frozen=True)
class Target:
    """Where to publish.

    Attributes:
        repo_id: ``ORG/NAME``; None: as the recipe says, or the user's own.
        private: None: as the recipe says for a new repository, unchanged for one that exists.
        revision: the branch.
        create_pr: open a pull request instead of changing the branch.
        tag: a name for the commit.
        prune: remove the files of others, too.
    """

    repo_id: str | None = None
    private: bool | None = None
    revision: str = constants.DEFAULT_REVISION
    create_pr: bool = False
    tag: str | None = None
    prune: bool = False


@dataclass(frozen=True)
class Plan:
    """What a push will do.

    Attributes:
        repo_id: ``ORG/NAME``.
        private: visibility that the repository has, or will have.
        revision: the branch.
        create_pr: whether to open a pull request instead of changing it.
        tag: a name for the commit, None where it has this name already.
        exists: whether there is such a repository.
        parent: the commit that the push builds on; None when there is no such repository or branch.
        base: the commit that ``status`` compares with: ``parent``, or what a new branch will start from.
        files: all that is published, the card first.
        status: of each file by name: ``new``, ``changed`` or ``same``.
        removed: names of files that will be gone.
        card: the text of README.md.
        remote_card: the text that it has on the Hub.
    """

    repo_id: str
    private: bool
    revision: str
    create_pr: bool
    tag: str | None
    exists: bool
    parent: str | None
    base: str | None
    files: tuple[PublishedFile, ...]
    status: Mapping[str, str]
    removed: tuple[str, ...]
    card: str
    remote_card: str | None

    @property
    def sent(self) -> tuple[PublishedFile, ...]:
        """The files that are not on the Hub as they are here."""
        return tuple(file for file in self.files if self.status[file.name] != "same")

    @property
    def card_diff(self) -> str:
        """What changes in README.md, as a unified diff; empty when nothing does."""
        before, after = (list(io.StringIO(text)) for text in (self.remote_card or "", self.card))
        names = (f"{CARD} on the Hub", CARD) if self.remote_card is not None else ("/dev/null", CARD)
        lines = difflib.unified_diff(before, after, *names)
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


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
        UsageError: something is missing, the tag exists or is none, or the card was edited both here and on the Hub.
        RunError: the export is not verified.
        RemoteError: the Hub refuses or cannot be reached.
    """
    _check(target)
    facts = gather(run, loaded, evaluated=evaluated)
    chosen = loaded.recipe.hub.repo_id if target.repo_id is None else target.repo_id
    repo_id = _own_repo(api, loaded.name) if chosen is None else check_repo_id(chosen)
    wished = loaded.recipe.hub.private if target.private is None else target.private
    remote = read_remote(api, repo_id, target.revision, private=wished, tags=target.tag is not None)
    if remote.exists and target.private not in {None, remote.private}:
        state = "private" if remote.private else "public"
        warnings.warn(f"{repo_id} exists and stays {state}: change that in its settings on the Hub", stacklevel=2)
    at = target.tag or target.revision
    card = _write_card(facts, repo_id, at, run.artifact, remote.card, registry, dry_run=dry_run)
    files = (card, *facts.files)
    plan = Plan(
        repo_id=repo_id,
        private=remote.private,
        revision=target.revision,
        create_pr=target.create_pr,
        tag=target.tag,
        exists=remote.exists,
        parent=remote.parent,
        base=remote.base,
        files=files,
        status={file.name: remote.status(file) for file in files},
        removed=_removed(remote, files, prune=target.prune),
        card=(card.content or b"").decode(),
        remote_card=remote.card,
    )
    return _with_free_tag(plan, remote)


def _check(target: Target) -> None:
    """Refuse what the Hub would refuse, or what would mean something else than it says."""
    if target.create_pr and target.revision != constants.DEFAULT_REVISION:
        message = f"{target.revision}: the Hub opens pull requests to its main branch only"
        raise UsageError(message, hint="leave out the branch or the pull request")
    if target.tag is None:
        return
    if target.create_pr:
        message = f"{target.tag}: what a pull request proposes gets no tag"
        raise UsageError(message, hint="push with the tag when the pull request is merged")
    if not _TAG.fullmatch(target.tag):
        raise UsageError(f"{target.tag!r}: is no name of a tag", hint="such as v1.0: letters, digits, . _ - + and /")


def _with_free_tag(plan: Plan, remote: Remote) -> Plan:
    """Return the plan without its tag where a push before this one has set it, to the same files."""
    if plan.tag is None or plan.tag not in remote.tags:
        return plan
    if remote.tags[plan.tag] == plan.parent and not plan.sent and not plan.removed:
        return replace(plan, tag=None)
    message = f"{plan.repo_id}: {plan.tag} exists already, and names other files"
    raise UsageError(message, hint="choose another tag; nothing was sent")


def _removed(remote: Remote, files: tuple[PublishedFile, ...], *, prune: bool) -> tuple[str, ...]:
    """Return what an earlier push has left and this one lacks; with ``prune``, what others have added, too."""
    kept = {ATTRIBUTES, *(file.name for file in files)}
    return tuple(name for name in remote.files if name not in kept and (prune or name in remote.own))


def _own_repo(api: HfApi, name: str) -> str:
    if not token_of(api):
        raise RemoteError(f"{api.endpoint}: not logged in, and no ORG/NAME is given", hint=LOGIN)
    with hub_errors(api, name):
        return f"{api.whoami()['name']}/{name}"


def _write_card(
    facts: Facts,
    repo_id: str,
    at: str,
    artifact: ArtifactFolder,
    remote: str | None,
    registry: Registry,
    *,
    dry_run: bool,
) -> PublishedFile:
    """Write the card, let plugins change it, and return it with its content."""
    local = artifact.card.read_bytes().decode() if artifact.card.is_file() else None
    more = plugin_sections(registry, artifact.path)
    text = merge(metadata(facts, repo_id), body(facts, repo_id, revision=at, more=more), local=local, remote=remote)
    text = _as_pinned_before(text, at, remote)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / CARD if dry_run else artifact.card
        write_text(path, text)
        notify(registry, "zoo_card_written", card=path)
        check_private(str(artifact.card), path.read_bytes(), facts.private)
        return replace(PublishedFile.of(path, CARD), path=artifact.card).saying(path.read_bytes())


def _as_pinned_before(text: str, at: str, remote: str | None) -> str:
    """Return the card on the Hub where the revision that its examples name is all that would change.

    Another name for what is there makes no commit: the older name is as good.
    """
    found = _PINNED.search(remote or "")
    if remote is None or found is None:
        return text
    return remote if text.replace(f'revision="{at}"', found[0]) == remote else text
