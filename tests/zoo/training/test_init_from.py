"""``init_from``: a training starts from a trained model, and says what it has of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil

import pytest
import torch
from safetensors.torch import save_file

from zoo_core.errors import RecipeError, RunError


@pytest.fixture
def trained(train):
    """A run of one epoch."""
    return train("first", "trainer.max_epochs=1")


@pytest.fixture
def write_weights(tmp_path):
    """Write tensors as safetensors, and return the override that names the file."""

    def write(tensors, name="weights.safetensors"):
        save_file({key: value.contiguous() for key, value in tensors.items()}, tmp_path / name)
        return f"init_from={tmp_path / name}"

    return write


def weights_in(path):
    state = torch.load(path, weights_only=True)["state_dict"]
    return {key.removeprefix("model."): value for key, value in state.items() if key.startswith("model.")}


def problem(raised):
    (found,) = raised.value.problems
    assert found.location.key == "init_from"
    return str(found)


def test_a_run_goes_on_from_the_best_of_another(trained, train):
    first, outcome = trained
    folder, second = train("second", f"init_from={first.path}", "trainer.max_epochs=1", "model.loss.name=arcface")
    # The baseline is the model as it starts: what the other was at its best.
    assert second.untrained == pytest.approx(outcome.metrics)
    record = folder.read_record()
    said = record["init_from"]
    assert said["name"] == str(first.path)
    assert said["sha256"] == hashlib.sha256(first.best.read_bytes()).hexdigest()
    assert (said["file"], said["share"], said["left"], said["license"]) == ("best.ckpt", 1.0, {}, "apache-2.0")
    assert [one["name"] for one in said["made_of"]["components"]] == ["documents/synthetic"]
    # Nothing is left of the backbone's own initial weights.
    assert record["weights"] == {}
    assert record["recipe"]["init_from"] == str(first.path)


@pytest.mark.parametrize("name", ["checkpoints/last.ckpt", "model.safetensors", "weights.pt"])
def test_a_file_will_do(trained, prepare, name):
    first, _ = trained
    path = first.path / name
    expected = weights_in(first.last)
    if path.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in expected.items()}, path)
    elif path.suffix == ".pt":
        torch.save(expected, path)
    plan = prepare(f"init_from={path}", strict=True)
    assert plan.report.lines == []
    own = plan.model.state_dict()
    assert own.keys() == expected.keys()
    assert all(torch.equal(own[key], expected[key]) for key in own)
    # The licence is the run's where the file is the run's checkpoint.
    assert plan.initial.source.license == ("apache-2.0" if name.endswith("ckpt") else "")


def test_what_does_not_fit_keeps_its_initial_values(prepare, write_weights):
    other = prepare("model.head.options.embed_dim=8", "seed=5").model.state_dict()
    surplus = {**other, "neck.weight": torch.zeros(3)}
    del surplus["backbone.features.layer1.0.conv1.weight"]
    start, plan = prepare(), prepare(write_weights(surplus))
    taken, own, fresh = set(plan.initial.taken), plan.model.state_dict(), start.model.state_dict()
    for key, value in own.items():
        assert torch.equal(value, (other if key in taken else fresh)[key]), key
    assert plan.initial.left["head.embed.0.weight"] == "8x96 there, 16x96 here"
    assert plan.initial.left["backbone.features.layer1.0.conv1.weight"] == "not in the file"
    # The normalisation belongs to the weights beside it.
    assert plan.initial.left["backbone.mean"] == "belongs to backbone, which is not taken whole"
    text = "\n".join(plan.report.lines)
    assert "not in the file: backbone.features.layer1.0.conv1.weight" in text
    assert "head.embed.0.weight (8x96 there, 16x96 here)" in text
    assert "not in this model: neck.weight" in text
    with pytest.raises(RunError, match="starts anew"):
        prepare(write_weights(surplus), strict=True)


def test_batch_statistics_come_with_the_weights_of_their_layer_or_not_at_all(prepare, write_weights):
    other = dict(prepare("seed=5").model.state_dict())
    norm = next(key.rpartition(".")[0] for key in other if key.startswith("head") and key.endswith("running_mean"))
    other |= {f"{norm}.running_mean": other[f"{norm}.running_mean"] + 9}
    assert prepare(write_weights(other)).model.state_dict()[f"{norm}.running_mean"].max() > 8
    del other[f"{norm}.weight"]
    assert prepare(write_weights(other)).model.state_dict()[f"{norm}.running_mean"].max() == 0


def test_nothing_that_fits_is_an_error(prepare, write_weights):
    # A pyramid of another network has the same normalisation, and not one weight.
    other = {"backbone.mean": torch.zeros(1, 3, 1, 1), "backbone.other.weight": torch.zeros(2, 2)}
    with pytest.raises(RecipeError, match=r"nothing in .* fits this model") as raised:
        prepare(write_weights(other))
    assert "not in this model: backbone.other.weight" in problem(raised)


def test_weights_that_are_not_finite_are_refused(prepare, write_weights):
    other = dict(prepare().model.state_dict())
    name = next(key for key in other if key.startswith("head") and key.endswith("weight"))
    with pytest.raises(RecipeError, match=f"{name} is not finite"):
        prepare(write_weights({**other, name: torch.full_like(other[name], float("nan"))}))


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_checkpoint_runs_no_code(prepare, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "bomb": Bomb()}, "bomb.ckpt")
    with pytest.raises(RecipeError, match="holds more than tensors") as raised:
        prepare("init_from=bomb.ckpt")
    assert "bomb.ckpt" in problem(raised)
    assert not (tmp_path / "exploded").exists()


def test_a_damaged_checkpoint_is_refused(trained, prepare):
    first, _ = trained
    data = bytearray(first.best.read_bytes())
    data[len(data) // 2] ^= 1
    first.best.write_bytes(data)
    with pytest.raises(RecipeError, match="its checksum does not match") as raised:
        prepare(f"init_from={first.path}")
    assert "best.ckpt" in problem(raised)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("missing.ckpt", "there is no missing.ckpt"),
        ("./missing", "there is no ./missing"),
        ("nothing", "neither a run nor an artifact folder"),
        ("tiny.yaml", "no file of weights"),
    ],
)
def test_what_is_no_model_is_told(prepare, tmp_path, monkeypatch, said, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(RecipeError, match=message) as raised:
        prepare(f"init_from={said}")
    assert "give a run, an artifact folder" in problem(raised)


@pytest.mark.slow
def test_a_resumed_run_does_not_need_the_other_model_any_more(trained, train, resume):
    first, _ = trained
    folder, _ = train("second", f"init_from={first.path}", "trainer.max_epochs=1")
    shutil.rmtree(first.path)
    before = folder.read_record()["init_from"]
    assert resume(folder, "trainer.max_epochs=2").metrics
    assert folder.read_record()["init_from"] == before


def test_a_run_is_found_by_its_tag(trained, prepare, tmp_path, monkeypatch):
    first, _ = trained
    shutil.copytree(first.path, tmp_path / "runs" / "tiny" / "one")
    (tmp_path / "runs" / "tiny" / "one" / "tags.json").write_text('["baseline"]', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert prepare("init_from=baseline").initial.source.name == str(tmp_path / "runs" / "tiny" / "one")
    assert prepare("init_from=tiny/one").initial.source.name == str(tmp_path / "runs" / "tiny" / "one")


@pytest.fixture
def artifact(exported, prepare):
    """An artifact folder that holds weights of the tiny recipe's model."""
    from zoo.artifacts.manifest import write_manifest

    state = prepare("seed=7").model.state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, exported.artifact.weights)
    digest = hashlib.sha256(exported.artifact.weights.read_bytes()).hexdigest()
    for path in (exported.artifact.export_report, exported.artifact.metrics):
        path.write_text(json.dumps({**json.loads(path.read_text()), "weights_sha256": digest}), encoding="utf-8")
    write_manifest(exported.artifact.path)
    return exported.artifact


