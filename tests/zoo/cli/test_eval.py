from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from zoo.cli.main import cli


@pytest.fixture
def here(trained_run, monkeypatch):
    """Run the command in this process, in the folder that holds a trained run: `here("export", "--json")`."""
    monkeypatch.chdir(trained_run.path.parents[2])

    def run(*arguments, check):
        result = CliRunner().invoke(cli, list(map(str, arguments)))
        assert result.exit_code == check, result.output
        return result

    return run


def test_figures_are_printed_and_written(zoo, trained_run):
    trained_run.evaluation.mkdir()
    (trained_run.evaluation / "untrained.json").write_text('{"tpr_at_fpr_1e-3": 0.1, "auc": 0.61, "rank1": 0.2}')
    done = zoo("eval", check=0)
    document = json.loads((trained_run.evaluation / "metrics.json").read_text())
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["FPR", "target", "FPR", "TPR", "threshold", "untrained", "TPR"]
    assert [line.split()[0] for line in lines[1:6]] == ["1e-05", "1e-04", "1e-03", "1e-02", "1e-01"]
    assert lines[3].split()[-1] == "0.1000"
    assert f"AUC    {document['metrics']['auc']:.6f}  (untrained 0.6100)" in lines
    assert lines[-1] == "18 images of 6 classes: 18 genuine and 135 impostor pairs"
    assert "next: zoo export --simplify --run runs/small/1" in done.stderr


def test_another_data_set_can_be_asked_for(here, trained_run):
    options = ("--run", trained_run.path, "data.valid.options.templates=4", "--json")
    document = json.loads(here("eval", *options, check=0).stdout)
    assert document["schema"] == 1
    assert document["evaluation"]["counts"]["classes"] == 4
    assert document["evaluation"]["data"]["options"]["templates"] == 4
    assert {name.rpartition("/")[2] for name in document["written"]} == {
        *("metrics.json", "thresholds.csv", "roc.png", "scores.png", "embedding.png", "worst_pairs.jpg"),
    }


def test_what_cannot_be_measured_is_one_line(here, trained_run):
    failed = here("eval", "data.valid.options.templates=1", check=1)
    assert "error: verification needs at least two classes" in failed.stderr
    assert failed.stdout == ""
    assert not trained_run.evaluation.exists()


def test_a_model_that_is_worse_than_untrained_is_said_to_be(here, trained_run):
    trained_run.evaluation.mkdir()
    # Better than can be: this run tells its few plain images apart.
    (trained_run.evaluation / "untrained.json").write_text('{"tpr_at_fpr_1e-3": 1.5, "auc": 1.5, "rank1": 1.5}')
    (line,) = (line for line in here("eval", check=0).stderr.splitlines() if line.startswith("warning:"))
    assert line.startswith("warning: worse than the untrained model: TPR@1e-3 ")
    assert json.loads(here("eval", "--json", check=0).stdout)["worse_than_untrained"] == line.removeprefix("warning: ")
