"""What a manifest binds: each changed, swapped, missing or added file is named."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil

import pytest

from zoo.artifacts.manifest import CARD, MANIFEST, Manifest, check, read_manifest, strangers, write_manifest
from zoo_core.errors import RunError

FILES = {
    "config.json": b'{"zoo": {"threshold": {"value": 0.712136}}}',
    "recipe.yaml": b"seed: 0\n",
    "preprocessor_config.json": b'{"do_resize": true}',
    "model.safetensors": bytes(range(256)) * 5,
    "onnx/model.onnx": bytes(reversed(range(256))) * 5,
    "onnx/model_fp16.onnx": bytes(range(128)) * 5,
    "onnx/export.json": b"",  # of the graphs and weights, see `bind`
    "eval/metrics.json": b'{"metrics": {"auc": 0.9987}}',
    "assets/roc.png": b"\x89PNG" + bytes(500),
    "calibration.json": b'{"fpir": 0.01}',
}


def _listing(name, *, sha256="0" * 64, size=1, role="config"):
    """Return the text of a manifest of one file."""
    return json.dumps({"schema": 1, "files": {name: {"sha256": sha256, "size": size, "role": role}}})


@pytest.fixture
def artifact(tmp_path):
    folder = tmp_path / "artifact"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / CARD).write_text("# A card, which people edit\n")
    bind(folder)
    return folder


def bind(artifact):
    """Write the report and the manifest of the files as they are, as an export does."""

    def digest(name):
        return hashlib.sha256((artifact / name).read_bytes()).hexdigest()

    report = {
        "verified": True,
        "sha256": digest("onnx/model.onnx"),
        "weights_sha256": digest("model.safetensors"),
        "precisions": {"files": {"fp16": {"sha256": digest("onnx/model_fp16.onnx")}}},
    }
    (artifact / "onnx/export.json").write_text(json.dumps(report))
    write_manifest(artifact)


def test_names_each_file_with_size_role_and_hash(artifact):
    # when
    document = json.loads((artifact / MANIFEST).read_text())

    # then
    assert set(document["files"]) == set(FILES)
    assert document["files"]["onnx/model.onnx"]["role"] == "graph"
    sizes = {name: (artifact / name).stat().st_size for name in FILES}
    assert {name: entry["size"] for name, entry in document["files"].items()} == sizes
    assert check(artifact) == Manifest.of(artifact)


def _flip(data, chance):
    position = chance.randrange(len(data))
    return data[:position] + bytes([data[position] ^ 1 << chance.randrange(8)]) + data[position + 1 :]


def _edit_number(data, chance):
    digits = [position for position, byte in enumerate(data) if byte in b"0123456789"]
    if not digits:
        return _flip(data, chance)
    position = chance.choice(digits)
    other = chance.choice([digit for digit in b"0123456789" if digit != data[position]])
    return data[:position] + bytes([other]) + data[position + 1 :]


def _tamper(artifact, chance):
    """Change one file in a random way; return the file's name."""
    name = chance.choice(sorted(FILES))
    path = artifact / name
    match chance.choice(["flip", "number", "truncate", "append", "swap", "remove", "folder"]):
        case "flip":
            path.write_bytes(_flip(path.read_bytes(), chance))
        case "number":
            path.write_bytes(_edit_number(path.read_bytes(), chance))
        case "truncate":
            path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
        case "append":
            path.write_bytes(path.read_bytes() + chance.randbytes(3))
        case "swap":
            other = chance.choice([other for other in sorted(FILES) if other != name])
            path.write_bytes((artifact / other).read_bytes())
        case "remove":
            path.unlink()
        case "folder":
            path.unlink()
            path.mkdir()
    return name


def test_refuses_1000_random_changes_by_the_name_of_the_file(artifact, tmp_path):
    chance = random.Random(0)  # noqa: S311 - no secret
    for number in range(1000):
        # given
        copy = tmp_path / "copy"
        shutil.copytree(artifact, copy)
        name = _tamper(copy, chance)

        # when
        with pytest.raises(RunError) as refused:
            check(copy)

        # then
        assert str(copy / name) in str(refused.value), number
        shutil.rmtree(copy)


def test_refuses_a_size_that_was_edited_in_the_manifest(artifact):
    path = artifact / "manifest.json"
    document = json.loads(path.read_text())
    document["files"]["model.safetensors"]["size"] += 1
    path.write_text(json.dumps(document))
    with pytest.raises(RunError, match=r"model\.safetensors: has [\d,]+ bytes, the manifest says"):
        check(artifact)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("weights.pkl", "no file of a model"),
        ("onnx/custom_op.so", "no file of a model"),
        ("modeling.py", "no file of a model"),
        (".env", "no file of a model"),
        ("assets/notes.txt", "no file of a model"),
        ("onnx/model_int8.onnx", "not in the manifest"),
    ],
)
def test_names_files_that_were_added(artifact, name, why):
    # given
    (artifact / name).write_bytes(b"added")

    # then
    assert strangers(artifact, read_manifest(artifact)) == {name: why}


