from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import subprocess
import sys

import pytest
from huggingface_hub import HfApi

from zoo.artifacts.manifest import write_manifest
from zoo.publish.plan import Target, plan_push
from zoo.publish.push import push
from zoo.publish.retry import RetryLimits, retrying
from zoo.recipes.loading import load_run_recipe
from zoo.runs.layout import RunFolder
from zoo_core.errors import RemoteError, RunError, UsageError
from zoo_core.hooks import hookimpl

REPO = "org/tiny"


@pytest.fixture
def registry():
    """No plugin listens."""
    from zoo_core.registry import Registry

    return Registry((), (), {}, None)


@pytest.fixture
def publish(hub, hub_double, registry):
    """Plan and push a run as the command does."""

    def publish(run, repo=REPO, *, token=hub_double.TOKEN, overrides=(), evaluated=True, registry=registry, **target):
        api = HfApi(endpoint=hub.url, token=token)
        where = Target(repo, **target)
        with retrying(RetryLimits(first=0.01), show=False):
            plan = plan_push(api, run, load_run_recipe(run, overrides), registry, where, evaluated=evaluated)
            return push(api, plan, run, registry)

    return publish


def change_file(run, text="{}"):
    """Export another file of preprocessing."""
    run.artifact.preprocessor.write_text(text)
    write_manifest(run.artifact.path)


def local_files(run):
    return {
        path.relative_to(run.artifact.path).as_posix(): path.read_bytes()
        for path in run.artifact.path.rglob("*")
        if path.is_file()
    }


def remote_files(hub, repo=REPO):
    return {name: blob.content for name, blob in hub.repos[repo].files.items() if name != ".gitattributes"}


def test_a_push_is_one_commit_on_the_known_parent(hub, publish, exported):
    done = publish(exported)
    (commit,) = hub.requests("POST", "/commit/")
    first, created = hub.repos[REPO].history
    assert commit.ndjson[0]["value"]["parentCommit"] == created.oid
    assert done.commit == first.oid
    assert done.url == f"{hub.url}/{REPO}"
    assert remote_files(hub) == local_files(exported)
    assert set(remote_files(hub)) == {
        "README.md",
        "assets/roc.png",
        "assets/scores.png",
        "config.json",
        "eval/metrics.json",
        "manifest.json",
        "model.safetensors",
        "onnx/export.json",
        "onnx/model.onnx",
        "preprocessor_config.json",
        "recipe.yaml",
        "sample/embedding.json",
        "sample/image.png",
    }


def test_a_second_push_makes_no_commit_and_uploads_nothing(hub, publish, exported):
    publish(exported)
    before = len(hub.log)
    done = publish(exported)
    assert done.commit is None
    later = hub.log[before:]
    assert not [request for request in later if request.method == "PUT" or "/commit/" in request.path]
    assert len(hub.repos[REPO].history) == 2


def test_a_changed_file_alone_is_sent(hub, publish, exported):
    publish(exported)
    config = json.loads(exported.artifact.config.read_text())
    exported.artifact.config.write_text(json.dumps({**config, "more": 1}))
    write_manifest(exported.artifact.path)
    publish(exported)
    names = [line["value"]["path"] for line in hub.requests("POST", "/commit/")[-1].ndjson[1:]]
    assert names == ["README.md", "config.json", "manifest.json"]


def test_files_of_the_same_content_are_sent_whole(hub, publish, exported):
    picture = exported.artifact.assets / "roc.png"
    for number in range(5):
        (exported.artifact.assets / f"{number}.png").write_bytes(picture.read_bytes())
    write_manifest(exported.artifact.path)
    publish(exported)
    assert remote_files(hub) == local_files(exported)


def test_a_commit_of_somebody_else_in_between_leaves_all_as_it_is(hub, hub_double, publish, exported):
    publish(exported)
    change_file(exported)
    repo = hub.repos[REPO]

    def meanwhile():
        hub.before_commit = None
        repo.commit("main", {**repo.files, "note.txt": hub_double.Blob(b"hello", lfs=False)}, "in between")

    hub.before_commit = meanwhile
    with pytest.raises(
        RemoteError,
        match=r"org/tiny has been changed in the meantime \(412\): A commit has happened since.*; run it again",
    ):
        publish(exported)
    assert repo.history[0].summary == "in between"
    assert repo.files["preprocessor_config.json"].content != b"{}"
    publish(exported)
    assert repo.files["preprocessor_config.json"].content == b"{}"
    assert repo.files["note.txt"].content == b"hello"


