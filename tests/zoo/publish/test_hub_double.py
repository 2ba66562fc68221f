"""The Hub double is strict: it refuses what the Hub refuses, and notices what it does not know."""

from __future__ import annotations

import io

import pytest
import yaml
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError
from huggingface_hub.utils import get_session

REPO = "org/tiny"
RESULT = {
    "task": {"type": "image-feature-extraction"},
    "dataset": {"type": "documents/synthetic", "name": "synthetic"},
    "metrics": [{"type": "auc", "value": 0.9}],
}


@pytest.fixture
def api(hub, hub_double):
    return HfApi(endpoint=hub.url, token=hub_double.TOKEN)


@pytest.fixture
def check(hub):
    """Let the double validate a card with this metadata; return what it finds wrong."""

    def check(metadata):
        card = f"---\n{yaml.safe_dump(metadata)}---\nhello"
        answer = get_session().post(f"{hub.url}/api/validate-yaml", json={"content": card, "repoType": "model"})
        return answer.status_code, [error["message"] for error in answer.json()["errors"]]

    return check


@pytest.mark.parametrize(
    "metadata",
    [
        {"license": "apache-2.0", "tags": ["zoo"], "datasets": ["org/data"], "base_model": "timm/lcnet_050.ra2_in1k"},
        {"license": ["mit", "cc-by-4.0"], "language": "en", "datasets": "data", "base_model": ["a/b", "c"]},
        {"license": "other", "license_name": "mine", "license_link": "LICENSE", "anything": {"else": 1}},
        {"model-index": [{"name": "tiny", "results": [RESULT]}]},
    ],
)
def test_good_metadata_passes(check, metadata):
    assert check(metadata) == (200, [])


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"license": "Apache 2.0"}, '"license" must be one of'),
        ({"license": "gpl-2.0-or-later"}, '"license" must be one of'),
        ({"license": ["mit", 3]}, '"license" must be one of'),
        ({"license": None}, '"license" must be one of'),
        ({"license": "other", "license_name": 3}, '"license_name" must be a string'),
        ({"library_name": ["zoo"]}, '"library_name" must be a string'),
        ({"tags": "zoo"}, '"tags" must be an array'),
        ({"tags": ["zoo", 3]}, '"tags[1]" must be a string'),
        ({"language": {"en": 1}}, '"language" must be an array'),
        ({"datasets": [None]}, '"datasets[0]" must be a string'),
        ({"datasets": ["/home/me/data"]}, '"datasets[0]" with value "/home/me/data" is not valid'),
        ({"base_model": "./weights/x"}, '"base_model" with value "./weights/x" is not valid'),
        ({"model-index": {}}, '"model-index" must be an array'),
        ({"model-index": [{"results": [RESULT]}]}, '"model-index[0].name" is required'),
        ({"model-index": [{"name": "x", "results": {}}]}, '"model-index[0].results" must be an array'),
        ({"model-index": [{"name": "x", "results": [{}]}]}, '"model-index[0].results[0].task" is required'),
        (
            {"model-index": [{"name": "x", "results": [{**RESULT, "dataset": {"type": "a b", "name": "x"}}]}]},
            '"model-index[0].results[0].dataset.type" with value "a b" fails to match',
        ),
        (
            {"model-index": [{"name": "x", "results": [{**RESULT, "metrics": [{"type": "auc"}]}]}]},
            '"model-index[0].results[0].metrics[0].value" is required',
        ),
        (["a list"], "metadata must be a mapping"),
    ],
)
def test_wrong_metadata_is_refused_in_the_hubs_words(hub, hub_double, api, check, metadata, message):
    status, said = check(metadata)
    assert status == 400
    assert message in said[0]
    card = f"---\n{yaml.safe_dump(metadata)}---\nhello"
    api.create_repo(REPO)
    hub.answers.append(("POST /api/validate-yaml", hub_double.Answer(200, {"errors": [], "warnings": []})))
    with pytest.raises(BadRequestError, match="invalid metadata"):
        api.create_commit(REPO, [CommitOperationAdd("README.md", card.encode())], commit_message="past the check")


def test_an_unknown_call_is_answered_501_and_noticed(hub):
    assert get_session().get(f"{hub.url}/api/models/org/tiny/treasure").status_code == 501
    assert hub.unknown == ["GET /api/models/org/tiny/treasure"]
    hub.unknown.clear()  # else this test fails, as each does that meets one


def test_an_error_of_the_double_is_noticed(hub, api):
    hub.before_commit = lambda: 1 / 0
    api.create_repo(REPO)
    with pytest.raises(Exception, match="disconnected"):
        api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=REPO)
    assert [error.partition(": ")[2] for error in hub.unknown] == ["ZeroDivisionError('division by zero')"]
    hub.unknown.clear()


def test_unchanged_files_are_known_by_their_oids_large_ones_too(hub, api):
    api.create_repo(REPO)
    for _ in range(2):
        operations = [CommitOperationAdd("a.onnx", io.BytesIO(b"\0weights")), CommitOperationAdd("b.txt", b"text")]
        api.create_commit(REPO, operations, commit_message="twice")
    assert len(hub.repos[REPO].history) == 2
    assert len(hub.requests("PUT", "/lfs/")) == 1


def test_what_is_not_there_cannot_be_deleted(api):
    api.create_repo(REPO)
    with pytest.raises(HfHubHTTPError, match=r"doesn't exist: none\.txt"):
        api.delete_file("none.txt", REPO)
