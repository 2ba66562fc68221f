from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from huggingface_hub import HfApi

from zoo.artifacts.layout import ArtifactFolder
from zoo.publish.pull import pull
from zoo_core.errors import RemoteError, UsageError

REPO = "org/tiny"


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache for this process."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def published(hub, hub_double, exported, cache):  # noqa: ARG001 - the cache is replaced
    """The files of an artifact, on the Hub; it needs no card to be pulled."""
    files = {
        path.relative_to(exported.artifact.path).as_posix(): hub_double.Blob(path.read_bytes(), path.suffix == ".onnx")
        for path in exported.artifact.path.rglob("*")
        if path.is_file()
    }
    repo = hub_double.Repo(private=True)
    repo.commit("main", files, "first")
    hub.repos[REPO] = repo
    return repo


@pytest.fixture
def api(hub, hub_double):
    return HfApi(endpoint=hub.url, token=hub_double.TOKEN)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_pull_gives_the_published_bytes(published, api):
    folder = pull(REPO, api=api)
    assert contents(folder) == {name: blob.content for name, blob in published.files.items()}


def test_a_second_pull_downloads_nothing(hub, published, api):  # noqa: ARG001 - published is needed on the Hub
    first = pull(REPO, api=api)
    before = len(hub.log)
    assert pull(REPO, api=api) == first
    assert not [request for request in hub.log[before:] if "/resolve/" in request.path]


def test_prediction_downloads_no_weights_of_torch(hub, published, api):  # noqa: ARG001 - as above
    folder = pull(REPO, api=api, precision="fp32")
    assert {"config.json", "onnx/model.onnx", "eval/metrics.json"} <= set(contents(folder))
    assert not hub.requests("GET", "safetensors")


def test_a_copy_is_whole_and_never_over_something_else(published, api, tmp_path):
    output = pull(REPO, api=api, output=tmp_path / "new" / "copy")
    assert contents(output) == {name: blob.content for name, blob in published.files.items()}
    assert not any(path.is_symlink() for path in output.rglob("*"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["copy"]
    with pytest.raises(UsageError, match="exists already"):
        pull(REPO, api=api, output=output)


def test_another_revision(hub_double, published, api):
    first = published.history[0].oid
    published.commit("main", {**published.files, "recipe.yaml": hub_double.Blob(b"new", lfs=False)}, "second")
    assert (pull(REPO, api=api) / "recipe.yaml").read_bytes() == b"new"
    assert (pull(REPO, api=api, revision=first) / "recipe.yaml").read_bytes() != b"new"
    with pytest.raises(RemoteError, match="no such branch, tag or commit"):
        pull(REPO, api=api, revision="nowhere")


def test_a_graph_that_is_not_the_verified_one_is_refused(hub_double, published, api):
    graph = published.files["onnx/model.onnx"].content + b"\0"
    published.commit("main", {**published.files, "onnx/model.onnx": hub_double.Blob(graph, lfs=True)}, "changed")
    with pytest.raises(RemoteError, match="not the verified file"):
        pull(REPO, api=api)


@pytest.mark.parametrize("report", [b"{", b"[]", b"{}", b"null"])
def test_a_report_that_says_nothing_is_refused(hub_double, published, api, report):
    published.commit("main", {**published.files, "onnx/export.json": hub_double.Blob(report, lfs=False)}, "changed")
    with pytest.raises(RemoteError, match="does not say which file was verified") as caught:
        pull(REPO, api=api)
    assert "\n" not in str(caught.value)


def test_a_model_of_somebody_else_is_told_apart(hub_double, published, api):
    published.commit("main", {"config.json": hub_double.Blob(b"{}", lfs=False)}, "other")
    with pytest.raises(RemoteError, match="no model that zoo published"):
        pull(REPO, api=api)


@pytest.mark.parametrize(
    ("token", "repo", "text"),
    [
        ("hf_wrong", REPO, r"refuses the token \(401\)"),
        (False, REPO, "there is no such model"),
        (None, "org/none", "there is no such model"),
        (None, "a/b/c", "ORG/NAME"),
    ],
)
def test_refusals_are_one_line(hub, hub_double, published, token, repo, text):  # noqa: ARG001 - as above
    with pytest.raises((RemoteError, UsageError), match=text) as caught:
        pull(repo, api=HfApi(endpoint=hub.url, token=hub_double.TOKEN if token is None else token))
    assert "\n" not in str(caught.value)
    assert "hf_wrong" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "tiny", "/tiny", "org/", "a/b/c"])
def test_a_name_that_is_none_is_refused_before_anything_is_asked(hub, api, name):
    with pytest.raises(UsageError, match="ORG/NAME"):
        pull(name, api=api)
    assert hub.log == []


def test_without_a_hub_the_cache_serves_and_else_the_error_says_so(hub_double, exported, cache):  # noqa: ARG001 - as above
    files = {
        path.relative_to(exported.artifact.path).as_posix(): hub_double.Blob(path.read_bytes(), lfs=False)
        for path in exported.artifact.path.rglob("*")
        if path.is_file()
    }
    with hub_double.serving() as hub:
        hub.repos[REPO] = hub_double.Repo(private=False)
        hub.repos[REPO].commit("main", files, "first")
        api = HfApi(endpoint=hub.url, token=hub_double.TOKEN)
        folder = pull(REPO, api=api)
    assert pull(REPO, api=api) == folder
    with pytest.raises(RemoteError, match=r"cannot be reached.*not in the cache") as caught:
        pull("org/other", api=api)
    assert "\n" not in str(caught.value)


def test_an_independent_client_in_another_process_gets_the_same_bytes(hub, published, hub_environment, tmp_path):
    assert hub.url
    script = "import sys, huggingface_hub; print(huggingface_hub.snapshot_download(sys.argv[1]))"
    result = subprocess.run(
        [sys.executable, "-c", script, REPO],
        env={**os.environ, **hub_environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    folder = ArtifactFolder(tmp_path / result.stdout.strip()).path
    assert contents(folder) == {name: blob.content for name, blob in published.files.items()}


def test_a_port_where_nobody_listens_is_one_line(cache):  # noqa: ARG001 - as above
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(RemoteError, match="cannot be reached") as caught:
        pull(REPO, api=HfApi(endpoint=f"http://127.0.0.1:{port}", token="hf_x"))  # noqa: S106 - no real token
    assert "\n" not in str(caught.value)
