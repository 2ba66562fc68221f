"""The Hub's errors, each reported in one line."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from http.client import TOO_MANY_REQUESTS
from typing import TYPE_CHECKING

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # of HTTPError, which is httpx's or httpx2's
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, but not in an __all__
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from zoo.publish.retry import LostError, asked_wait
from zoo_core.errors import RemoteError, UsageError, ZooError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGIN = "set HF_TOKEN, or run 'hf auth login'"
_NAME = "a model on the Hub is called ORG/NAME"
_REASONS = {
    401: ("refuses the token", LOGIN),
    403: ("does not let this token write here", "use a token that may write to this user or organisation"),
    409: ("has been changed in the meantime", "run it again"),
    412: ("has been changed in the meantime", "run it again: nothing was changed by this push"),
    413: ("finds the files too large", None),
    TOO_MANY_REQUESTS: ("was asked too often", None),
}
# Kinds of errors of the client, the special before the general, as a message and a hint.
_KNOWN = (
    (LocalTokenNotFoundError, "{hub}: not logged in", LOGIN),
    (RepositoryNotFoundError, "{repo}: there is no such model on {hub}", f"check the name; if it is private, {LOGIN}"),
    (RevisionNotFoundError, "{repo}: has no such branch, tag or commit on {hub}", None),
)


def open_hub() -> HfApi:
    """Return the Hub that HF_ENDPOINT and HF_TOKEN name."""
    return HfApi()


@contextmanager
def progress_bars(*, show: bool) -> Iterator[None]:
    """Let the client ``show`` its progress bars, on a terminal only; what it is told stays as it was for others."""
    hidden = are_progress_bars_disabled()
    if hidden or (show and sys.stderr.isatty()) or os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS"):
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def check_repo_id(repo_id: str) -> str:
    """Return ``repo_id`` when it names a user or organisation and a model; the Hub would take less for its own.

    Raises:
        UsageError: it does not.
    """
    owner, slash, name = repo_id.partition("/")
    if not owner.strip() or not slash or not name.strip() or "/" in name:
        raise UsageError(f"{repo_id!r}: is no name of a model on the Hub", hint=_NAME)
    return repo_id


@contextmanager
def hub_errors(api: HfApi, repo_id: str) -> Iterator[None]:
    """Raise what the Hub's client raises as a RemoteError, in one line and without the token.

    Raises:
        RemoteError: the Hub refuses, or cannot be reached.
        UsageError: ``repo_id`` is no valid name.
    """
    try:
        yield
    except ZooError:
        raise
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # a file on this machine
        raise _told(api, repo_id, error) from error


def token_of(api: HfApi) -> str | None:
    """Return the token that ``api`` sends: its own, or that of the environment or the login."""
    return api.token if isinstance(api.token, str) else get_token()


def _told(api: HfApi, repo_id: str, error: BaseException) -> ZooError:
    for kind, text, hint in _KNOWN:
        # A GatedRepoError is a RepositoryNotFoundError, too.
        if isinstance(error, kind) and not isinstance(error, GatedRepoError):
            return RemoteError(text.format(repo=repo_id, hub=api.endpoint), hint=hint)
    if isinstance(error, HfHubHTTPError):
        return _http_error(api, repo_id, error)
    said = _one_line(api, error) or type(error).__name__
    if isinstance(error, HFValidationError):
        return UsageError(said, hint=_NAME)
    if isinstance(error, RuntimeError) and error.__cause__:  # an upload failed, in a thread of the client
        return _told(api, repo_id, error.__cause__)
    if isinstance(error, ValueError):  # the Hub finds a card's metadata wrong
        return RemoteError(f"{repo_id}: {api.endpoint} refuses it: {said}")
    if isinstance(error, LocalEntryNotFoundError):
        said = f"{_one_line(api, error.__cause__ or error)} (and it is not in the cache)"
    what = "loses the connection" if isinstance(error, LostError) else "cannot be reached"
    return RemoteError(f"{repo_id}: {api.endpoint} {what}: {said}")


def _http_error(api: HfApi, repo_id: str, error: HfHubHTTPError) -> RemoteError:
    status = error.response.status_code
    said = f": {_one_line(api, error.server_message)}" if error.server_message else ""
    if isinstance(error, GatedRepoError):
        return RemoteError(f"{repo_id}: {api.endpoint} asks to accept its conditions first{said}", hint=LOGIN)
    if status not in _REASONS:
        return RemoteError(f"{repo_id}: {api.endpoint} answered {status}{said}")
    what, hint = _REASONS[status]
    if status == TOO_MANY_REQUESTS:
        asked = asked_wait(error.response.headers)
        hint = f"wait {'some minutes' if asked is None else f'{asked:.0f} s'}, then run it again"
    # Of a change in the meantime the model is the subject, of all else the Hub.
    subject = repo_id if status in {409, 412} else f"{repo_id}: {api.endpoint}"
    return RemoteError(f"{subject} {what} ({status}){said}", hint=hint)


def _one_line(api: HfApi, error: object) -> str:
    text = " ".join(str(error).split())
    token = token_of(api)
    return text.replace(token, "***") if token else text
