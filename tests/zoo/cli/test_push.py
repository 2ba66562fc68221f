from __future__ import annotations

import json
import os

import pytest


@pytest.fixture
def remote(zoo, hub_environment):
    """Run the command with the Hub double."""
    return lambda *arguments, env=None, **more: zoo(*arguments, env={**hub_environment, **(env or {})}, **more)


def test_a_dry_run_shows_what_a_push_will_send_and_sends_nothing(remote, hub, exported):
    before = {path: path.read_bytes() for path in exported.path.rglob("*") if path.is_file()}
    planned = remote("push", "--repo", "org/tiny", "--dry-run", check=0).stdout
    assert hub.writes == []
    assert {path: path.read_bytes() for path in exported.path.rglob("*") if path.is_file()} == before
    assert f"{hub.url}/org/tiny (private, new), branch main" in planned
    document = json.loads(remote("push", "--repo", "org/tiny", "--json", check=0).stdout)
    listed = [line.split() for line in planned.split("\n\n")[1].splitlines()]
    assert listed == [["new", file["name"], f"{file['size']:,}", file["sha256"]] for file in document["files"]]
    files = hub.repos["org/tiny"].files
    assert set(files) - {".gitattributes"} == {file["name"] for file in document["files"]}
    assert files["README.md"].content.decode() in planned


@pytest.mark.usefixtures("exported")
def test_a_push_says_what_changes_and_what_to_pull(remote, hub, hub_double):
    first = remote("push", "--repo", "org/tiny", "--tag", "v1", check=0).stderr
    commit = hub.repos["org/tiny"].refs["main"]
    count = len(hub.repos["org/tiny"].files) - 1
    assert first == f"{count} files ({count} new) in commit {commit}; next: zoo pull org/tiny --revision v1\n"
    assert "nothing has changed" in remote("push", "--repo", "org/tiny", check=0).stderr
    repo = hub.repos["org/tiny"]
    repo.commit("main", {**repo.files, "notes.txt": hub_double.Blob(b"", lfs=False)}, "notes")

    change = ("push", "--repo", "org/tiny", "--no-eval", "--prune", "card.license=mit")
    planned = remote(*change, "-n", check=0)
    assert "\n-license: apache-2.0\n+license: mit\n" in planned.stdout
    rows = dict(reversed(line.split()[:2]) for line in planned.stdout.split("\n\n")[1].splitlines())
    assert rows["model.safetensors"] == "same"
    assert rows["README.md"] == "changed"
    assert rows["eval/metrics.json"] == rows["notes.txt"] == "gone"
    said = json.loads(remote(*change, "--json", "-n", check=0).stdout)
    assert {file["name"]: file["status"] for file in said["files"]} | dict.fromkeys(said["removed"], "gone") == rows
    assert said["card_diff"] in planned.stdout
    changed = [name for name, status in rows.items() if status == "changed"]
    gone = [name for name, status in rows.items() if status == "gone"]
    told = f"{len(changed) + len(gone)} files ({len(changed)} changed, {len(gone)} gone)"
    assert planned.stderr == f"dry run: nothing was sent; a push sends {told}\n"
    pushed = remote(*change, "--create-pr", check=0)
    assert pushed.stdout == f"{hub.url}/org/tiny/discussions/1\n"
    pull = "zoo pull org/tiny --revision refs/pr/1"
    assert pushed.stderr == f"{told} in commit {repo.refs['refs/pr/1']}; next: {pull}\n"
    assert remote("push", "--repo", "org/tiny", "--tag", "v1", "card.license=mit", check=2).stderr.startswith(
        "error: org/tiny: v1 exists already, and names other files; "
    )


def test_push_pull_and_predict_are_one_way_in_three_processes(remote, hub, exported, picture, tmp_path):
    for seed in range(3):
        picture(tmp_path / "cards" / f"card{seed}.png", seed)
    picture(tmp_path / "new.png", 1, noise=20)
    ask = ("--gallery", "cards", "new.png", "--json")
    local = json.loads(remote("predict", "--model", exported.artifact.path, *ask, check=0).stdout)

    pushed = remote("push", check=0)
    assert pushed.stdout == f"{hub.url}/tester/tiny\n"
    assert "next: zoo pull tester/tiny" in pushed.stderr
    assert "LFS" not in pushed.stderr

    pulled = remote("pull", "tester/tiny", check=0)
    folder = pulled.stdout.strip()
    assert os.path.getsize(f"{folder}/onnx/model.onnx") == exported.artifact.onnx.stat().st_size  # noqa: PTH202
    assert "next: zoo predict --model tester/tiny" in pulled.stderr
    remote_answer = json.loads(remote("predict", "--model", "tester/tiny", *ask, check=0).stdout)
    assert remote_answer == local
    assert local["predictions"][0]["label"] == "card1"


def test_only_card_and_hub_are_changed_by_a_push(remote, hub, exported):
    for override in ("data.loader.batch_size=3", "cards.license=mit", "card=x"):
        result = remote("push", "--repo", "org/tiny", "card.license=mit", override, check=2)
        assert result.stderr.startswith(f"error: {override.partition('=')[0]}: a push changes only card.* and hub.*")
        assert result.stderr.count("\n") == 1
    assert hub.log == []
    assert not exported.artifact.card.exists()


def test_errors_are_one_line_with_their_exit_code_and_without_the_token(remote, hub_double, exported):
    for arguments, env, code, text in (
        (["push", "--repo", "org/x"], {"HF_TOKEN": "hf_wrong"}, 5, "refuses the token"),
        (["push", "--repo", "org/x"], {"HF_ENDPOINT": "http://127.0.0.1:9"}, 5, "cannot be reached"),
        (["pull", "org/none"], {"HF_TOKEN": ""}, 5, "there is no such model"),
    ):
        result = remote(*arguments, env=env, check=code)
        assert text in result.stderr
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
        assert "hf_wrong" not in result.stderr
        assert hub_double.TOKEN not in result.stderr
    assert exported.artifact.onnx.is_file()