@pytest.mark.parametrize(("wish", "wire"), [(None, True), (True, True), (False, False)])
def test_a_new_repository_is_private_unless_told_otherwise(hub, publish, exported, wish, wire):
    publish(exported, private=wish)
    (created,) = hub.requests("POST", "/api/repos/create")
    assert (
        "private" in (created.json.get("visibility"), *[key for key in created.json if created.json[key] is True])
    ) == wire
    assert hub.repos[REPO].private is wire


def test_the_recipe_says_where_and_how_visible(hub, publish, exported):
    publish(exported, None, overrides=("hub.repo_id=org/elsewhere", "hub.private=false"))
    assert hub.repos["org/elsewhere"].private is False


def test_the_last_resort_is_the_users_own_name(hub, publish, exported):
    publish(exported, None)
    assert set(hub.repos) == {"tester/tiny"}


def test_the_visibility_of_an_existing_repository_stays_with_a_warning(hub, publish, exported):
    publish(exported)
    with pytest.warns(UserWarning, match="org/tiny exists and stays private"):
        publish(exported, private=False)
    assert hub.repos[REPO].private


def test_a_branch_and_a_pull_request(hub, publish, exported):
    publish(exported)
    change_file(exported)
    publish(exported, revision="next/one")
    assert hub.repos[REPO].at("next/one").files["preprocessor_config.json"].content == b"{}"
    done = publish(exported, create_pr=True)
    assert done.pull_request == f"{hub.url}/{REPO}/discussions/1"
    assert hub.repos[REPO].files["preprocessor_config.json"].content != b"{}"
    assert hub.repos[REPO].at("refs/pr/1").files["preprocessor_config.json"].content == b"{}"


def test_a_push_to_a_branch_follows_what_the_branch_holds(hub, hub_double, publish, exported):
    publish(exported)
    publish(exported, revision="next")
    repo = hub.repos[REPO]
    for branch in ("main", "next"):
        files = dict(repo.at(branch).files)
        card = files["README.md"].content + f"\nNotes of {branch}.\n".encode()
        files["README.md"] = hub_double.Blob(card, lfs=False)
        files[f"onnx/{branch}.txt"] = hub_double.Blob(b"old", lfs=False)
        repo.commit(branch, files, "notes")
    publish(exported, revision="next", prune=True)
    files = repo.at("next").files
    assert files["README.md"].content.endswith(b"\nNotes of next.\n")
    assert b"Notes of main" not in files["README.md"].content
    assert not [name for name in files if name.endswith(".txt")]
    assert "onnx/main.txt" in repo.files


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "onnx/.secret", ".cache/onnx/model.onnx", "weights.pkl", "modeling.py", "notes.txt", "onnx/op.so"],
)
def test_a_file_that_the_manifest_does_not_name_is_refused_by_name(hub, publish, exported, name):
    # given
    added = exported.artifact.path / name
    added.parent.mkdir(parents=True, exist_ok=True)
    added.write_bytes(b"private")

    # then
    with pytest.raises(RunError, match=rf"holds what is not published: {re.escape(name)} \(no file of a model\)"):
        publish(exported)
    assert hub.log == []


def test_a_link_is_refused_by_name(hub, publish, exported, tmp_path):
    # given: a link to a file of the system, and one in the place of a published file
    (exported.artifact.path / "assets/passwd").symlink_to("/etc/passwd")
    copy = tmp_path / "recipe.yaml"
    copy.write_bytes(exported.artifact.recipe.read_bytes())
    exported.artifact.recipe.unlink()
    exported.artifact.recipe.symlink_to(copy)

    # then
    with pytest.raises(RunError, match=r"assets/passwd \(a link\), recipe\.yaml \(a link\)"):
        publish(exported)
    assert hub.log == []


def add(hub_double, repo, **files):
    """Commit files as somebody else does."""
    blobs = {name: hub_double.Blob(content, lfs=False) for name, content in files.items()}
    repo.commit("main", {**repo.files, **blobs}, "more")


# In zoo's own folders, and one with a name that zoo uses.
OTHERS = ("assets/photo.png", "eval/notes.md", "onnx/model_q4.onnx", "LICENSE", "notes/mine.txt")


def test_what_others_have_added_stays_and_goes_when_asked(hub, hub_double, publish, exported):
    publish(exported)
    repo = hub.repos[REPO]
    add(hub_double, repo, **dict.fromkeys(OTHERS, b"theirs"))
    assert publish(exported).commit is None
    publish(exported, evaluated=False)
    assert set(OTHERS) < set(repo.files)
    assert not {"eval/metrics.json", "assets/roc.png", "assets/scores.png"} & set(repo.files)
    publish(exported, prune=True)
    assert not set(OTHERS) & set(repo.files)
    assert set(remote_files(hub)) == set(local_files(exported))
    assert ".gitattributes" in repo.files


