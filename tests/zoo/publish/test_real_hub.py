"""The real Hub, with a token of one's own: `REAL_HUB_TOKEN=hf_... pytest -m hub`."""

from __future__ import annotations

import os
import secrets

import pytest
from huggingface_hub import HfApi

from zoo.artifacts.manifest import write_manifest
from zoo.publish.plan import Target, plan_push
from zoo.publish.pull import pull
from zoo.publish.push import push
from zoo.publish.retry import retrying
from zoo.recipes.loading import load_run_recipe
from zoo_core.errors import RemoteError, UsageError
from zoo_core.registry import Registry

pytestmark = [
    pytest.mark.hub,
    pytest.mark.skipif("REAL_HUB_TOKEN" not in os.environ, reason="needs REAL_HUB_TOKEN, which may write"),
]


@pytest.fixture
def api(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return HfApi(token=os.environ["REAL_HUB_TOKEN"])


@pytest.fixture
def repo_id(api):
    """A private repository that this test alone uses, and that is gone afterwards."""
    name = f"{api.whoami()['name']}/plugzoo-test-{secrets.token_hex(4)}"
    yield name
    api.delete_repo(name, missing_ok=True)


@pytest.fixture
def publish(api, repo_id):
    def publish(run, *, overrides=(), **target):
        registry = Registry((), (), {}, None)
        with retrying():
            plan = plan_push(api, run, load_run_recipe(run, overrides), registry, Target(repo_id, **target))
            return push(api, plan, run, registry)

    return publish


def test_the_real_hub_does_what_the_double_does(api, repo_id, publish, exported, tmp_path):
    with pytest.raises(RemoteError, match=r"README\.md"):
        publish(exported, overrides=("card.datasets=[no id]",))
    assert not api.repo_exists(repo_id)
    first = publish(exported, tag="v1")
    assert api.model_info(repo_id).private
    assert publish(exported, tag="v1").commit is None
    api.upload_file(path_or_fileobj=b"mine", path_in_repo="assets/mine.txt", repo_id=repo_id)
    exported.artifact.preprocessor.write_text("{}")
    write_manifest(exported.artifact.path)
    with pytest.raises(UsageError, match="v1 exists already"):
        publish(exported, tag="v1")
    assert publish(exported).plan.removed == ()
    assert api.file_exists(repo_id, "assets/mine.txt")
    assert publish(exported, prune=True).plan.removed == ("assets/mine.txt",)
    exported.artifact.preprocessor.write_text("[]")
    write_manifest(exported.artifact.path)
    proposed = publish(exported, create_pr=True)
    for revision, text in ((None, "{}"), ("v1", None), (first.commit, None), (proposed.revision, "[]")):
        folder = pull(repo_id, revision=revision, output=tmp_path / f"copy-{revision}".replace("/", "-"), api=api)
        assert text is None or (folder / "preprocessor_config.json").read_text() == text
        assert (folder / "onnx/model.onnx").read_bytes() == exported.artifact.onnx.read_bytes()
