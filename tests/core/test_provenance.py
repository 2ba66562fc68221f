from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

from zoo_core.discovery import discover
from zoo_core.errors import UsageError
from zoo_core.provenance import BuildRecord, GitState, git_state, installed_versions, recipe_sha256, timestamp

RECIPE = {"seed": 3, "model": {"head": {"name": "embedding/gap_ln", "options": {"embed_dim": 8}}}}


@pytest.fixture
def record(add_distribution, manifest):
    url = {"url": "file:///src/zoo-good", "dir_info": {"editable": True}}
    add_distribution("zoo-good", "2.1", direct_url=url, good=manifest())
    registry = discover({})
    components = [registry.find("head", "good/plain"), registry.find("head", "embedding/gap_ln")]
    return BuildRecord.capture(
        recipe=RECIPE, seed=3, components=components, devices=["cuda:0"], weights={"source": "hub"}
    )


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments],  # noqa: S607 - the git of the tests
        cwd=folder,
        check=True,
        capture_output=True,
    )


def test_a_record_survives_json(record):
    document = json.loads(json.dumps(record.to_json()))
    assert document["schema"] == 1
    assert BuildRecord.from_json(document) == record


def test_a_record_says_what_made_the_model(record):
    document = record.to_json()
    assert document["recipe"] == RECIPE
    assert document["seed"] == 3
    assert document["hardware"]["devices"] == ["cuda:0"]
    assert document["hardware"]["cores"] >= 1
    assert document["hardware"]["cpu"]
    assert document["weights"] == {"source": "hub"}
    assert {"plugzoo", "numpy", "torch"} <= document["versions"].keys()
    good, own = document["components"]
    assert good == {
        "kind": "head",
        "name": "good/plain",
        "plugin": "good",
        "distribution": "zoo-good",
        "version": "2.1",
        "entry_point": "good = zoo_good_good_manifest",
        "api_version": 1,
        "direct_url": {"url": "file:///src/zoo-good", "dir_info": {"editable": True}},
        "license": None,
        "tags": (),
    }
    assert own["license"] == "Apache-2.0"
    assert own["distribution"] == "plugzoo"
    assert record.components[0].is_editable


@pytest.mark.parametrize("document", [{}, {"schema": 2}, {"schema": 1}, {"schema": 1, "components": 3}])
def test_what_is_no_record_is_refused(document):
    with pytest.raises(UsageError, match="build record"):
        BuildRecord.from_json(document)


def test_the_hash_of_a_recipe_does_not_depend_on_the_order_of_its_keys():
    other = {"model": RECIPE["model"], "seed": 3}
    canonical = '{"model":{"head":{"name":"embedding/gap_ln","options":{"embed_dim":8}}},"seed":3}'
    assert recipe_sha256(RECIPE) == recipe_sha256(other) == hashlib.sha256(canonical.encode()).hexdigest()
    assert recipe_sha256({**RECIPE, "seed": 4}) != recipe_sha256(RECIPE)


def test_git_tells_the_revision_and_whether_files_differ(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "one")
    clean = git_state(tmp_path)
    assert isinstance(clean, GitState)
    assert len(clean.revision) == 40
    assert not clean.dirty
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path) == GitState(clean.revision, dirty=True)


def test_no_checkout_and_no_git_are_fine(tmp_path, monkeypatch):
    assert git_state(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state() is None


def test_a_repeatable_build_has_the_time_it_is_given(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert timestamp() == "1970-01-01T00:00:00+00:00"


def test_versions_are_of_what_is_installed():
    assert installed_versions(["numpy", "no-such-distribution"]).keys() == {"numpy"}
