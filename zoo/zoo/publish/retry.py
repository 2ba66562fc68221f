"""Requests to the Hub, sent again while it is busy or when the connection breaks, for a bounded time."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partialmethod
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from huggingface_hub import set_client_factory
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's
from huggingface_hub.utils import _http as hub_http
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # documented, not in an __all__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# huggingface_hub has changed from httpx to httpx2; the names in them are the same.
_HTTPX: Any = importlib.import_module(HTTPError.__module__.partition(".")[0])
_LOST = (_HTTPX.NetworkError, _HTTPX.TimeoutException, _HTTPX.RemoteProtocolError)
# Errors of a Hub that is not there. Before it has answered once, nothing is gained by asking again.
_UNREACHED = (_HTTPX.ConnectError, _HTTPX.TimeoutException)
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
# Answers that say that the request was not carried out.
_REFUSED = frozenset({429, 503})
# Seconds for opening a connection.
_CONNECT = 20.0


@dataclass(frozen=True)
class RetryLimits:
    """How long to be patient.

    Attributes:
        waiting: seconds that all waiting of one command may take, failed requests included.
        tries: of one request. Waits that the Hub asks for do not count: only ``waiting`` ends them.
        first: seconds of the first wait; each later one is twice as long.
        silence: seconds without a byte after which a connection counts as broken.
    """

    waiting: float = 600.0
    tries: int = 6
    first: float = 1.0
    silence: float = 120.0


class LostError(HTTPError):
    """A request did not get through; no layer of the client sends it again."""


class Retries:
    """Sends requests again; shared by the threads of the client.

    Args:
        limits: how long.
        tell: takes a line for each wait.
    """

    def __init__(self, limits: RetryLimits, tell: Callable[[str], None]) -> None:
        self.limits = limits
        self.interrupted = threading.Event()
        self._tell = tell
        self._left = limits.waiting
        self._until = 0.0
        self._reached = False
        self._lock = threading.Lock()

    def send(self, attempt: Callable[[], Any], host: str, *, replayable: bool) -> Any:  # noqa: ANN401 - httpx's or httpx2's
        """Return the response of ``attempt``, which is called again while the Hub is busy or the connection breaks.

        Args:
            attempt: sends the request.
            host: for the messages.
            replayable: whether a request that may have been carried out can be sent again.

        Raises:
            LostError: the connection broke too often.
            HfHubHTTPError: the Hub stays busy.
        """
        tries = 1
        while True:
            started = time.monotonic()
            try:
                response = attempt()
            except _LOST as error:
                if not self._reached and isinstance(error, _UNREACHED):
                    raise
                said = " ".join(str(error).split()) or type(error).__name__
                self._charge(started, time.monotonic())
                if not replayable or tries >= self.limits.tries or not self._wait(tries, None, f"{host}: {said}"):
                    raise LostError(f"{said} (sent {tries} times)" if tries > 1 else said) from error
                tries += 1
                continue
            self._reached = True
            status = response.status_code
            if status not in _BUSY:
                return response
            asked = asked_wait(response.headers)
            again = (replayable or status in _REFUSED) and (asked is not None or tries < self.limits.tries)
            if not again or not self._wait(tries, asked, f"{host} answers {status}"):
                hf_raise_for_status(response)
            tries += asked is None

    def _wait(self, tries: int, asked: float | None, why: str) -> bool:
        """Wait before the next try; return whether there may be one."""
        own = self.limits.first * 2 ** (tries - 1)
        # Were a Hub that asks for no wait at all obeyed, it would be asked without end.
        seconds = own if asked is None else max(asked, self.limits.first)
        now = time.monotonic()
        charged = self._charge(now, now + seconds)
        if charged is None:
            return False
        # Threads that wait for the same are one line.
        if charged > seconds / 2:
            self._tell(f"{why}: trying again in {max(1, round(seconds))} s")
        return not self.interrupted.wait(seconds)

    def _charge(self, start: float, end: float) -> float | None:
        """Take time from the budget, that of several threads once; return the seconds, None if they are too many."""
        with self._lock:
            seconds = max(0.0, end - max(start, self._until))
            if seconds > self._left:
                return None
            self._left -= seconds
            self._until = max(self._until, end)
            return seconds


class RetryingClient:
    """The HTTP client of huggingface_hub, whose requests are sent again; all else is that client's."""

    def __init__(self, client: Any, factory: RetryingFactory) -> None:  # noqa: ANN401 - httpx's or httpx2's
        self._client = client
        self._factory = factory

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the client has it
        return getattr(self._client, name)

    def request(self, method: str, url: str, **options: Any) -> Any:  # noqa: ANN401 - the client's own signature
        """Send a request; a file as its body is read from where it stands, each time."""
        retries = self._factory.retries
        if retries is None:
            return self._client.request(method, url, **options)
        body = next((options[key] for key in ("content", "data") if hasattr(options.get(key), "seek")), None)
        start = body.tell() if body is not None else 0

        def attempt() -> Any:  # noqa: ANN401 - as above
            if body is not None:
                body.seek(start)
            return self._client.request(method, url, **_timed(options, retries))

        # Sent twice, it might open two pull requests.
        opens = method == "POST" and "create_pr" in (options.get("params") or {})
        return retries.send(attempt, _host(url), replayable=not opens)

    @contextmanager
    def stream(self, method: str, url: str, **options: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
        """Send a request whose response is read in parts; the client resumes one that breaks in between."""
        retries = self._factory.retries
        with ExitStack() as stack:
            if retries is None:
                yield stack.enter_context(self._client.stream(method, url, **options))
                return

            def attempt() -> Any:  # noqa: ANN401 - as above
                stack.close()
                return stack.enter_context(self._client.stream(method, url, **_timed(options, retries)))

            yield retries.send(attempt, _host(url), replayable=True)

    # The client's own methods of these names would send past ours.
    get = partialmethod(request, "GET")
    head = partialmethod(request, "HEAD")
    post = partialmethod(request, "POST")
    put = partialmethod(request, "PUT")
    delete = partialmethod(request, "DELETE")


class RetryingFactory:
    """Makes the clients of huggingface_hub; ``retries`` None: they send each request once, as without zoo.

    It stays in place once it is: replacing a factory closes the client that other threads may be using.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self.retries: Retries | None = None
        self._make = make
        self._users = 0
        self._lock = threading.Lock()

    def __call__(self) -> RetryingClient:
        """Make a client."""
        return RetryingClient(self._make(), self)

    @contextmanager
    def active(self, limits: RetryLimits, tell: Callable[[str], None]) -> Iterator[Retries]:
        """Let the clients send again; several users at a time share one budget."""
        with self._lock:
            retries = self.retries = self.retries or Retries(limits, tell)
            self._users += 1
        try:
            yield retries
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self.retries = None


@contextmanager
def retrying(limits: RetryLimits | None = None, *, show: bool = True) -> Iterator[None]:
    """Send requests of huggingface_hub again while the Hub is busy or when the connection breaks.

    Args:
        limits: how long.
        show: print a line on stderr for each wait.
    """
    factory = getattr(hub_http, "_GLOBAL_CLIENT_FACTORY", hub_http.default_client_factory)
    if not isinstance(factory, RetryingFactory):
        factory = RetryingFactory(factory)
        set_client_factory(cast("Any", factory))
    with factory.active(limits or RetryLimits(), _print if show else _ignore) as retries, _woken_by_interrupt(retries):
        yield


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a response asks to wait; None if it does not say."""
    said = headers.get("Retry-After", "").strip()
    if said.isdigit():
        return float(said)
    try:
        at = parsedate_to_datetime(said)
    except (TypeError, ValueError):
        limit = hub_http.parse_ratelimit_headers(headers)
        return float(limit.reset_in_seconds) if limit is not None and limit.remaining == 0 else None
    # A date without a zone is of UTC.
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _host(url: str) -> str:
    return urlsplit(str(url)).netloc.rpartition("@")[2]


def _timed(options: Mapping[str, Any], retries: Retries) -> dict[str, Any]:
    """Bound requests that would wait without end."""
    if options.get("timeout") is not None:
        return dict(options)
    silence = retries.limits.silence
    return {**options, "timeout": (min(_CONNECT, silence), silence, silence, silence)}


@contextmanager
def _woken_by_interrupt(retries: Retries) -> Iterator[None]:
    """End the waits of the client's threads at Ctrl-C; the main thread's end by themselves."""
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return

    def wake(number: int, frame: Any) -> None:  # noqa: ANN401 - a frame
        retries.interrupted.set()
        previous(number, frame)

    signal.signal(signal.SIGINT, wake)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _print(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _ignore(line: str) -> None:
    """Wait in silence."""