def test_without_a_manifest_the_card_tells_what_an_earlier_push_left(hub, hub_double, publish, exported):
    publish(exported)
    repo = hub.repos[REPO]
    repo.commit("main", {name: blob for name, blob in repo.files.items() if name != "manifest.json"}, "older")
    add(hub_double, repo, **{"onnx/model_q4.onnx": b"theirs"})
    done = publish(exported, evaluated=False)
    assert set(done.plan.removed) == {"assets/roc.png", "assets/scores.png", "eval/metrics.json"}
    assert "onnx/model_q4.onnx" in repo.files


@pytest.mark.parametrize("manifest", [None, b"\xff", b"[]", b'{"files": 3}', b'{"files": {"old/one.bin": {}}}'])
def test_the_manifest_or_else_the_names_tell_what_an_earlier_push_left(hub, hub_double, publish, exported, manifest):
    """A card without the table of files is an older zoo's, or a person's."""
    repo = hub.repos[REPO] = hub_double.Repo(private=True)
    repo.commit("main", {}, "first")
    add(hub_double, repo, **{"README.md": b"hello", "onnx/model_int8.onnx": b"old", "old/one.bin": b"old"})
    if manifest is not None:
        add(hub_double, repo, **{"manifest.json": manifest})
    done = publish(exported)
    listed = manifest is not None and b"old/one" in manifest
    gone = {"old/one.bin"} if listed else {"onnx/model_int8.onnx"}
    assert {"old/one.bin", "onnx/model_int8.onnx"} - set(repo.files) == gone
    assert gone <= set(done.plan.removed)


def test_without_evaluation_nothing_tells_of_one(hub, publish, exported):
    exported.artifact.metrics.unlink()
    write_manifest(exported.artifact.path)
    with pytest.raises(UsageError, match=r"metrics.json: missing.*zoo eval.*without the evaluation"):
        publish(exported)
    assert not hub.writes
    publish(exported, evaluated=False)
    files = remote_files(hub)
    card = files["README.md"].decode()
    assert not [name for name in files if name.startswith(("eval/", "assets/"))]
    assert "model-index" not in card
    assert "Evaluation" not in card
    assert "TPR" not in card


def test_what_an_evaluated_push_told_is_gone_after_one_without(hub, publish, exported):
    publish(exported)
    before, config = len(hub.repos[REPO].history), exported.artifact.config.read_bytes()
    publish(exported, evaluated=False)
    files = remote_files(hub)
    assert len(hub.repos[REPO].history) == before + 1
    assert not [name for name in files if name.startswith(("eval/", "assets/"))]
    said = json.loads(files["config.json"])
    assert said["zoo"]["threshold"] is None
    assert said["zoo"]["embedding_dim"] == 8
    assert hashlib.sha256(files["config.json"]).hexdigest() in files["README.md"].decode()
    assert exported.artifact.config.read_bytes() == config
    assert publish(exported, evaluated=False).commit is None


@pytest.mark.parametrize("name", ["", "tiny", "/tiny", "org/", "org/a/b", " /x"])
def test_a_name_that_is_none_is_refused_before_anything_is_sent(hub, publish, exported, name):
    for repo, overrides in ((name, ()), (None, (f"hub.repo_id='{name}'",))):
        with pytest.raises(UsageError, match="ORG/NAME"):
            publish(exported, repo, overrides=overrides)
    assert hub.log == []


def test_what_must_not_be_published_is_refused_before_anything_is_sent(hub, publish, make_run):
    def broken(name, breaking):
        run = RunFolder.open(make_run(name))
        breaking(run)
        return run

    def no_license(run):
        run.recipe.write_text(run.recipe.read_text().replace("card: {license: apache-2.0}", ""))

    def unverified(run):
        report = json.loads(run.artifact.export_report.read_text())
        run.artifact.export_report.write_text(json.dumps({**report, "verified": False}))
        write_manifest(run.artifact.path)

    def other_file(run):
        run.artifact.onnx.write_bytes(run.artifact.onnx.read_bytes() + b"\0")

    for number, (breaking, error, text) in enumerate(
        (
            (no_license, UsageError, "card.license is not set"),
            (unverified, RunError, "the export was not verified"),
            (other_file, RunError, "is not the file that was exported"),
            (lambda run: run.artifact.onnx.unlink(), UsageError, "zoo export --run"),
            (lambda run: run.artifact.export_report.unlink(), UsageError, "zoo export --run"),
        )
    ):
        with pytest.raises(error, match=text):
            publish(broken(str(number), breaking))
    assert hub.log == []