def test_names_links_to_files_and_folders_and_does_not_follow_them(artifact, tmp_path):
    # given
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    shutil.move(artifact / "recipe.yaml", outside / "recipe.yaml")
    (artifact / "recipe.yaml").symlink_to(outside / "recipe.yaml")
    (artifact / "more").symlink_to(outside)
    os.mkfifo(artifact / "pipe")

    # then
    found = strangers(artifact, read_manifest(artifact))
    assert found == {"recipe.yaml": "a link", "more": "a link", "pipe": "no file of a model"}


def test_leaves_added_files_and_links_out_of_a_new_manifest(artifact):
    # given
    (artifact / "weights.pkl").write_bytes(b"added")

    # then
    assert "weights.pkl" not in Manifest.of(artifact)


def test_lets_people_edit_the_card(artifact):
    # given
    (artifact / CARD).write_text("# Another card\n")

    # then
    check(artifact)


def test_needs_only_what_is_asked_for_and_compares_all_that_is_there(artifact):
    # given: what a download for prediction alone holds
    (artifact / "model.safetensors").unlink()

    # then
    check(artifact, needed=["config.json", "onnx/model.onnx"])
    (artifact / "eval/metrics.json").write_text('{"metrics": {"auc": 1.0}}')
    with pytest.raises(RunError, match=r"eval/metrics\.json: is not the file that was exported"):
        check(artifact, needed=["config.json", "onnx/model.onnx"])


def test_refuses_a_needed_file_that_the_manifest_does_not_name(artifact):
    # given
    document = json.loads((artifact / MANIFEST).read_text())
    del document["files"]["onnx/model.onnx"]
    (artifact / MANIFEST).write_text(json.dumps(document))

    # then
    with pytest.raises(RunError, match=r"onnx/model\.onnx: is in no manifest"):
        check(artifact, needed=["config.json", "onnx/model.onnx"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a JSON file"),
        ("[]", "is no manifest"),
        ('{"schema": 2, "files": {}}', "is of schema 2"),
        ('{"schema": 1, "files": {"config.json": {}}}', "is no manifest"),
        (_listing("config.json", sha256="0"), "without a size"),
        (_listing("config.json", size=-1), "without a size"),
        (_listing("config.json", size=True), "without a size"),
        (_listing("config.json", role="weights"), "names 'config.json'"),
        (_listing("../config.json"), "names '../config.json'"),
        (_listing("model.pkl"), "names 'model.pkl'"),
    ],
)
def test_refuses_a_manifest_that_is_none(artifact, content, message):
    # given
    (artifact / MANIFEST).write_text(content)

    # then
    with pytest.raises(RunError, match=message):
        check(artifact)


@pytest.mark.parametrize("name", ["onnx/model.onnx", "onnx/model_fp16.onnx", "model.safetensors"])
def test_refuses_a_file_that_is_not_of_the_export_even_if_the_manifest_is_hashed_anew(artifact, name):
    # given
    (artifact / name).write_bytes(b"another")
    write_manifest(artifact)

    # then
    with pytest.raises(RunError, match=rf"onnx/export\.json: is of another {name} than the one beside it"):
        check(artifact)


def test_refuses_a_graph_that_no_export_has_verified(artifact):
    # given
    (artifact / "onnx/model_int8.onnx").write_bytes(b"more")
    write_manifest(artifact)

    # then
    with pytest.raises(RunError, match=r"onnx/export\.json: is of another onnx/model_int8\.onnx"):
        check(artifact)


def test_refuses_an_artifact_without_a_manifest(artifact):
    # given
    (artifact / MANIFEST).unlink()

    # then
    with pytest.raises(RunError, match=r"manifest\.json: no such file"):
        check(artifact)


def test_notices_a_changed_large_file_whose_hash_is_remembered_even_if_its_times_are_set_back(artifact, monkeypatch):
    # given: old enough to be remembered
    path = artifact / "onnx/model.onnx"
    path.write_bytes(bytes(2**20))
    monkeypatch.setattr("zoo.artifacts.digests._YOUNG_SECONDS", -1)
    bind(artifact)
    check(artifact)
    before = path.stat()

    # when
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"\1")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    # then
    with pytest.raises(RunError, match=r"onnx/model\.onnx: is not the file that was exported"):
        check(artifact)


def test_reads_a_large_file_once(artifact, monkeypatch):
    # given
    path = artifact / "onnx/model.onnx"
    path.write_bytes(bytes(2**20))
    monkeypatch.setattr("zoo.artifacts.digests._YOUNG_SECONDS", -1)
    bind(artifact)
    read = []
    monkeypatch.setattr("zoo.artifacts.digests.sha256", lambda path: read.append(path.name) or "0" * 64)

    # when
    with pytest.raises(RunError):  # of the small files, whose hashes are now none
        check(artifact)

    # then
    assert "config.json" in read
    assert "model.onnx" not in read


def test_does_without_a_cache_that_cannot_be_read_or_written(artifact, tmp_path, monkeypatch):
    # given
    (artifact / "onnx/model.onnx").write_bytes(bytes(2**20))
    monkeypatch.setattr("zoo.artifacts.digests._YOUNG_SECONDS", -1)
    bind(artifact)
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    check(artifact)
    (entry,) = cache.rglob("*.json")

    # then
    for content in ("", "[]", '{"onnx/model.onnx": 1}', '{"onnx/model.onnx": [[1], 2]}'):
        entry.write_text(content)
        check(artifact)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    check(artifact)
