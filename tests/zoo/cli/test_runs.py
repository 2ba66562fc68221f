from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from zoo.cli.main import cli
from zoo.runs.lock import locked


@pytest.fixture
def runs(trained_run, monkeypatch):
    """Run `zoo runs ...` in this process, in the folder that holds the run `small/1` and a copy that differs."""
    monkeypatch.chdir(trained_run.path.parents[2])
    other = trained_run.path.with_name("2")
    shutil.copytree(trained_run.path, other)
    text = (other / "recipe.yaml").read_text(encoding="utf-8")
    (other / "recipe.yaml").write_text(text.replace("lr: 0.004", "lr: 0.001"), encoding="utf-8")
    for name, minute, auc in (("1", 1, 0.5), ("2", 2, 0.75)):
        folder = trained_run.path.with_name(name)
        record = {"name": "small", "trained_at": f"2026-01-02T03:0{minute}:00+00:00"}
        (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
        (folder / "evaluation").mkdir()
        metrics = {"metrics": {"auc": auc, "rank1": auc}, "untrained": {"auc": 0.25}}
        (folder / "evaluation" / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")

    def run(*arguments, check=0, **more):
        result = CliRunner().invoke(cli, ["runs", *map(str, arguments)], **more)
        assert result.exit_code == check, result.output
        return result

    return run


def rows(done):
    return [line.split() for line in done.stdout.splitlines()]


def test_runs_are_listed_the_last_trained_first(runs):
    runs("tag", "1", "baseline")
    assert rows(runs("list")) == [
        ["RUN", "STATE", "STEPS", "TPR@1e-3", "RANK-1", "TAGS"],
        ["small/2", "trained", "-", "0.7500"],
        ["small/1", "trained", "-", "0.5000", "baseline"],
    ]
    document = json.loads(runs("list", "--json").stdout)
    assert document["schema"] == 1
    assert [run["path"] for run in document["runs"]] == ["runs/small/2", "runs/small/1"]


def test_a_run_is_shown_with_what_it_was_untrained(runs):
    shown = rows(runs("show"))
    assert ["run", "runs/small/2"] in shown
    assert ["auc", "0.7500", "0.2500"] in shown
    assert ["rank1", "0.7500", "-"] in shown


def test_two_runs_are_compared_by_recipe_and_result(runs):
    shown = rows(runs("compare", "1", "2"))
    assert ["optimizer.options.lr", "0.004", "0.001"] in shown
    assert ["auc", "0.5000", "0.7500", "+0.2500"] in shown
    assert not any(row and row[0].startswith("model.") for row in shown)
    document = json.loads(runs("compare", "1", "2", "--json").stdout)
    assert document["recipe"] == {"optimizer.options.lr": ["0.004", "0.001"]}
    assert "their recipes are the same" in runs("compare", "1", "1").stdout


def test_figures_of_different_protocols_never_stand_in_one_table(runs, trained_run):
    for name, digest, data in (("1", "aaa", "cards"), ("2", "bbb", "letters")):
        path = trained_run.path.with_name(name) / "evaluation" / "metrics.json"
        protocol = {"digest": digest, "name": data, "images": 40, "classes": 8}
        path.write_text(json.dumps({**json.loads(path.read_text()), "protocol": protocol}), encoding="utf-8")
    lines = runs("list").stdout.splitlines()
    assert lines[0] == "letters, 40 images of 8 classes (protocol bbb)"
    assert lines[4] == "cards, 40 images of 8 classes (protocol aaa)"
    assert [line.split()[0] for line in lines[1:3] + lines[5:]] == ["RUN", "small/2", "RUN", "small/1"]
    compared = runs("compare", "1", "2")
    assert not any(row and row[0] in {"auc", "rank1"} for row in rows(compared))
    assert "of different protocols and do not compare (cards, 40 images of 8 classes; letters," in compared.stderr
    assert "zoo compare 1 2" in compared.stderr
    found = json.loads(runs("compare", "1", "2", "--json").stdout)["runs"]
    assert [one["protocol"] for one in found] == ["aaa", "bbb"]


def test_a_tag_is_a_name_for_other_commands_too(runs):
    runs("tag", "1", "base line")
    assert "base line was runs/small/1" in runs("tag", "2", "base line").stderr
    assert "runs/small/2" in runs("show", "base line").stdout
    evaluated = CliRunner().invoke(cli, ["push", "--run", "base lime"])
    assert "there is no run 'base lime', neither a folder nor a tag; did you mean 'base line'?" in evaluated.stderr
    runs("tag", "--delete", "2", "base line")
    assert runs("show", "base line", check=2).stdout == ""


def test_a_run_is_deleted_only_when_that_is_meant(runs, trained_run):
    refused = runs("rm", "1", check=2)
    assert "nobody can be asked; give --yes" in refused.stderr
    assert trained_run.recipe.is_file()
    assert "deleted: runs/small/1" in runs("rm", "1", "--yes").stderr
    assert not trained_run.path.exists()
    assert "deleted: runs/small/2" in runs("rm", "2", "--yes").stderr
    # The recipe's folder is empty now.
    assert not trained_run.path.parent.exists()


def test_a_run_that_is_being_trained_is_not_deleted_nor_any_beside_it(runs, trained_run):
    with locked(trained_run, new=False):
        refused = runs("rm", "2", "1", "--yes", check=2)
        assert "another training writes into it" in refused.stderr
        assert trained_run.path.with_name("2").is_dir()
    assert trained_run.recipe.is_file()


def test_what_is_no_run_is_not_deleted(runs, tmp_path):
    (tmp_path / "notes").mkdir()
    assert "not a run folder" in runs("rm", tmp_path / "notes", "--yes", check=2).stderr
    (tmp_path / "link").symlink_to(tmp_path / "runs" / "small" / "1")
    assert "is a link to" in runs("rm", tmp_path / "link", "--yes", check=2).stderr
    assert (tmp_path / "notes").is_dir()


def test_no_run_yet_says_how_to_get_one(zoo):
    done = zoo("runs", "list", check=0)
    assert (done.stdout, "train one: zoo train RECIPE" in done.stderr) == ("", True)


@pytest.mark.parametrize(
    "record", ["[]", "{", '{"hardware": [], "git": "x", "weights": 1}', '{"hardware": {"devices": 1}}']
)
def test_a_damaged_run_hides_no_other_and_is_shown_as_far_as_it_can_be_read(runs, trained_run, record):
    (trained_run.path.with_name("2") / "record.json").write_text(record, encoding="utf-8")
    curves = "step,progress,images_per_second,valid/auc\n12,0.?2,x,0.5\n"
    (trained_run.path.with_name("2") / "metrics.csv").write_text(curves, encoding="utf-8")
    document = json.loads(runs("list", "--json").stdout)
    assert {(run["path"], run["name"]) for run in document["runs"]} == {
        ("runs/small/1", "small"),
        ("runs/small/2", "small"),
    }
    shown = rows(runs("show", "2"))
    assert ["recipe", "small"] in shown
    assert ["steps", "12"] in shown
    assert not any(row[:1] == ["speed"] for row in shown)


def test_the_share_that_is_done_is_told_of_a_training_that_has_not_ended(runs, trained_run):
    trained_run.metrics_csv.write_text("step,progress,valid/auc\n12,0.92,0.5\n", encoding="utf-8")
    assert ["steps", "12"] in rows(runs("show", "1"))
    shutil.rmtree(trained_run.evaluation)
    assert "12 (92% of the training)" in runs("show", "1").stdout


def test_no_folder_but_a_recipes_is_deleted_with_its_last_run(runs, trained_run, tmp_path):
    (tmp_path / "mine").mkdir()
    shutil.move(trained_run.path, tmp_path / "mine" / "a")
    shutil.move(trained_run.path.with_name("2"), tmp_path / "runs" / "b")
    shutil.rmtree(tmp_path / "runs" / "small")
    for run, parent in (("mine/a", "mine"), ("runs/b", "runs")):
        runs("rm", run, "--yes")
        assert (tmp_path / parent).is_dir()
        assert not (tmp_path / run).exists()
