"""A Hub on localhost: speaks the wire protocol that huggingface_hub uses to push and pull, over real HTTP.

As a program it prints its address and serves until it is stopped:

    python tests/zoo/publish/hub_double.py --port 0
    HF_ENDPOINT=http://127.0.0.1:PORT HF_TOKEN=hf_double zoo push

It knows models only, and what it does not know it answers with 501 and keeps in ``unknown``, so that a client that
calls something new is noticed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "hf_double"  # noqa: S105 - it opens nothing
USER = "tester"
LFS_SUFFIXES = (".onnx", ".safetensors", ".pt", ".bin", ".zip")
LFS_FROM_BYTES = 10_000_000


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

    def commit(self, ref: str, files: dict[str, Blob], summary: str) -> Commit:
        parent = self.refs.get(ref)
        listing = sorted((path, blob.etag) for path, blob in files.items())
        text = json.dumps([parent, summary, len(self.commits), listing])
        made = Commit(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), parent, summary, files)
        self.commits[made.oid] = made
        self.refs[ref] = made.oid
        return made

    def at(self, revision: str) -> Commit | None:
        return self.commits.get(self.refs.get(revision, revision))

    @property
    def files(self) -> dict[str, Blob]:
        return self.commits[self.refs["main"]].files

    @property
    def history(self) -> list[Commit]:
        """Commits of main, the newest first; the last is the one that creating the repository made."""
        found, oid = [], self.refs.get("main")
        while oid is not None:
            found.append(self.commits[oid])
            oid = self.commits[oid].parent
        return found


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    authorization: str | None
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ndjson(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def writes(self) -> bool:
        return self.method not in {"GET", "HEAD"}


@dataclass(frozen=True)
class Answer:
    status: int = 200
    json: Any = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


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
    ``METHOD path`` and an answer, which go before the real ones. ``cas``: a folder; when set, uploads go the xet way,
    into that folder.
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
        self.cas: str | None = None
        self._lock = threading.Lock()

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
        found.refs[branch] = found.refs["main"]
        return Answer(json={})

    def validate(self, request: Request) -> Answer:
        said = request.json
        front = re.match(r"---\r?\n(.*?)\r?\n---", said["content"], re.DOTALL)
        try:
            metadata = yaml.safe_load(front[1]) if front else None
        except yaml.YAMLError as error:
            return Answer(400, {"errors": [{"message": str(error)}], "warnings": []})
        errors = [] if metadata is None or isinstance(metadata, dict) else [{"message": "metadata must be a mapping"}]
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
        files = dict(base.files)
        for key, value in operations:
            if key == "file":
                files[value["path"]] = Blob(base64.b64decode(value["content"]), lfs=False)
            elif key == "lfsFile" and value["oid"] in self.lfs:
                files[value["path"]] = Blob(self.lfs[value["oid"]], lfs=True)
            elif key == "lfsFile" and self.cas is None:
                return Answer(400, {"error": f"{value['path']} was not uploaded"})
            elif key == "deletedFile":
                files.pop(value["path"], None)
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
        return Answer(body=blob.content, headers=headers)


_REPO = r"(?P<repo>[^/]+/[^/]+)"
_REVISION = r"(?P<revision>[^/]+)"
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/api/agent-harnesses", HubDouble.harnesses),
    ("GET", "/api/whoami-v2", HubDouble.whoami),
    ("POST", "/api/repos/create", HubDouble.create),
    ("POST", "/api/validate-yaml", HubDouble.validate),
    ("POST", f"/api/models/{_REPO}/branch/(?P<branch>[^/]+)", HubDouble.branch),
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


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubDouble

    def respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        request = Request(self.command, parts.path, query, self.headers.get("Authorization"), body)
        self.hub.log.append(request)
        try:
            answer = self.hub.answer(request)
        except ConnectionAbortedError:
            self.close_connection = True
            return
        content = answer.body if answer.json is None else json.dumps(answer.json).encode()
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", **answer.headers, "Content-Length": str(len(content))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 - names of the base class

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name of the base class
        """Keep silent: ``HubDouble.log`` has it all."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, handler: type[Handler]) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.connections: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def stop(self) -> None:
        """Be gone for clients that keep their connection, too."""
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


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
