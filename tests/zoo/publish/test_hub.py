"""What the Hub's client raises, over real HTTP, and the line that a user reads instead."""

from __future__ import annotations

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from zoo.publish.hub import check_repo_id, hub_errors, progress_bars, token_of
from zoo_core.errors import RemoteError, RunError, UsageError

REPO = "org/tiny"
MAY_WRITE = "use a token that may write to this user or organisation"
LOGIN = "set HF_TOKEN, or run 'hf auth login'"


def told(api, ask, repo=REPO):
    with pytest.raises((RemoteError, UsageError)) as caught, hub_errors(api, repo):
        ask()
    return str(caught.value)


@pytest.fixture
def api(hub, hub_double):
    hub.repos[REPO] = hub_double.Repo(private=False)
    hub.repos[REPO].commit("main", {}, "first")
    return HfApi(endpoint=hub.url, token=hub_double.TOKEN)


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, f"org/tiny: HUB refuses the token (401): SAID; {LOGIN}"),
        (403, f"org/tiny: HUB does not let this token write here (403): SAID; {MAY_WRITE}"),
        (409, "org/tiny has been changed in the meantime (409): SAID; run it again"),
        (412, "org/tiny has been changed in the meantime (412): SAID; run it again: nothing was changed by this push"),
        (413, "org/tiny: HUB finds the files too large (413): SAID"),
        (429, "org/tiny: HUB was asked too often (429): SAID; wait some minutes, then run it again"),
        (418, "org/tiny: HUB answered 418: SAID"),
        (500, "org/tiny: HUB answered 500: SAID"),
    ],
)
def test_an_answer_of_the_hub_is_told_by_its_number(hub, hub_double, api, status, line):
    said = f"no\n {hub_double.TOKEN}  for you"
    hub.answers.append(("GET /api/models/", hub_double.Answer(status, {"error": said})))
    assert told(api, lambda: api.model_info(REPO)) == line.replace("HUB", hub.url).replace("SAID", "no *** for you")


@pytest.mark.parametrize("answer", [{"json": {}}, {"body": b"<html>", "headers": {"Content-Type": "text/html"}}])
def test_an_answer_without_words_is_its_number(hub, hub_double, api, answer):
    hub.answers.append(("GET /api/models/", hub_double.Answer(418, **answer)))
    assert told(api, lambda: api.model_info(REPO)) == f"org/tiny: {hub.url} answered 418"


def test_an_answer_that_says_when_to_come_back_is_told_with_it(hub, hub_double, api):
    hub.answers.append(("GET /api/models/", hub_double.Answer(429, {}, headers={"Retry-After": "40"})))
    line = f"org/tiny: {hub.url} was asked too often (429); wait 40 s, then run it again"
    assert told(api, lambda: api.model_info(REPO)) == line


def test_what_is_not_there_or_not_open_is_told_apart(hub, hub_double, api):
    hub.answers.append(("GET /api/models/org/gated", hub_double.refusal(403, "GatedRepo", "Access is restricted")))
    assert told(api, lambda: api.model_info("org/gated"), "org/gated") == (
        f"org/gated: {hub.url} asks to accept its conditions first: Access is restricted; {LOGIN}"
    )
    assert told(api, lambda: api.model_info("org/none"), "org/none") == (
        f"org/none: there is no such model on {hub.url}; check the name; if it is private, {LOGIN}"
    )
    assert told(api, lambda: api.model_info(REPO, revision="no")) == (
        f"org/tiny: has no such branch, tag or commit on {hub.url}"
    )
    anonymous = HfApi(endpoint=hub.url, token=True)
    assert told(anonymous, anonymous.whoami) == f"{hub.url}: not logged in; {LOGIN}"