def change(path, *keys, value):
    """Set one value in a JSON file; without ``keys`` the whole of it."""
    document = json.loads(path.read_text()) if keys else value
    place = document
    for key in keys[:-1]:
        place = place[key]
    if keys:
        place[keys[-1]] = value
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("breaking", "text"),
    [
        (lambda run: run.artifact.weights.write_bytes(b"other"), "export.json: is of another model.safetensors"),
        (
            lambda run: change(run.artifact.metrics, "weights_sha256", value="0"),
            "metrics.json: is of another model.safetensors",
        ),
        (lambda run: change(run.artifact.config, "zoo", "threshold", "value", value=0.5), "its threshold 0.5 is not"),
        (lambda run: change(run.artifact.config, "zoo", "threshold", "fpr_target", value=0.5), "is not that of"),
        (lambda run: change(run.artifact.export_report, value=[]), "export.json: holds a JSON list"),
        (
            lambda run: change(run.artifact.export_report, value={"verified": True}),
            "export.json: does not say which files",
        ),
        (lambda run: change(run.artifact.metrics, value=3), "metrics.json: holds a JSON int"),
        (lambda run: change(run.artifact.metrics, "counts", value={}), r"metrics.json: counts.images: Field req"),
        (lambda run: change(run.artifact.config, "zoo", value=None), "config.json: zoo: "),
        (lambda run: run.artifact.config.write_text("{"), "config.json: not a JSON file"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(hub, publish, exported, breaking, text):
    breaking(exported)
    # Somebody has hashed the files anew.
    write_manifest(exported.artifact.path)
    with pytest.raises(RunError, match=text) as caught:
        publish(exported)
    assert "zoo export" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hub.log == []


def test_an_evaluation_newer_than_the_export_is_refused(hub, publish, exported):
    exported.evaluation.mkdir()
    newest = exported.evaluation / "metrics.json"
    newest.write_bytes(exported.artifact.metrics.read_bytes())
    publish(exported)
    change(newest, "metrics", "auc", value=0.5)
    before = len(hub.log)
    with pytest.raises(RunError, match=r"is not the run's evaluation.*zoo export"):
        publish(exported)
    assert len(hub.log) == before


def test_a_licence_may_be_given_with_the_command(hub, publish, exported):
    exported.recipe.write_text(exported.recipe.read_text().replace("card: {license: apache-2.0}", ""))
    publish(exported, overrides=("card.license=mit",))
    assert b"license: mit" in remote_files(hub)["README.md"]


@pytest.mark.parametrize(
    ("token", "repo", "text"),
    [
        ("hf_wrong", REPO, r"refuses the token \(401\): Invalid credentials in Auth.*; set HF_TOKEN"),
        ("hf_wrong", None, r"^tiny: .* refuses the token \(401\)"),
        (None, "stranger/tiny", r"does not let this token write here \(403\): You don't have the rights to create"),
        (None, "not a name", r"ORG/NAME"),
    ],
)
def test_refusals_of_the_hub_are_one_line_without_the_token(hub_double, publish, exported, token, repo, text):
    with pytest.raises((RemoteError, UsageError), match=text) as caught:
        publish(exported, repo, token=token or hub_double.TOKEN)
    assert "\n" not in str(caught.value)
    assert "hf_" not in str(caught.value).replace("hf auth", "")


def test_metadata_that_the_hub_finds_wrong_is_told_before_there_is_a_repository(hub, publish, exported):
    with pytest.raises(RemoteError, match=r'README.md: "datasets\[0\]" with value "no id" is not valid'):
        publish(exported, overrides=("card.datasets=[no id]",))
    assert [request.path for request in hub.writes] == ["/api/validate-yaml"]
    publish(exported)
    with pytest.raises(RemoteError, match=r'README.md.*"datasets\[0\]" with value "no id" is not valid'):
        publish(exported, overrides=("card.datasets=[no id]",))
    assert len(hub.requests("POST", "/commit/")) == 1


def test_server_errors_are_one_line(hub, hub_double, publish, exported):
    hub.answers.append(("POST .*/commit/", hub_double.Answer(500, {"error": f"oops\n{hub_double.TOKEN}"})))
    with pytest.raises(RemoteError, match=r"answered 500: oops \*\*\*"):
        publish(exported)
    assert hub.repos == {}


def test_without_a_token_nothing_is_sent_and_the_line_says_how_to_log_in(hub, publish, exported, registry):
    login = "; set HF_TOKEN, or run 'hf auth login'"
    with pytest.raises(RemoteError) as caught:
        publish(exported, None, token=False)
    assert str(caught.value) == f"{hub.url}: not logged in, and no ORG/NAME is given{login}"
    hub.repos.clear()
    publish(exported)
    anonymous = HfApi(endpoint=hub.url, token=False)
    hub.repos[REPO].private = False
    plan = plan_push(anonymous, exported, load_run_recipe(exported, ()), registry, Target(REPO))
    before = len(hub.log)
    with pytest.raises(RemoteError) as caught:
        push(anonymous, plan, exported, registry)
    assert str(caught.value) == f"{hub.url}: not logged in{login}"
    assert len(hub.log) == before


@pytest.fixture
def plan(hub, hub_double, registry):
    """Plan a push, and send nothing."""

    def plan(run, *, evaluated=True, dry_run=True, overrides=(), **target):
        api = HfApi(endpoint=hub.url, token=hub_double.TOKEN)
        where = Target(**{"repo_id": REPO, **target})
        loaded = load_run_recipe(run, overrides)
        return plan_push(api, run, loaded, registry, where, evaluated=evaluated, dry_run=dry_run)

    return plan


def test_a_plan_says_what_a_push_will_do(hub, hub_double, publish, plan, exported):
    new = plan(exported, private=False)
    assert (new.repo_id, new.private, new.exists, new.parent) == (REPO, False, False, None)
    assert (new.revision, new.create_pr, new.removed) == ("main", False, ())
    assert not exported.artifact.card.exists()
    publish(exported)
    repo = hub.repos[REPO]
    add(hub_double, repo, **{"notes/old.bin": b"old", "recipe.yaml": b"changed"})
    first, later = set(new.status.values()), plan(exported, evaluated=False, prune=True)
    assert first == {"new"}
    assert {later.status[name] for name in ("README.md", "config.json", "recipe.yaml")} == {"changed"}
    assert {later.status[name] for name in ("model.safetensors", "onnx/model.onnx", "onnx/export.json")} == {"same"}
    assert [file.name for file in later.sent] == ["README.md", "config.json", "recipe.yaml", "manifest.json"]
    assert sorted(later.removed) == ["assets/roc.png", "assets/scores.png", "eval/metrics.json", "notes/old.bin"]
    known = plan(exported, create_pr=True)
    assert (known.private, known.exists, known.parent) == (True, True, repo.history[0].oid)
    assert (known.revision, known.create_pr) == ("main", True)
    assert known.removed == ()
    assert known.card_diff == ""
    assert known.card == exported.artifact.card.read_bytes().decode()
    card = known.files[0]
    assert (card.name, card.path, card.sha256) == (
        "README.md",
        exported.artifact.card,
        hashlib.sha256(known.card.encode()).hexdigest(),
    )
    # Of a branch that is not there yet, what it will start from.
    branch = plan(exported, revision="next")
    assert (branch.exists, branch.parent, branch.revision) == (True, None, "next")
    assert branch.status == known.status
    assert [request for request in hub.writes if "next" in request.path] == []


def test_a_dry_run_leaves_an_older_card_as_it_is(publish, plan, exported):
    publish(exported)
    before = exported.artifact.card.read_bytes()
    planned = plan(exported, overrides=("card.license=mit",))
    assert "license: mit" in planned.card
    assert exported.artifact.card.read_bytes() == before
    assert plan(exported, overrides=("card.license=mit",), dry_run=False).card == planned.card
    assert exported.artifact.card.read_bytes().decode() == planned.card


@pytest.mark.parametrize(("private", "state"), [(True, "private"), (False, "public")])
def test_a_wish_that_an_existing_repository_contradicts_is_told(hub, publish, plan, exported, private, state):
    publish(exported, private=private)
    line = f"org/tiny exists and stays {state}: change that in its settings on the Hub"
    with pytest.warns(UserWarning, match=f"^{line}$"):
        planned = plan(exported, private=not private)
    assert planned.private is private
    # No word where there is no contradiction; warnings are errors here.
    assert plan(exported, private=private).private is plan(exported).private is private
    assert hub.repos[REPO].private is private


def test_a_commit_is_named_after_the_run(hub, publish, exported):
    publish(exported)
    assert hub.repos[REPO].history[0].summary == f"Publish {exported.name} by zoo"


def test_a_pull_request_without_changes_is_none(publish, exported):
    publish(exported)
    done = publish(exported, create_pr=True)
    assert (done.commit, done.pull_request) == (None, None)


def test_a_repository_and_a_branch_that_appear_in_the_meantime_are_taken(hub, hub_double, plan, exported, registry):
    api = HfApi(endpoint=hub.url, token=hub_double.TOKEN)
    planned = plan(exported, revision="next", dry_run=False)
    repo = hub.repos[REPO] = hub_double.Repo(private=True)
    repo.commit("main", {}, "somebody's")
    repo.commit("next", {"note.txt": hub_double.Blob(b"hello", lfs=False)}, "somebody's")
    done = push(api, planned, exported, registry)
    assert done.commit == repo.refs["next"]
    assert repo.at("next").files["note.txt"].content == b"hello"
    assert repo.files == {}


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"status": 404, "headers": {"X-Error-Code": "EntryNotFound"}}, None),
        ({"body": b"\xff", "headers": {"ETag": '"x"', "X-Repo-Commit": "0" * 40}}, "README.md is not UTF-8: 'utf-8'"),
    ],
)
def test_a_card_that_is_gone_or_unreadable(hub, hub_double, publish, plan, exported, answer, line):
    publish(exported)
    hub.answers.append(("(HEAD|GET) .*/README.md", hub_double.Answer(**answer)))
    if line is None:
        assert plan(exported).card == exported.artifact.card.read_text()
        return
    with pytest.raises(RemoteError, match=f"^org/tiny: {line}.*; correct it on the Hub$"):
        plan(exported)


