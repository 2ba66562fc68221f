"""HTTP as the Hub double speaks it, and what goes wrong with it: slow, cut, lost."""

from __future__ import annotations

import json
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    authorization: str | None
    body: bytes
    range: str | None = None

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


@dataclass
class Trouble:
    """What befalls the next ``times`` requests whose ``METHOD path`` matches.

    answer: given instead of the real one. lost: carried out, but never answered. read, sent: bytes of the request's or
    the response's body that pass before the connection is cut. delay: seconds before the answer.
    """

    pattern: str
    times: int = 1
    answer: Answer | None = None
    lost: bool = False
    read: int | None = None
    sent: int | None = None
    delay: float = 0


class Hub(Protocol):
    """What answers."""

    log: list[Request]
    unknown: list[str]

    def next_trouble(self, request: str) -> Trouble: ...

    def answer(self, request: Request) -> Answer: ...


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def respond(self) -> None:
        parts = urlsplit(self.path)
        trouble = self.hub.next_trouble(f"{self.command} {parts.path}")
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length if trouble.read is None else min(length, trouble.read))
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        sender, wanted = self.headers.get("Authorization"), self.headers.get("Range")
        request = Request(self.command, parts.path, query, sender, body, wanted)
        self.hub.log.append(request)
        time.sleep(trouble.delay)
        answer = None
        if trouble.read is None:
            with suppress(ConnectionAbortedError):
                answer = trouble.answer or self.hub.answer(request)
        if answer is None or trouble.lost:
            self.close_connection = True
            return
        content = answer.body if answer.json is None else json.dumps(answer.json).encode()
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", **answer.headers, "Content-Length": str(len(content))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        # Whoever has stopped waiting is gone.
        with suppress(ConnectionError):
            self.wfile.write(content[: trouble.sent])
        if trouble.sent is not None:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 - names of the base class

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name of the base class
        """Keep silent: ``HubDouble.log`` has it all."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, handler: type[Handler]) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.hub = handler.hub
        self.connections: list[socket.socket] = []

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - of the base class
        """Keep an error of the double, which fails the test; a client that is gone is none."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self.hub.unknown.append(f"{self.hub.log[-1].path}: {error!r}")

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