def test_a_hub_that_is_not_there_is_told_and_the_token_is_not():
    api = HfApi(endpoint="http://127.0.0.1:9", token="hf_secret")  # noqa: S106 - it opens nothing
    assert told(api, lambda: api.model_info(REPO)).startswith("org/tiny: http://127.0.0.1:9 cannot be reached: ")

    def fail(error):
        raise error

    nameless = told(api, lambda: fail(ConnectionError()))
    assert nameless == "org/tiny: http://127.0.0.1:9 cannot be reached: ConnectionError"
    spoken = told(api, lambda: fail(ConnectionError("with\n hf_secret")))
    assert spoken == "org/tiny: http://127.0.0.1:9 cannot be reached: with ***"


def test_a_file_that_is_not_in_the_cache_is_told_with_its_cause(api, hub):
    """`test_pull` takes the client's way there, with its retries."""

    def fail(cause):
        raise LocalEntryNotFoundError("Cannot find the requested files") from cause

    reached = f"org/tiny: {hub.url} cannot be reached: "
    assert told(api, lambda: fail(OSError("refused,\n hf_double"))) == (
        f"{reached}refused, *** (and it is not in the cache)"
    )
    assert told(api, lambda: fail(None)) == f"{reached}Cannot find the requested files (and it is not in the cache)"


def test_a_name_that_the_client_refuses_is_a_wrong_call(api, hub):
    before = len(hub.log)
    with pytest.raises(UsageError) as caught, hub_errors(api, "org/a b"):
        api.model_info("org/a b")
    assert "'org/a b'" in str(caught.value)
    assert str(caught.value).endswith("; a model on the Hub is called ORG/NAME")
    assert len(hub.log) == before


def test_an_upload_that_fails_in_a_thread_is_told_by_its_cause(api, hub):
    """The client wraps what a thread raised into a RuntimeError."""

    def upload():
        try:
            api.model_info("org/none")
        except Exception as error:
            raise RuntimeError("Error while uploading") from error

    assert told(api, upload).startswith(f"org/tiny: there is no such model on {hub.url}; ")


def test_errors_of_zoo_and_of_files_here_pass_as_they_are(api, tmp_path):
    with pytest.raises(RunError, match=r"^mine$"), hub_errors(api, REPO):
        raise RunError("mine")
    with pytest.raises(FileNotFoundError), hub_errors(api, REPO):
        (tmp_path / "none").read_bytes()


@pytest.mark.parametrize("name", ["", "tiny", "/tiny", "org/", "org/a/b", " /x", "org/ "])
def test_a_name_is_that_of_an_owner_and_a_model(name):
    assert check_repo_id("org/tiny") == "org/tiny"
    with pytest.raises(UsageError) as caught:
        check_repo_id(name)
    assert str(caught.value) == f"{name!r}: is no name of a model on the Hub; a model on the Hub is called ORG/NAME"


def test_a_card_that_the_hub_finds_wrong_is_told_with_and_without_a_token():
    def refuse():
        raise ValueError("Invalid metadata\n in README.md")

    for token in ("hf_secret", False):
        api = HfApi(endpoint="http://hub", token=token)
        assert told(api, refuse) == "org/tiny: http://hub refuses it: Invalid metadata in README.md"


def test_the_token_is_the_apis_own_or_that_of_the_environment(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    assert token_of(HfApi(endpoint=hub.url, token="hf_own")) == "hf_own"  # noqa: S106 - they open nothing
    assert token_of(HfApi(endpoint=hub.url)) == "hf_environment"


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("show", [True, False])
@pytest.mark.parametrize("hidden", [True, False])
def test_progress_bars_show_on_a_terminal_only_and_the_callers_choice_stays(monkeypatch, terminal, show, hidden):
    before = are_progress_bars_disabled()
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    try:
        (disable_progress_bars if hidden else enable_progress_bars)()
        with progress_bars(show=show):
            assert are_progress_bars_disabled() is not (terminal and show and not hidden)
        assert are_progress_bars_disabled() is hidden
    finally:
        (disable_progress_bars if before else enable_progress_bars)()
