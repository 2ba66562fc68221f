"""A Hub on localhost: speaks the wire protocol that huggingface_hub uses to push and pull, over real HTTP.

As a program it prints its address and serves until it is stopped:

    python tests/zoo/publish/hub_double.py --port 0
    HF_ENDPOINT=http://127.0.0.1:PORT HF_TOKEN=hf_double zoo push

It knows models only, and what it does not know it answers with 501 and keeps in ``unknown``, so that a client that
calls something new is noticed. What goes wrong on the way (busy, slow, cut, lost) is told to it by ``befall``.
"""

from __future__ import annotations

import argparse
import base64
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import yaml
from hub_card_rules import problems
from hub_repository import Blob, Repo, git_blob_id, sha256
from hub_wire import Answer, Handler, Request, Server, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "hf_double"  # noqa: S105 - it opens nothing
USER = "tester"
LFS_SUFFIXES = (".onnx", ".safetensors", ".pt", ".bin", ".zip")
LFS_FROM_BYTES = 10_000_000


def refusal(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": message}, headers={"X-Error-Code": code, "X-Error-Message": message})


NO_REPO = refusal(404, "RepoNotFound", "Repository not found")
NO_REVISION = refusal(404, "RevisionNotFound", "Invalid rev id")
NO_ENTRY = refusal(404, "EntryNotFound", "Entry not found")
UNAUTHORIZED = Answer(
    401,
    {"error": "Invalid username or password."},
    headers={"X-Error-Message": "Invalid credentials in Authorization header"},
)


class HubDouble:
    """The state of the Hub, and what it answers.

    ``log``: all requests. ``before_commit``: called when a commit arrives, before anything is checked: what another
    client does in that moment, or a ConnectionAbortedError to never answer. ``answers``: pairs of a pattern of
    ``METHOD path`` and an answer, which go before the real ones. ``troubles``: see ``befall``. ``cas``: a folder; when
    set, uploads go the xet way, into that folder.
    """

    def __init__(self) -> None:
        self.url = ""
        self.tokens = {TOKEN: USER}
        self.orgs = ("org",)
        self.repos: dict[str, Repo] = {}
        self.lfs: dict[str, bytes] = {}
        self.log: list[Request] = []
        self.unknown: list[str] = []
        self.before_commit: Callable[[], None] | None = None
        self.answers: list[tuple[str, Answer]] = []
        self.troubles: list[Trouble] = []
        self.cas: str | None = None
        self._lock = threading.Lock()

    def befall(self, pattern: str, **trouble: Any) -> None:
        """Let something go wrong with the next requests of this kind; see ``Trouble``."""
        self.troubles.append(Trouble(pattern, **trouble))

    def next_trouble(self, request: str) -> Trouble:
        with self._lock:
            for trouble in self.troubles:
                if trouble.times and re.search(trouble.pattern, request):
                    trouble.times -= 1
                    return trouble
        return Trouble("")

    def requests(self, method: str, pattern: str) -> list[Request]:
        return [r for r in self.log if r.method == method and re.search(pattern, r.path)]

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.log if request.writes]

    def answer(self, request: Request) -> Answer:
        for pattern, prepared in self.answers:
            if re.search(pattern, f"{request.method} {request.path}"):
                return prepared
        for method, pattern, handler in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method.replace("HEAD", "GET"):
                if handler is HubDouble.commit and self.before_commit:
                    self.before_commit()
                with self._lock:
                    return handler(self, request, **{key: unquote(value) for key, value in found.groupdict().items()})
        self.unknown.append(f"{request.method} {request.path}")
        return Answer(501, {"error": f"the double does not know {request.method} {request.path}"})

    def user(self, request: Request) -> str | None:
        return self.tokens.get((request.authorization or "").removeprefix("Bearer "))

    def readable(self, request: Request, repo: str) -> Repo | Answer:
        if request.authorization and self.user(request) is None:
            return UNAUTHORIZED
        found = self.repos.get(repo)
        if self.user(request) is None and (found is None or found.private):
            return refusal(401, "RepoNotFound", "Repository not found")
        return found or NO_REPO

    def writable(self, request: Request, repo: str) -> Repo | Answer:
        user = self.user(request)
        if user is None:
            return UNAUTHORIZED
        if repo.split("/", maxsplit=1)[0] not in {user, *self.orgs}:
            return refusal(403, "Forbidden", "You don't have the rights to write to this repository")
        return self.repos.get(repo, NO_REPO)

    def whoami(self, request: Request) -> Answer:
        user = self.user(request)
        if user is None:
            return UNAUTHORIZED
        return Answer(json={"type": "user", "name": user, "orgs": [{"name": name} for name in self.orgs]})

    def harnesses(self, request: Request) -> Answer:  # noqa: ARG002 - every handler has it
        return Answer(json={})

    def create(self, request: Request) -> Answer:
        said, user = request.json, self.user(request)
        if user is None:
            return UNAUTHORIZED
        name = f"{said.get('organization') or user}/{said['name']}"
        if name.split("/", maxsplit=1)[0] not in {user, *self.orgs}:
            return refusal(403, "Forbidden", "You don't have the rights to create a model under this namespace")
        answer = {"url": f"{self.url}/{name}", "name": name, "id": name}
        if name in self.repos:
            return Answer(409, {**answer, "error": "You already created this model repo"})
        private = said.get("private", said.get("visibility") == "private")
        self.repos[name] = Repo(bool(private))
        self.repos[name].commit("main", {".gitattributes": Blob(b"*.onnx filter=lfs\n", lfs=False)}, "initial commit")
        return Answer(json=answer)

    def branch(self, request: Request, repo: str, branch: str) -> Answer:
        found = self.writable(request, repo)
        if isinstance(found, Answer):
            return found
        if branch in found.refs:
            return Answer(409, {"error": "Reference already exists"})
        start = found.at(request.json.get("startingPoint") or "main")
        if start is None:
            return NO_REVISION
        found.refs[branch] = start.oid
        return Answer(json={})

    def delete_branch(self, request: Request, repo: str, branch: str) -> Answer:
        found = self.writable(request, repo)
        if isinstance(found, Answer):
            return found
        if branch == "main" or found.refs.pop(branch, None) is None:
            return NO_REVISION
        return Answer(json={})

    def delete(self, request: Request) -> Answer:
        said = request.json
        name = f"{said.get('organization') or self.user(request)}/{said['name']}"
        found = self.writable(request, name)
        if isinstance(found, Answer):
            return found
        del self.repos[name]
        return Answer()

    def tag(self, request: Request, repo: str, revision: str) -> Answer:
        found = self.writable(request, repo)
        if isinstance(found, Answer):
            return found
        at, name = found.at(revision), request.json["tag"]
        if at is None:
            return NO_REVISION
        if name in found.tags:
            return Answer(409, {"error": f"Tag reference exists already: {name}"})
        found.tags[name] = at.oid
        return Answer(json={})

    def list_refs(self, request: Request, repo: str) -> Answer:
        found = self.readable(request, repo)
        if isinstance(found, Answer):
            return found
        kinds: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": [], "pullRequests": []}
        for name, oid in found.refs.items():
            pull = name.startswith("refs/pr/")
            ref = {"name": name.removeprefix("refs/pr/"), "ref": name if pull else f"refs/heads/{name}"}
            kinds["pullRequests" if pull else "branches"].append({**ref, "targetCommit": oid})
        kinds["tags"] = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": oid} for n, oid in found.tags.items()]
        if "include_prs" not in request.query:
            del kinds["pullRequests"]
        return Answer(json=kinds)

    def commits(self, request: Request, repo: str, revision: str) -> Answer:
        found = self.readable(request, repo)
        if isinstance(found, Answer):
            return found
        at = found.at(revision)
        if at is None:
            return NO_REVISION
        when = "2026-01-01T00:00:00.000Z"
        listed = found.history_of(at.oid)
        return Answer(
            json=[{"id": c.oid, "title": c.summary, "message": "", "date": when, "authors": []} for c in listed]
        )

    def validate(self, request: Request) -> Answer:
        return self.validated(request.json["content"])

    @staticmethod
    def validated(card: str) -> Answer:
        front = re.match(r"---\r?\n(.*?)\r?\n---", card, re.DOTALL)
        try:
            metadata = yaml.safe_load(front[1]) if front else None
        except yaml.YAMLError as error:
            return Answer(400, {"errors": [{"message": str(error)}], "warnings": []})
        errors = [{"message": message} for message in problems(metadata)]
        warnings = [] if metadata else [{"message": "empty or missing yaml metadata in repo card"}]
        return Answer(400 if errors else 200, {"errors": errors, "warnings": warnings})

    def preupload(self, request: Request, repo: str, revision: str) -> Answer:
        found = self.writable(request, repo)
        if isinstance(found, Answer):
            return found
        base = found.at(revision)
        if base is None:
            return NO_REVISION
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if self.is_lfs(file) else "regular",
                "shouldIgnore": False,
                "oid": base.files[file["path"]].etag if file["path"] in base.files else None,
            }
            for file in request.json["files"]
        ]
        return Answer(json={"files": files})

    def is_lfs(self, file: dict[str, Any]) -> bool:
        binary = b"\0" in base64.b64decode(file["sample"])
        return binary or file["path"].endswith(LFS_SUFFIXES) or file["size"] > LFS_FROM_BYTES

    def xet_token(self, request: Request, repo: str, revision: str) -> Answer:  # noqa: ARG002 - see above
        found = self.writable(request, repo)
        if isinstance(found, Answer):
            return found
        if self.cas is None:
            return Answer(404, {"error": "Not Found"})
        return Answer(json={"casUrl": f"local://{self.cas}", "exp": 4102444800, "accessToken": "xet"})

    def lfs_batch(self, request: Request, repo: str) -> Answer:
        found = self.writable(request, repo)
        if isinstance(found, Answer):
            return found
        objects = []
        for wanted in request.json["objects"]:
            oid = wanted["oid"]
            actions = {"upload": {"href": f"{self.url}/lfs/{oid}"}, "verify": {"href": f"{self.url}/lfs/{oid}/verify"}}
            objects.append({**wanted, **({} if oid in self.lfs else {"actions": actions})})
        return Answer(json={"transfer": "basic", "objects": objects})

    def lfs_put(self, request: Request, oid: str) -> Answer:
        if request.authorization is not None:
            return Answer(400, {"error": "an upload link carries its own right; no token belongs here"})
        if sha256(request.body) != oid:
            return Answer(422, {"error": "the content is not what its name says"})
        self.lfs[oid] = request.body
        return Answer()

    def lfs_verify(self, request: Request, oid: str) -> Answer:
        good = len(self.lfs.get(oid, b"")) == request.json["size"]
        return Answer(json={}) if good else Answer(422, {"error": "size mismatch"})

    def commit(self, request: Request, repo: str, revision: str) -> Answer:
        found = self.writable(request, repo)
        if isinstance(found, Answer):
            return found
        base = found.at(revision)
        if base is None or revision not in found.refs:
            return NO_REVISION
        header, *operations = [(line["key"], line["value"]) for line in request.ndjson]
        parent = header[1].get("parentCommit")
        if parent is not None and parent != base.oid:
            return Answer(412, {"error": "A commit has happened since. Please refresh and try again."})
        files = self.changed(base.files, operations)
        if isinstance(files, Answer):
            return files
        if "README.md" in files and self.validated(files["README.md"].content.decode()).status != 200:
            return Answer(400, {"error": "Your push was rejected: invalid metadata in README.md"})
        ref, more = revision, {}
        if request.query.get("create_pr") == "1":
            number = 1 + sum(name.startswith("refs/pr/") for name in found.refs)
            ref = f"refs/pr/{number}"
            found.refs[ref] = base.oid
            more = {"pullRequestUrl": f"{self.url}/{repo}/discussions/{number}"}
        made = found.commit(ref, files, header[1]["summary"])
        return Answer(
            json={"success": True, "commitUrl": f"{self.url}/{repo}/commit/{made.oid}", "commitOid": made.oid, **more}
        )

    def changed(self, base: dict[str, Blob], operations: list[tuple[str, Any]]) -> dict[str, Blob] | Answer:
        files = dict(base)
        for key, value in operations:
            if key == "file":
                files[value["path"]] = Blob(base64.b64decode(value["content"]), lfs=False)
            elif key == "lfsFile" and value["oid"] in self.lfs:
                files[value["path"]] = Blob(self.lfs[value["oid"]], lfs=True)
            elif key == "lfsFile" and self.cas is None:
                return Answer(400, {"error": f"{value['path']} was not uploaded"})
            elif key == "deletedFile" and files.pop(value["path"], None) is None:
                return refusal(404, "EntryNotFound", f"A file with this name doesn't exist: {value['path']}")
        return files

    def info(self, request: Request, repo: str, revision: str = "main") -> Answer:
        found = self.readable(request, repo)
        if isinstance(found, Answer):
            return found
        at = found.at(revision)
        if at is None:
            return NO_REVISION
        facts = {"_id": repo, "id": repo, "modelId": repo, "private": found.private, "sha": at.oid, "tags": []}
        sized = request.query.get("blobs", "").lower() in {"1", "true"}
        siblings = [
            {"rfilename": path, **({"size": len(blob.content)} if sized else {})} for path, blob in at.files.items()
        ]
        return Answer(json={**facts, "downloads": 0, "likes": 0, "siblings": siblings})

    def tree(self, request: Request, repo: str, revision: str) -> Answer:
        found = self.readable(request, repo)
        if isinstance(found, Answer):
            return found
        at = found.at(revision)
        if at is None:
            return NO_REVISION
        entries = []
        for path, blob in at.files.items():
            entry = {"type": "file", "path": path, "size": len(blob.content), "oid": git_blob_id(blob.content)}
            lfs = {"oid": blob.etag, "size": len(blob.content), "pointerSize": 130}
            entries.append({**entry, **({"lfs": lfs} if blob.lfs else {})})
        return Answer(json=entries)

    def resolve(self, request: Request, repo: str, revision: str, path: str) -> Answer:
        found = self.readable(request, repo)
        if isinstance(found, Answer):
            return found
        at = found.at(revision)
        if at is None:
            return NO_REVISION
        if path not in at.files:
            return Answer(NO_ENTRY.status, NO_ENTRY.json, headers={**NO_ENTRY.headers, "X-Repo-Commit": at.oid})
        blob = at.files[path]
        headers = {"X-Repo-Commit": at.oid, "ETag": f'"{blob.etag}"', "Content-Type": "application/octet-stream"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.range or "")
        if wanted is None:
            return Answer(body=blob.content, headers={**headers, "Accept-Ranges": "bytes"})
        first, size = int(wanted[1]), len(blob.content)
        last = min(int(wanted[2] or size - 1), size - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return Answer(206, body=blob.content[first : last + 1], headers=headers)


_REPO = r"(?P<repo>[^/]+/[^/]+)"
_REVISION = r"(?P<revision>[^/]+)"
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/api/agent-harnesses", HubDouble.harnesses),
    ("GET", "/api/whoami-v2", HubDouble.whoami),
    ("POST", "/api/repos/create", HubDouble.create),
    ("POST", "/api/validate-yaml", HubDouble.validate),
    ("DELETE", "/api/repos/delete", HubDouble.delete),
    ("POST", f"/api/models/{_REPO}/branch/(?P<branch>[^/]+)", HubDouble.branch),
    ("DELETE", f"/api/models/{_REPO}/branch/(?P<branch>[^/]+)", HubDouble.delete_branch),
    ("POST", f"/api/models/{_REPO}/tag/{_REVISION}", HubDouble.tag),
    ("GET", f"/api/models/{_REPO}/refs", HubDouble.list_refs),
    ("GET", f"/api/models/{_REPO}/commits/{_REVISION}", HubDouble.commits),
    ("POST", f"/api/models/{_REPO}/preupload/{_REVISION}", HubDouble.preupload),
    ("GET", f"/api/models/{_REPO}/xet-write-token/{_REVISION}", HubDouble.xet_token),
    ("POST", f"/{_REPO}[.]git/info/lfs/objects/batch", HubDouble.lfs_batch),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", HubDouble.lfs_put),
    ("POST", "/lfs/(?P<oid>[0-9a-f]{64})/verify", HubDouble.lfs_verify),
    ("POST", f"/api/models/{_REPO}/commit/{_REVISION}", HubDouble.commit),
    ("GET", f"/api/models/{_REPO}", HubDouble.info),
    ("GET", f"/api/models/{_REPO}/revision/{_REVISION}", HubDouble.info),
    ("GET", f"/api/models/{_REPO}/tree/{_REVISION}", HubDouble.tree),
    ("GET", f"/{_REPO}/resolve/{_REVISION}/(?P<path>.+)", HubDouble.resolve),
]


@contextmanager
def serving(port: int = 0) -> Iterator[HubDouble]:
    """Serve a new, empty Hub on 127.0.0.1; port 0 takes any free one."""
    hub = HubDouble()
    server = Server(port, type("HubHandler", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.stop()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve an empty Hub on localhost until interrupted.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    with serving(parser.parse_args().port) as hub:
        print(hub.url, flush=True)  # noqa: T201 - the address is the product
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
