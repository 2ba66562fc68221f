from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys

import pytest
from huggingface_hub import HfApi

from zoo.artifacts.layout import ArtifactFolder
from zoo.artifacts.manifest import role_of, write_manifest
from zoo.models.model import Model
from zoo.publish.pull import pull
from zoo_core.errors import RemoteError, UsageError

REPO = "org/tiny"


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache for this process."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def patient(monkeypatch):
    """Make the waits of huggingface_hub's own retries, 23 seconds for each file, take no time."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)


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
    assert not [one for one in hub.log[before:] if one.method == "GET" and "/resolve/" in one.path]


def test_prediction_downloads_no_weights_of_torch(hub, published, api):  # noqa: ARG001 - as above
    folder = pull(REPO, api=api, precision="fp32")
    assert {"config.json", "onnx/model.onnx", "eval/metrics.json"} <= set(contents(folder))
    assert not hub.requests("GET", "safetensors")


def test_prediction_downloads_the_one_file_that_it_asks_for(hub, hub_double, exported, graph_file, cache, api):  # noqa: ARG001 - as above
    artifact, data = exported.artifact, graph_file(seed=1).read_bytes()
    artifact.graph("fp16").write_bytes(data)
    report = json.loads(artifact.export_report.read_text())
    report["precisions"] = {"files": {"fp16": {"sha256": hashlib.sha256(data).hexdigest()}}}
    artifact.export_report.write_text(json.dumps(report))
    write_manifest(artifact.path)
    repo = hub.repos[REPO] = hub_double.Repo(private=True)
    found = contents(artifact.path)
    repo.commit("main", {name: hub_double.Blob(data, name.endswith(".onnx")) for name, data in found.items()}, "first")
    folder = pull(REPO, api=api, precision="fp16")
    assert {path.name for path in (folder / "onnx").iterdir()} == {"model_fp16.onnx", "export.json"}
    assert Model.open(folder, precision="fp16").embedding_dim == 8
    with pytest.raises(RemoteError, match=r"holds no onnx/model_int8\.onnx"):
        pull(REPO, api=api, precision="int8")
    # Neither is one taken that is another file than the report says.
    report["precisions"]["files"]["fp16"]["sha256"] = "0" * 64
    artifact.export_report.write_text(json.dumps(report))
    write_manifest(artifact.path)
    found = contents(artifact.path)
    repo.commit("main", {name: hub_double.Blob(data, name.endswith(".onnx")) for name, data in found.items()}, "second")
    with pytest.raises(RemoteError, match=r"model_fp16\.onnx"):
        pull(REPO, api=api, precision="fp16")


def test_a_copy_is_whole_and_never_over_something_else(published, api, tmp_path):
    output = pull(REPO, api=api, output=tmp_path / "new" / "copy")
    assert contents(output) == {name: blob.content for name, blob in published.files.items()}
    assert not any(path.is_symlink() for path in output.rglob("*"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["copy"]
    with pytest.raises(UsageError, match="exists already"):
        pull(REPO, api=api, output=output)


def _listed(hub_double, files):
    """Return the files with a manifest of what they are."""
    entries = {}
    for name, blob in files.items():
        if name not in {"manifest.json", "README.md", ".gitattributes"}:
            digest = hashlib.sha256(blob.content).hexdigest()
            entries[name] = {"sha256": digest, "size": len(blob.content), "role": role_of(name)}
    manifest = json.dumps({"schema": 1, "files": entries}).encode()
    return {**files, "manifest.json": hub_double.Blob(manifest, lfs=False)}


def test_another_revision(hub_double, published, api):
    first = published.history[0].oid
    files = _listed(hub_double, {**published.files, "recipe.yaml": hub_double.Blob(b"new", lfs=False)})
    published.commit("main", files, "second")
    assert (pull(REPO, api=api) / "recipe.yaml").read_bytes() == b"new"
    assert (pull(REPO, api=api, revision=first) / "recipe.yaml").read_bytes() != b"new"
    with pytest.raises(RemoteError, match="no such branch, tag or commit"):
        pull(REPO, api=api, revision="nowhere")


def _flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    "name",
    ["onnx/model.onnx", "model.safetensors", "config.json", "eval/metrics.json", "assets/roc.png", "recipe.yaml"],
)
def test_a_file_that_was_changed_on_the_hub_is_refused_by_name(hub_double, published, api, name):
    # given
    changed = hub_double.Blob(_flipped(published.files[name].content), lfs=False)
    published.commit("main", {**published.files, name: changed}, "changed")

    # then
    with pytest.raises(RemoteError, match=rf"{name}: is not the file that was exported") as caught:
        pull(REPO, api=api)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_size_is_refused_before_it_is_downloaded(hub, hub_double, published, api):
    # given
    larger = hub_double.Blob(published.files["onnx/model.onnx"].content * 2, lfs=True)
    published.commit("main", {**published.files, "onnx/model.onnx": larger}, "changed")

    # then
    with pytest.raises(RemoteError, match=r"onnx/model\.onnx: has [\d,]+ bytes, the manifest says"):
        pull(REPO, api=api)
    assert not hub.requests("GET", "model.onnx")


def test_what_the_manifest_does_not_name_is_left_behind_and_named(hub, hub_double, published, api, tmp_path):
    # given
    more = {
        name: hub_double.Blob(b"more", lfs=False) for name in ("weights.pkl", "modeling.py", "onnx/model.onnx_data")
    }
    published.commit("main", {**published.files, **more}, "more")

    # when
    with pytest.warns(UserWarning, match=r"left behind.*modeling\.py, onnx/model\.onnx_data, weights\.pkl"):
        folder = pull(REPO, api=api, output=tmp_path / "copy")

    # then
    assert not set(more) & set(contents(folder))
    assert not hub.requests("GET", "weights.pkl")


def test_a_manifest_that_names_a_pickle_is_refused(hub_double, published, api):
    # given
    document = json.loads(published.files["manifest.json"].content)
    document["files"]["weights.pkl"] = {"sha256": "0" * 64, "size": 4, "role": "weights"}
    files = {
        **published.files,
        "weights.pkl": hub_double.Blob(b"more", lfs=False),
        "manifest.json": hub_double.Blob(json.dumps(document).encode(), lfs=False),
    }
    published.commit("main", files, "more")

    # then
    with pytest.raises(RemoteError, match=r"names 'weights\.pkl', which is no file of a model"):
        pull(REPO, api=api)


@pytest.mark.parametrize("report", [b"{", b"[]", b"{}", b"null", b'{"verified": false}', b'{"verified": true}'])
def test_a_report_that_proves_nothing_is_refused(hub_double, published, api, report):
    files = _listed(hub_double, {**published.files, "onnx/export.json": hub_double.Blob(report, lfs=False)})
    published.commit("main", files, "changed")
    with pytest.raises(
        RemoteError, match=r"onnx/export\.json: (not a JSON|holds a JSON|the export was|does not say)"
    ) as caught:
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


@pytest.mark.usefixtures("patient")
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
    with pytest.warns(UserWarning, match="org/tiny: sizes were not compared: the Hub did not answer"):
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


@pytest.mark.usefixtures("patient")
def test_a_port_where_nobody_listens_is_one_line(cache):  # noqa: ARG001 - as above
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(RemoteError, match="cannot be reached") as caught:
        pull(REPO, api=HfApi(endpoint=f"http://127.0.0.1:{port}", token="hf_x"))  # noqa: S106 - no real token
    assert "\n" not in str(caught.value)


def test_a_model_that_gives_its_sample_another_embedding_is_refused(hub_double, published, api, exported):
    """A manifest that names the changed file proves nothing: the sample does."""
    document = json.loads(exported.artifact.sample_embedding.read_text())
    document["embedding"][0] += 0.01
    exported.artifact.sample_embedding.write_text(json.dumps(document))
    write_manifest(exported.artifact.path)
    changed = {
        name: hub_double.Blob((exported.artifact.path / name).read_bytes(), lfs=False)
        for name in ("sample/embedding.json", "manifest.json")
    }
    published.commit("main", {**published.files, **changed}, "changed")
    with pytest.raises(RemoteError, match=r"org/tiny: .*sample/image\.png: has another embedding than .* do not use"):
        pull(REPO, api=api)
    pull(REPO, api=api, precision="fp32")
