"""What a repository on the Hub holds, and which of its files are zoo's."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import RepoFile, constants
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils.sha import git_hash

from zoo.artifacts.manifest import CARD, MANIFEST, role_of
from zoo.publish.hub import hub_errors
from zoo_core.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from huggingface_hub import HfApi

    from zoo.publish.artifact_facts import PublishedFile

# The Hub's own; without it large files lose their storage.
ATTRIBUTES = ".gitattributes"
# A file with its hash, in the table of a card that zoo wrote.
_ROW = re.compile(r"^\| \[(?P<name>[^\]|]+)\]\([^)|]*\) \| [\d,]+ \| `[0-9a-f]{64}` \|", re.MULTILINE)


@dataclass(frozen=True)
class Remote:
    """What a branch holds.

    Attributes:
        exists: whether there is such a repository.
        private: its visibility; that of a new one where there is none.
        parent: the branch's newest commit; None where there is no such branch.
        base: the commit whose files these are: ``parent``, or what a new branch will start from.
        files: by name.
        card: the text of README.md.
        own: names of files that an earlier push of zoo has left.
        tags: commits by the names of tags, and of branches, which no tag may bear.
    """

    exists: bool
    private: bool
    parent: str | None = None
    base: str | None = None
    files: Mapping[str, RepoFile] = field(default_factory=dict)
    card: str | None = None
    own: Collection[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    def status(self, file: PublishedFile) -> str:
        """Return ``new``, ``changed`` or ``same``."""
        there = self.files.get(file.name)
        if there is None:
            return "new"
        return "same" if _is_same(there, file) else "changed"


def read_remote(api: HfApi, repo_id: str, revision: str, *, private: bool, tags: bool) -> Remote:
    """Read what the repository holds; of a branch that does not exist yet, what it will start from.

    Args:
        api: the Hub.
        repo_id: ``ORG/NAME``.
        revision: the branch.
        private: visibility of a repository that does not exist yet.
        tags: read them, too.

    Raises:
        RemoteError: the Hub refuses or cannot be reached, or the card is not UTF-8.
    """
    with hub_errors(api, repo_id):
        try:
            main = api.model_info(repo_id)
        except RepositoryNotFoundError:
            return Remote(exists=False, private=private)
        try:
            info = main if revision == constants.DEFAULT_REVISION else api.model_info(repo_id, revision=revision)
            parent = info.sha
        except RevisionNotFoundError:
            info, parent = main, None
        files = read_files(api, repo_id, str(info.sha))
        content = _fetch(api, repo_id, CARD, info.sha) if CARD in files else None
        try:
            card = None if content is None else content.decode()
        except UnicodeDecodeError as error:
            raise RemoteError(f"{repo_id}: {CARD} is not UTF-8: {error}", hint="correct it on the Hub") from error
        manifest = _fetch(api, repo_id, MANIFEST, info.sha) if MANIFEST in files else None
        refs = api.list_repo_refs(repo_id) if tags else None
    return Remote(
        exists=True,
        private=bool(main.private),
        parent=parent,
        base=info.sha,
        files=files,
        card=card,
        own=_own(manifest, card, files),
        tags={ref.name: ref.target_commit for ref in [*refs.tags, *refs.branches]} if refs else {},
    )


def read_files(api: HfApi, repo_id: str, commit: str) -> dict[str, RepoFile]:
    """Return all files of a commit, by name."""
    tree = api.list_repo_tree(repo_id, recursive=True, revision=commit)
    return {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}


def holds(remote: Mapping[str, RepoFile], files: Collection[PublishedFile], removed: Collection[str]) -> bool:
    """Return whether all of ``files`` are there as they are here, and none of ``removed``."""
    same = all(file.name in remote and _is_same(remote[file.name], file) for file in files)
    return same and not any(name in remote for name in removed)


def _is_same(there: RepoFile, file: PublishedFile) -> bool:
    if there.size != file.size:
        return False
    if there.lfs is not None:
        return bool(there.lfs.sha256 == file.sha256)
    return bool(there.blob_id == git_hash(file.content or file.path.read_bytes()))


def _own(manifest: bytes | None, card: str | None, names: Collection[str]) -> frozenset[str]:
    """Return the names that are zoo's own: those that the manifest or else the card lists, else such as it writes."""
    listed = _listed(manifest) or set(_ROW.findall(card or "")) or set(filter(role_of, names))
    return frozenset(listed | {CARD, MANIFEST})


def _listed(manifest: bytes | None) -> set[str]:
    try:
        return set(json.loads(manifest or "{}").get("files", ()))
    except (ValueError, TypeError, AttributeError):
        return set()  # somebody else's file of this name, or a damaged one, which this push replaces


def _fetch(api: HfApi, repo_id: str, name: str, commit: str | None) -> bytes | None:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return Path(api.hf_hub_download(repo_id, name, revision=commit, local_dir=scratch)).read_bytes()
        except EntryNotFoundError:
            return None