def test_an_artifact_folder_gives_weights_licence_and_hash(artifact, prepare):
    source = prepare(f"init_from={artifact.path}").initial.source
    assert (source.file, source.license, source.revision) == (artifact.weights, "apache-2.0", "")
    assert source.sha256 == hashlib.sha256(artifact.weights.read_bytes()).hexdigest()
    save_file({"head.embed.0.weight": torch.zeros(16, 96)}, artifact.weights)
    with pytest.raises(RecipeError, match="is not the file that was exported") as raised:
        prepare(f"init_from={artifact.path}")
    assert "model.safetensors" in problem(raised)


def test_a_model_on_the_hub_is_fetched_and_told(artifact, hub, hub_double, hub_environment, zoo, tiny_recipe):
    files = {
        path.relative_to(artifact.path).as_posix(): hub_double.Blob(path.read_bytes(), path.suffix == ".safetensors")
        for path in artifact.path.rglob("*")
        if path.is_file()
    }
    hub.repos["org/tiny"] = hub_double.Repo(private=True)
    hub.repos["org/tiny"].commit("main", files, "first")
    done = zoo(
        "train", "--cfg", tiny_recipe, "--output", "run", "init_from=org/tiny", "trainer.max_epochs=1",
        env=hub_environment, check=0,
    )  # fmt: skip
    assert "init_from org/tiny (model.safetensors, sha256 " in done.stderr
    assert "100.0% of the parameters" in done.stderr
    record = json.loads((tiny_recipe.parent / "run" / "record.json").read_text())
    assert record["recipe"]["init_from"] == record["init_from"]["name"] == "org/tiny"
    assert len(record["init_from"]["revision"]) == 40
    refused = zoo("train", "--cfg", tiny_recipe, "--dry-run", "init_from=nobody", env=hub_environment, check=3)
    assert "init_from: there is no model nobody" in refused.stderr