def test_the_clients_advice_is_silent_during_a_push_only(publish, exported, caplog):
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    publish(exported)
    publish(exported)
    assert logger.level == before
    assert not [record for record in caplog.records if record.name.startswith("huggingface_hub")]


def test_plugins_change_the_card_and_stop_a_push(hub, publish, exported):
    import pluggy

    from zoo_core import hooks
    from zoo_core.registry import Plugin, Provenance, Registry

    class Listener:
        stop = False

        @hookimpl
        def zoo_card_written(self, card):
            card.write_text(card.read_text() + "\nBy a plugin.\n")

        @hookimpl
        def zoo_before_push(self, artifact, repo_id):
            if self.stop:
                raise ValueError(f"{repo_id} not today, {artifact.name}")

    listener = Listener()
    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hooks)
    manager.register(listener)
    plugin = Plugin("listener", Provenance("outside", "1", "outside.plugin", 1), listener, ())
    registry = Registry((plugin,), (), {}, manager)
    publish(exported, registry=registry)
    assert remote_files(hub)["README.md"].endswith(b"\nBy a plugin.\n")
    listener.stop = True
    commits = len(hub.repos[REPO].history)
    with pytest.raises(RunError, match=r"stopped the push.*org/tiny not today, artifact"):
        publish(exported, registry=registry)
    assert len(hub.repos[REPO].history) == commits


