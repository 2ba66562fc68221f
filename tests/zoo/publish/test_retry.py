"""A Hub that is busy, slow, or loses the connection: over real HTTP, with the real client."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from huggingface_hub import HfApi, set_client_factory
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import get_session
from huggingface_hub.utils._http import default_client_factory

from zoo.artifacts.manifest import write_manifest
from zoo.publish.hub import hub_errors
from zoo.publish.plan import Target, plan_push
from zoo.publish.push import push
from zoo.publish.retry import RetryLimits, asked_wait, retrying
from zoo.recipes.loading import load_run_recipe
from zoo_core.errors import RemoteError

REPO = "org/tiny"
QUICK = RetryLimits(first=0.01)


@pytest.fixture
def registry():
    """No plugin listens."""
    from zoo_core.registry import Registry

    return Registry((), (), {}, None)


@pytest.fixture
def api(hub, hub_double):
    return HfApi(endpoint=hub.url, token=hub_double.TOKEN)


@pytest.fixture
def model(hub, hub_double):
    """A repository to ask for."""
    hub.repos[REPO] = hub_double.Repo(private=False)
    hub.repos[REPO].commit("main", {"config.json": hub_double.Blob(b"{}" * 50_000, lfs=False)}, "first")


def ask(api, limits=QUICK, **options):
    with hub_errors(api, REPO), retrying(limits, **options):
        return api.model_info(REPO)


# All that a push asks for: of a new repository, a branch and a tag, then of one that exists.
REQUESTS = (
    "GET /api/whoami-v2",
    "POST /api/repos/create",
    "POST /api/validate-yaml",
    "POST .*/branch/",
    "GET .*/xet-write-token/",
    "POST .*/preupload/",
    "POST .*/objects/batch",
    "PUT /lfs/",
    "POST .*/verify",
    "POST .*/commit/",
    "POST .*/tag/",
    "GET /api/models/tester/tiny$",
    "GET .*/revision/",
    "GET .*/tree/",
    "(HEAD|GET) .*/resolve/.*README.md",
    "GET .*/refs",
)
TROUBLES = {
    "busy": lambda double: {"answer": double.Answer(429, {"error": "slow down"}, headers={"Retry-After": "0"})},
    "down": lambda double: {"answer": double.Answer(503, body=b"<html>maintenance</html>"), "times": 3},
    "lost": lambda _: {"lost": True},
    "cut in the response": lambda _: {"sent": 7},
    "cut in the request": lambda _: {"read": 20},
    "silent": lambda _: {"delay": 1.0},
}


@pytest.mark.parametrize("kind", TROUBLES)
def test_each_request_of_a_push_survives(hub, hub_double, api, exported, registry, kind):
    # A Hub that says nothing from the start is none: that is told at once.
    for request in REQUESTS[1:] if kind == "silent" else REQUESTS:
        hub.befall(request, **TROUBLES[kind](hub_double))
    limits = RetryLimits(first=0.01, silence=0.3 if kind == "silent" else 30)
    for text, tag in (("{}", "v1"), ("[]", "v2")):
        exported.artifact.preprocessor.write_text(text)
        write_manifest(exported.artifact.path)
        with retrying(limits, show=False):
            target = Target(revision="next", tag=tag)
            done = push(
                api, plan_push(api, exported, load_run_recipe(exported, ()), registry, target), exported, registry
            )
    assert [trouble.pattern for trouble in hub.troubles if trouble.times] == []
    repo = hub.repos["tester/tiny"]
    assert len(repo.history_of(repo.refs["next"])) == 3
    assert repo.tags["v2"] == repo.refs["next"] == done.commit
    there = {name: blob.content for name, blob in repo.at("next").files.items() if name != ".gitattributes"}
    assert there == {
        path.relative_to(exported.artifact.path).as_posix(): path.read_bytes()
        for path in exported.artifact.path.rglob("*")
        if path.is_file()
    }


def test_a_download_is_resumed_where_it_was_cut(hub, model, api, tmp_path, monkeypatch):  # noqa: ARG001 - it is asked for
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    hub.befall("GET .*/resolve/", sent=40_000)
    hub.befall("GET .*/resolve/", lost=True)
    with retrying(QUICK, show=False):
        path = api.hf_hub_download(REPO, "config.json", local_dir=tmp_path)
    with open(path, "rb") as file:  # noqa: PTH123 - the client gives a text
        assert file.read() == b"{}" * 50_000
    assert [request.range for request in hub.requests("GET", "/resolve/")][-1] == "bytes=40000-"


def test_a_wait_is_told_and_a_quiet_one_is_not(hub, hub_double, model, api, capsys):  # noqa: ARG001 - as above
    host = hub.url.removeprefix("http://")
    for show in (True, False):
        hub.befall("GET ", answer=hub_double.Answer(429, headers={"Retry-After": "1"}))
        hub.befall("GET ", lost=True)
        ask(api, show=show)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"{host} answers 429: trying again in 1 s\n"
        f"{host}: Server disconnected without sending a response.: trying again in 1 s\n"
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12),
        ({"Retry-After": " 0 "}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00"}, 0),
        ({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)}, 86_400),
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({"ratelimit": '"api";r=3;t=55'}, None),
    ],
)
def test_a_response_says_how_long_to_wait(headers, seconds):
    found = asked_wait({**headers})
    assert found is seconds is None or found == pytest.approx(seconds, abs=3600)


@pytest.mark.parametrize(
    "after", ["86400", format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)], ids=["seconds", "date"]
)
def test_a_wait_beyond_all_patience_ends_at_once(hub, hub_double, model, api, after):  # noqa: ARG001 - as above
    busy = hub_double.Answer(429, {"error": "come back tomorrow"}, headers={"Retry-After": after})
    hub.answers.append(("GET ", busy))
    with pytest.raises(RemoteError) as caught:
        ask(api)
    assert re.fullmatch(
        rf"org/tiny: {hub.url} was asked too often \(429\): come back tomorrow; wait 8\d{{4}} s, then run it again",
        str(caught.value),
    )
    assert len(hub.log) == 1


def test_what_a_hub_asks_for_is_added_up(hub, hub_double, model, api):  # noqa: ARG001 - as above
    hub.answers.append(("GET ", hub_double.Answer(429, headers={"Retry-After": "0"})))
    with pytest.raises(RemoteError, match=r"too often \(429\)"):
        ask(api, RetryLimits(waiting=0.5, first=0.1))
    assert len(hub.log) == 6


@pytest.mark.parametrize(
    ("trouble", "line"),
    [({"status": 503}, "answered 503"), ({"lost": True}, r"loses the connection: .* \(sent 3 times\)$")],
)
def test_a_hub_that_stays_away_is_asked_a_few_times_by_each_layer_of_the_client(
    hub,
    hub_double,
    model,  # noqa: ARG001 - as above
    api,
    exported,
    trouble,
    line,
):
    """The client has loops of its own around some requests; they must not multiply ours."""
    found = {"answer": hub_double.Answer(trouble["status"])} if "status" in trouble else trouble
    hub.befall("POST .*/preupload/", times=99, **found)
    with pytest.raises(RemoteError, match=line), hub_errors(api, REPO), retrying(RetryLimits(tries=3, first=0.01)):
        api.upload_file(path_or_fileobj=exported.recipe, path_in_repo="recipe.yaml", repo_id=REPO)
    assert len(hub.requests("POST", "/preupload/")) == 3


def test_threads_that_wait_for_the_same_are_one_line_and_one_wait(hub, hub_double, model, api, capsys):  # noqa: ARG001 - as above
    hub.befall("GET ", times=3, answer=hub_double.Answer(429, headers={"Retry-After": "4"}))
    with retrying(RetryLimits(waiting=6)), ThreadPoolExecutor(3) as threads:
        assert [info.id for info in threads.map(api.model_info, [REPO] * 3)] == [REPO] * 3
    assert capsys.readouterr().err == f"{hub.url.removeprefix('http://')} answers 429: trying again in 4 s\n"


def test_a_hub_that_is_not_there_is_told_at_once(capsys):
    api = HfApi(endpoint="http://127.0.0.1:9", token=False)
    with pytest.raises(RemoteError, match="cannot be reached"):
        ask(api)
    assert capsys.readouterr().err == ""


def test_an_answer_that_is_final_is_given_at_once(hub, hub_double, model, api):  # noqa: ARG001 - as above
    for status in (400, 401, 403, 404, 409, 412, 413, 501):
        before = len(hub.log)
        hub.befall("GET ", answer=hub_double.Answer(status, {"error": "no"}))
        with pytest.raises(RemoteError):
            ask(api)
        assert len(hub.log) == before + 1


def test_the_callers_own_client_stays_and_sends_once_again_afterwards(hub, hub_double, model, api):  # noqa: ARG001 - as above
    made = []

    def factory():
        client = default_client_factory()
        client.headers["X-Mine"] = "1"
        made.append(client)
        return client

    set_client_factory(factory)
    try:
        hub.befall("GET ", lost=True)
        ask(api, show=False)
        assert get_session().headers["X-Mine"] == "1"
        assert len(made) == 1
        before = len(hub.log)
        hub.befall("GET ", answer=hub_double.Answer(503))
        with pytest.raises(HfHubHTTPError):
            api.model_info(REPO)
        assert len(hub.log) == before + 1
        # Of two users at a time, the first that is done takes nothing from the other.
        with retrying(QUICK, show=False):
            with retrying(show=False):
                pass
            hub.befall("GET ", lost=True)
            assert api.model_info(REPO).id == REPO
        assert len(made) == 1
    finally:
        set_client_factory(default_client_factory)


def interrupted(arguments, environment, cwd=None):
    """Run until the first wait is told, press Ctrl-C, and return the exit code and what was told."""
    process = subprocess.Popen(
        [sys.executable, "-c", *arguments],
        env={**os.environ, **environment},
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    told = ""
    for line in process.stderr:
        told += line
        if "trying again in 300 s" in line:
            process.send_signal(signal.SIGINT)
            break
    told += process.communicate(timeout=60)[1]
    return process.returncode, told


def test_ctrl_c_ends_a_wait_and_takes_the_new_repository_back(hub, hub_double, hub_environment, exported):
    hub.befall("POST .*/commit/", answer=hub_double.Answer(429, headers={"Retry-After": "300"}))
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from zoo.cli.main import main; main()"
    )
    status, told = interrupted([code, "push", "--run", str(exported.path), "--repo", REPO], hub_environment)
    assert status == 130, told
    assert "Traceback" not in told
    assert hub.requests("POST", "/api/repos/create")
    assert hub.repos == {}


def test_ctrl_c_ends_the_waits_of_the_clients_threads(hub, hub_double, model, hub_environment, tmp_path):  # noqa: ARG001 - as above
    hub.befall("GET .*/resolve/", times=9, answer=hub_double.Answer(503, headers={"Retry-After": "300"}))
    code = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from huggingface_hub import snapshot_download
from zoo.publish.retry import retrying
with retrying():
    snapshot_download("org/tiny")
"""
    status, told = interrupted([code], hub_environment, cwd=tmp_path)
    assert status not in {0, None}
    assert "KeyboardInterrupt" in told
