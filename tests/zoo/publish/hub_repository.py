"""A repository of the Hub double: commits, branches and tags over blobs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Blob:
    content: bytes
    lfs: bool

    @property
    def etag(self) -> str:
        return sha256(self.content) if self.lfs else git_blob_id(self.content)


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    summary: str
    files: dict[str, Blob]


@dataclass
class Repo:
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, ref: str, files: dict[str, Blob], summary: str) -> Commit:
        parent = self.refs.get(ref)
        listing = sorted((path, blob.etag) for path, blob in files.items())
        text = json.dumps([parent, summary, len(self.commits), listing])
        made = Commit(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), parent, summary, files)
        self.commits[made.oid] = made
        self.refs[ref] = made.oid
        return made

    def at(self, revision: str) -> Commit | None:
        return self.commits.get({**self.tags, **self.refs}.get(revision, revision))

    @property
    def files(self) -> dict[str, Blob]:
        return self.commits[self.refs["main"]].files

    @property
    def history(self) -> list[Commit]:
        """Commits of main, the newest first; the last is the one that creating the repository made."""
        return self.history_of(self.refs.get("main"))

    def history_of(self, oid: str | None) -> list[Commit]:
        found = []
        while oid is not None:
            found.append(self.commits[oid])
            oid = self.commits[oid].parent
        return found