def test_a_process_killed_between_upload_and_commit_leaves_the_repository_unchanged(
    hub, publish, exported, hub_environment
):
    script = "from zoo.cli.main import main; main()"
    arguments = ["push", "--run", str(exported.path), "--repo", REPO]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], env={**os.environ, **hub_environment}, stderr=subprocess.DEVNULL
    )

    def kill():
        process.kill()
        process.wait()
        raise ConnectionAbortedError

    hub.before_commit = kill
    assert process.wait(timeout=60) != 0
    assert len(hub.requests("PUT", "/lfs/")) == 5
    assert remote_files(hub) == {}
    hub.before_commit = None
    publish(exported)
    assert len(hub.requests("PUT", "/lfs/")) == 5
    assert remote_files(hub) == local_files(exported)


def test_uploads_go_the_xet_way_where_the_hub_has_it(hub, publish, exported, tmp_path):
    pytest.importorskip("hf_xet")
    (tmp_path / "cas").mkdir()
    hub.cas = str(tmp_path / "cas")
    publish(exported)
    assert not hub.requests("PUT", "/lfs/")
    assert hub.requests("GET", "/xet-write-token/")
    (commit,) = hub.requests("POST", "/commit/")
    sent = {line["value"]["path"]: line["value"]["oid"] for line in commit.ndjson if line["key"] == "lfsFile"}
    assert sent["onnx/model.onnx"] == hashlib.sha256(exported.artifact.onnx.read_bytes()).hexdigest()


def test_a_hub_without_xet_gets_plain_lfs_although_the_client_has_xet(hub, publish, exported, caplog):
    pytest.importorskip("hf_xet")
    publish(exported)
    assert len(hub.requests("PUT", "/lfs/")) == 5
    assert not caplog.records


