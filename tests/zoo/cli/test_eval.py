from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from zoo.cli.main import cli
from zoo.evaluation.files import LabelledFiles
from zoo.evaluation.subjects import GraphSubject
from zoo.models.model import Model
from zoo.runs.unreadable import UnreadableSamples


@pytest.fixture
def here(trained_run, monkeypatch):
    """Run the command in this process, in the folder that holds a trained run: `here("export", "--json")`."""
    monkeypatch.chdir(trained_run.path.parents[2])

    def run(*arguments, check):
        result = CliRunner().invoke(cli, list(map(str, arguments)))
        assert result.exit_code == check, result.output
        return result

    return run


def known_untrained(here, run, **figures):
    """Let the untrained model have had these figures on the run's validation data."""
    document = json.loads(here("eval", "--json", check=0).stdout)["evaluation"]
    (run.evaluation / "untrained.json").write_text(json.dumps({**figures, "protocol": document["protocol"]}))


def test_figures_are_printed_and_written(here, zoo, trained_run):
    known_untrained(here, trained_run, **{"tpr_at_fpr_1e-1": 0.1, "auc": 0.61, "rank1": 0.2})
    done = zoo("eval", check=0)
    document = json.loads((trained_run.evaluation / "metrics.json").read_text())
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines[1:6]] == ["1e-05", "1e-04", "1e-03", "1e-02", "1e-01"]
    # 126 pairs of strangers: a rate of 1e-2 would be known from one of them.
    assert lines[4].split()[4:7] == ["too", "few", "pairs"]
    assert lines[5].split()[-1] == "0.1000"
    (auc,) = (line for line in lines if line.startswith("AUC  "))
    assert auc.split() == ["AUC", f"{document['metrics']['auc']:.6f}", "(untrained", "0.6100)"]
    assert "18 images of 6 classes: 18 genuine, 126 impostor pairs of strangers and 9 of look-alikes" in lines
    assert lines[-1] == f"documents/synthetic, protocol {document['protocol']['digest']}"
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
    # In a folder of its own: the figures of the run's own data stay.
    digest = document["evaluation"]["protocol"]["digest"]
    assert not (trained_run.evaluation / "metrics.json").exists()
    assert (trained_run.evaluation / f"documents_synthetic-{digest}" / "metrics.json").is_file()


def test_what_cannot_be_measured_is_one_line(here, trained_run):
    failed = here("eval", "data.valid.options.templates=1", check=1)
    assert "error: verification needs at least two classes" in failed.stderr
    assert failed.stdout == ""
    assert not trained_run.evaluation.exists()


def test_a_model_that_is_worse_than_untrained_is_said_to_be(here, trained_run):
    # Better than can be: this run tells its few plain images apart.
    known_untrained(here, trained_run, **{"tpr_at_fpr_1e-1": 1.5, "auc": 1.5, "rank1": 1.5})
    (line,) = (line for line in here("eval", check=0).stderr.splitlines() if line.startswith("warning:"))
    assert line.startswith("warning: worse than the untrained model: rank-1 ")
    assert json.loads(here("eval", "--json", check=0).stdout)["worse_than_untrained"] == line.removeprefix("warning: ")


@pytest.fixture
def folders(tmp_path, picture):
    """Pictures of four classes in class folders."""
    for number in range(16):
        picture(tmp_path / "cards" / f"c{number % 4}" / f"{number}.png", seed=number % 4, noise=30 + number)
    return tmp_path / "cards"


def test_a_graph_is_measured_on_class_folders_as_predict_embeds_them(here, tmp_path, folders, graph_file):
    model = graph_file()
    document = json.loads(here("eval", "--model", model, "--data", folders, "--json", check=0).stdout)
    evaluation = document["evaluation"]
    assert evaluation["counts"]["images"] == 16
    assert evaluation["protocol"]["name"] == "cards"
    assert str(tmp_path) not in json.dumps(evaluation)
    paths = sorted(folders.glob("*/*.png"), key=lambda path: (path.parent.name, path.name))
    files = LabelledFiles.find(folders)
    subject = GraphSubject.named(str(model), Model.open(model))
    embedded = subject.embed(files, advance=iter, unreadable=UnreadableSamples())
    assert np.array_equal(embedded.embeddings, Model.open(model).embed(paths))


def test_a_folder_of_the_same_files_is_the_same_protocol_wherever_it_lies(here, tmp_path, folders, graph_file):
    def digest(folder):
        done = here("eval", "--model", graph_file(), "--data", folder, "--json", "-o", tmp_path / "out", check=0)
        return json.loads(done.stdout)["evaluation"]["protocol"]["digest"]

    first = digest(folders)
    moved = folders.rename(tmp_path / "elsewhere")
    assert digest(moved) == first
    next(moved.glob("c3/*.png")).unlink()
    refused = here("eval", "--model", graph_file(), "--data", moved, "-o", tmp_path / "out", check=2)
    assert f"holds figures of another protocol ({first}, not " in refused.stderr
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["protocol"]["digest"] == first


def test_references_and_queries_apart_may_know_strangers(here, folders, graph_file, tmp_path):
    apart = tmp_path / "apart"
    for part in ("references", "queries"):
        (apart / part).mkdir(parents=True)
    for number in range(4):
        folder = folders / f"c{number}"
        (apart / "queries" / f"c{number}").mkdir()
        for path in sorted(folder.iterdir())[1:]:
            path.rename(apart / "queries" / f"c{number}" / path.name)
        if number:
            # As in a gallery: one picture of a class.
            next(folder.iterdir()).rename(apart / "references" / f"c{number}.png")
    done = here("eval", "--model", graph_file(), "--data", apart, "--json", check=0)
    evaluation = json.loads(done.stdout)["evaluation"]
    assert evaluation["protocol"]["references"] == "references/"
    assert evaluation["counts"]["images"] == 15


def test_a_run_and_its_graph_have_the_same_protocol_and_figures(here, trained_run, folders):
    here("export", check=0)
    artifact = trained_run.path / "artifact"
    found = [
        json.loads(here("eval", *which, "--data", folders, "--json", check=0).stdout)["evaluation"]
        for which in (("--run", trained_run.path), ("--model", artifact))
    ]
    assert found[0]["protocol"] == found[1]["protocol"]
    assert found[0]["metrics"] == pytest.approx(found[1]["metrics"], abs=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--data", "nowhere"), "nowhere: no such folder"),
        (("--data", "empty"), "empty: holds no pictures in class folders"),
        ((), "comes without a recipe; name a folder of class folders with --data DIR"),
        (("--data", "cards", "seed=1"), "KEY=VALUE changes a recipe"),
        (("--run", "x"), "give --run or --model, not both"),
    ],
)
@pytest.mark.usefixtures("folders")
def test_a_graph_without_data_is_refused_in_a_line(here, tmp_path, graph_file, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    refused = here("eval", "--model", graph_file(), *options, check=2)
    assert message in " ".join(refused.stderr.split())