def test_a_plan_shows_what_changes_in_the_card(publish, plan, exported):
    assert plan(exported).card_diff.startswith("--- /dev/null\n+++ README.md\n@@ -0,0 +1,")
    publish(exported)
    lines = plan(exported, overrides=("card.license=mit",)).card_diff.splitlines()
    assert lines[:2] == ["--- README.md on the Hub", "+++ README.md"]
    assert {"-license: apache-2.0", "+license: mit"} <= set(lines)
    # The licence stands in the text, too, and the note and two files have other hashes.
    assert sum(line.startswith(("+", "-")) for line in lines[2:]) == 10


FORBIDDEN = {"error": "You have exceeded your private storage quota."}
REFUSALS = [
    ("POST .*/preupload/", 403, FORBIDDEN, r"\(403\): You have exceeded your private storage quota\.; use a token"),
    ("POST .*/objects/batch", 413, {"error": "Too large for free users"}, r"too large \(413\): Too large for free"),
    ("PUT /lfs/", 403, {"error": "Signature expired"}, r"\(403\): Signature expired"),
    ("POST .*/commit/", 409, {"error": "Lock is held"}, r"in the meantime \(409\): Lock is held; run it again"),
    ("POST .*/commit/", 400, {"error": "Bad file name"}, r"answered 400: Bad file name"),
    ("GET .*/revision/|GET /api/models/org/tiny$", 401, {"error": "Token expired"}, r"\(401\): Token expired"),
]


@pytest.mark.parametrize(("request_", "status", "said", "line"), REFUSALS)
def test_a_refused_first_push_leaves_no_repository(hub, hub_double, publish, exported, request_, status, said, line):
    refused = hub_double.Answer(status, said)
    if request_.startswith("GET"):
        hub.befall("GET /api/models/org/tiny$", answer=hub_double.NO_REPO)  # what the plan asks
    hub.befall(request_, answer=refused)
    with pytest.raises(RemoteError, match=line):
        publish(exported)
    assert hub.requests("POST", "/api/repos/create")
    assert hub.repos == {}
    publish(exported)
    assert remote_files(hub) == local_files(exported)


def test_a_refused_push_to_an_existing_repository_leaves_it_as_it_was(hub, hub_double, publish, exported):
    publish(exported)
    before = hub.repos[REPO].files
    change_file(exported)
    for branch in ("main", "next"):
        hub.befall("POST .*/commit/", answer=hub_double.Answer(403, FORBIDDEN))
        with pytest.raises(RemoteError, match="quota"):
            publish(exported, revision=branch)
        assert hub.repos[REPO].files == before
        assert list(hub.repos[REPO].refs) == ["main"]


def test_a_new_repository_that_others_use_already_stays(hub, hub_double, publish, exported):
    def meanwhile():
        hub.before_commit = None
        hub.repos[REPO].commit("main", {"note.txt": hub_double.Blob(b"hello", lfs=False)}, "in between")

    hub.before_commit = meanwhile
    with (
        pytest.warns(UserWarning, match=r"^org/tiny: .* leaves it on the Hub: somebody has committed to it$"),
        pytest.raises(RemoteError, match=r"\(412\)"),
    ):
        publish(exported)
    assert hub.repos[REPO].files["note.txt"].content == b"hello"


def test_a_new_branch_that_others_use_already_stays(hub, hub_double, publish, exported):
    publish(exported)
    change_file(exported)
    repo = hub.repos[REPO]

    def meanwhile():
        hub.before_commit = None
        repo.commit("next", {**repo.files, "note.txt": hub_double.Blob(b"hello", lfs=False)}, "in between")

    hub.before_commit = meanwhile
    with (
        pytest.warns(UserWarning, match=r"the branch next, and leaves it on the Hub: somebody has committed to it$"),
        pytest.raises(RemoteError, match=r"\(412\)"),
    ):
        publish(exported, revision="next")
    assert repo.at("next").files["note.txt"].content == b"hello"


def test_what_cannot_be_taken_back_is_told(hub, hub_double, publish, exported):
    hub.befall("POST .*/commit/", times=2, answer=hub_double.Answer(403, FORBIDDEN))
    hub.befall("DELETE ", times=2, answer=hub_double.Answer(403, {"error": "no deletion"}))
    with (
        pytest.warns(UserWarning, match=r"^org/tiny: this push has created the repository, and leaves .*no deletion"),
        pytest.raises(RemoteError, match="quota"),
    ):
        publish(exported)
    assert remote_files(hub) == {}
    with (
        pytest.warns(UserWarning, match=r"^org/tiny: this push has created the branch next, and leaves .*no deletion"),
        pytest.raises(RemoteError, match="quota"),
    ):
        publish(exported, revision="next")


def test_a_branch_that_appears_with_other_files_is_not_written_to(hub, hub_double, plan, exported, registry, publish):
    publish(exported)
    change_file(exported)
    planned = plan(exported, revision="next", dry_run=False)
    repo = hub.repos[REPO]
    repo.commit("next", {"note.txt": hub_double.Blob(b"hello", lfs=False)}, "somebody's")
    with pytest.raises(RemoteError, match=r"^org/tiny: the branch next was created in the meantime.*; run it again"):
        push(HfApi(endpoint=hub.url, token=hub_double.TOKEN), planned, exported, registry)
    assert set(repo.at("next").files) == {"note.txt"}


def test_a_new_branch_starts_from_what_the_plan_has_seen(hub, hub_double, plan, exported, registry, publish):
    publish(exported)
    change_file(exported)
    planned = plan(exported, revision="next", dry_run=False)
    repo = hub.repos[REPO]
    add(hub_double, repo, **{"config.json": b"changed on main in the meantime"})
    push(HfApi(endpoint=hub.url, token=hub_double.TOKEN), planned, exported, registry)
    there = {name: blob.content for name, blob in repo.at("next").files.items() if name != ".gitattributes"}
    assert there == local_files(exported)


@pytest.mark.parametrize("trouble", [{"lost": True}, {"lost": True, "times": 9}, {"sent": 5}])
def test_a_commit_whose_answer_is_lost_is_made_once(hub, publish, exported, trouble):
    hub.befall("POST .*/commit/", **trouble)
    done = publish(exported)
    assert [commit.oid for commit in hub.repos[REPO].history][:-1] == [done.commit]
    assert remote_files(hub) == local_files(exported)


def test_a_pull_request_is_not_opened_twice(hub, publish, exported):
    publish(exported)
    change_file(exported)
    hub.befall("POST .*/commit/", lost=True)
    with pytest.raises(RemoteError, match="loses the connection"):
        publish(exported, create_pr=True)
    assert sorted(hub.repos[REPO].refs) == ["main", "refs/pr/1"]


def test_a_tag_names_the_commit_and_is_never_moved(hub, hub_double, publish, exported):
    first = publish(exported, tag="v1.0")
    repo = hub.repos[REPO]
    assert (repo.tags, first.revision) == ({"v1.0": first.commit}, "v1.0")
    again = publish(exported, tag="v1.0")  # says the same once more
    assert again.commit is None
    publish(exported, tag="release/1")  # another name for what is there
    assert repo.tags["release/1"] == first.commit
    change_file(exported)
    before = len(hub.writes)
    for taken in ("v1.0", "main"):
        with pytest.raises(UsageError, match=f"^org/tiny: {taken} exists already, and names other files; choose"):
            publish(exported, tag=taken)
    assert len(hub.writes) == before
    hub.befall("POST .*/tag/", answer=hub_double.Answer(409, {"error": "Tag exists"}))
    with pytest.raises(
        RemoteError, match=r"commit [0-9a-f]{40} was made, but it has no tag: .*\(409\): Tag exists; run"
    ):
        publish(exported, tag="v2.0")
    assert repo.files["preprocessor_config.json"].content == b"{}"
    assert publish(exported, tag="v2.0").commit is None
    assert repo.tags["v2.0"] == repo.history[0].oid
    with pytest.raises(UsageError, match=r"^org/tiny: v1\.0 exists already"):  # though nothing has changed
        publish(exported, tag="v1.0")


@pytest.mark.parametrize(
    "tag", ["", "-v", "a b", "a..b", "a.lock", "a/", "/a", "a//b", "a/.b", "v1\n", "a~1", "ä", "."]
)
def test_a_tag_that_is_none_is_refused_before_anything_is_asked(hub, publish, exported, tag):
    with pytest.raises(UsageError, match="is no name of a tag"):
        publish(exported, tag=tag)
    assert hub.log == []


@pytest.mark.parametrize("target", [{"create_pr": True, "tag": "v1"}, {"create_pr": True, "revision": "next"}])
def test_what_a_pull_request_cannot_do_is_refused(hub, publish, exported, target):
    with pytest.raises(UsageError, match="pull request"):
        publish(exported, **target)
    assert hub.log == []


@pytest.mark.parametrize(
    ("target", "revision"), [({}, None), ({"revision": "next/one"}, "next/one"), ({"create_pr": True}, "refs/pr/1")]
)
def test_a_push_says_what_to_pull(publish, exported, target, revision):
    publish(exported)
    change_file(exported)
    assert publish(exported, **target).revision == revision
