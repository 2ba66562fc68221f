"""`zoo verify` on a model of the tiny recipe, whose files are edited and hashed anew."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy

from zoo.artifacts.manifest import write_manifest

REPO = "org/tiny"


@pytest.fixture(scope="module")
def published(tmp_path_factory, tiny_recipe_text, hub_double):
    """A trained, evaluated, exported and pushed run, and the files that the Hub has received."""
    folder = tmp_path_factory.mktemp("published")
    recipe = folder / "tiny.yaml"
    # Pairs enough for a threshold, and a second graph whatever it loses.
    text = tiny_recipe_text.replace("templates: 6", "templates: 30")
    text += "onnx: {precision: {int8: {mean_cosine: 0.5, tpr_loss: 1}}}\n"
    recipe.write_text(text, encoding="utf-8")
    with hub_double.serving() as hub:
        settings = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub_double.TOKEN, "HF_HOME": str(folder / "hf")}
        for words in (
            ("train", "--cfg", recipe, "trainer.max_epochs=6"),
            ("eval",),
            ("export", "--simplify", "--precision", "int8"),
            ("push", "--repo", REPO),
        ):
            done = subprocess.run(
                [Path(sys.executable).with_name("zoo"), *map(str, words)],
                cwd=folder,
                env={**os.environ, **settings, "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        files = dict(hub.repos[REPO].files)
    (run,) = folder.glob("runs/tiny/*")
    return run / "artifact", files


@pytest.fixture
def artifact(published, tmp_path):
    """A copy of the artifact, with its card."""
    return Path(shutil.copytree(published[0], tmp_path / "model"))


@pytest.fixture
def verdicts(zoo):
    """Verify a model, which ends with ``code``; return place, claim and verdict of each claim."""

    def verify(model, *arguments, code, **more):
        done = zoo("verify", model, "--json", *arguments, check=code, **more)
        checks = json.loads(done.stdout)["checks"]
        return {(one["place"], one["claim"]): one["verdict"] for one in checks}

    return verify


def edit(path, change):
    """Change a JSON document."""
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def false_of(verdicts):
    return sorted(claim for claim, verdict in verdicts.items() if verdict == "false")


def test_all_claims_of_an_honest_model_hold(artifact, verdicts):
    found = verdicts(artifact, code=0)
    assert false_of(found) == []
    held = {claim for claim, verdict in found.items() if verdict == "holds"}
    assert {
        ("eval/metrics.json", "metrics.auc"),
        ("eval/metrics.json", "thresholds[fpr_target=0.001].threshold"),
        ("config.json", "zoo.threshold.value"),
        ("onnx/export.json", "verified"),
        ("onnx/export.json", "params"),
        ("onnx/export.json", "precisions.int8.mean_cosine"),
        ("onnx/export.json", "precisions.fp32.p50_ms"),
        ("sample/embedding.json", "embedding"),
        ("manifest.json", "files.onnx/model.onnx.size"),
        ("README.md", "model-index: auc"),
        ("README.md", "Evaluation: ROC AUC"),
        ("README.md", "Model: Parameters"),
        ("README.md", "How to use: sha256 of the graph"),
    } <= held


def test_a_metric_that_was_edited_everywhere_is_found(artifact, verdicts):
    edit(artifact / "eval/metrics.json", lambda one: one["metrics"].update(auc=one["metrics"]["auc"] + 0.004))
    write_manifest(artifact)
    found = verdicts(artifact, "--no-latency", code=1)
    assert ("eval/metrics.json", "metrics.auc") in false_of(found)
    assert {place for place, _ in false_of(found)} == {"eval/metrics.json", "README.md"}


def test_a_threshold_of_the_config_is_found(artifact, verdicts):
    edit(artifact / "config.json", lambda one: one["zoo"]["threshold"].update(value=0.123))
    write_manifest(artifact)
    found = verdicts(artifact, "--no-latency", code=1)
    assert ("config.json", "zoo.threshold.value") in false_of(found)


@pytest.mark.slow
def test_a_client_that_cannot_run_the_graph_is_found(artifact, verdicts):
    edit(artifact / "config.json", lambda one: one.update({"transformers.js_config": {"dtype": "fp32"}}))
    write_manifest(artifact)
    found = verdicts(artifact, "--no-latency", code=1)
    assert ("config.json", "transformers.js_config") in false_of(found)


@pytest.mark.slow
def test_a_number_of_the_card_is_found(artifact, verdicts):
    card = artifact / "README.md"
    text = card.read_text(encoding="utf-8")
    for pattern in (
        r"(?m)^\| Rank-1 \| 0\.(\d{3})",
        r"type: auc\s+value: 0\.(\d{3})",
        r"threshold accepts (\d+)",
        r"\| (\d+)\.\d+ MB",
        r"It prints:\s+```text\s+16 \['-?0\.(\d{3})",
    ):
        found = re.search(pattern, text)
        changed = "".join(str((int(digit) + 1) % 10) for digit in found[1])
        text = text[: found.start(1)] + changed + text[found.end(1) :]
    card.write_text(text, encoding="utf-8")
    found = false_of(verdicts(artifact, "--no-latency", code=1))
    assert {place for place, _ in found} == {"README.md"}
    claims = sorted(claim for _, claim in found)
    assert claims == sorted(
        [
            "Evaluation: Rank-1",
            "How to use: embedding",
            "Model: Size",
            "model-index: auc",
            next(one for one in claims if one.startswith("first lines: On 180 drawn")),
        ]
    )


def test_the_embedding_of_the_sample_is_found(artifact, verdicts):
    def change(document):
        document["embedding"][3] += 2e-6

    edit(artifact / "sample/embedding.json", change)
    write_manifest(artifact)
    found = false_of(verdicts(artifact, "--no-latency", code=1))
    assert ("sample/embedding.json", "embedding") in found
    # What else is found is that the card lists the hashes of other files.
    assert all(place == "README.md" for place, _ in found if place != "sample/embedding.json")


def _other_graph(data):
    """The graph with other numbers in its largest weights."""
    model = onnx.load_from_string(data)
    largest = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    values = np.frombuffer(largest.raw_data, np.float32)
    largest.raw_data = (values * np.random.default_rng(1).uniform(-1, 1, values.shape)).astype(np.float32).tobytes()
    return model.SerializeToString()


@pytest.mark.slow
def test_another_model_under_the_figures_of_this_one_is_found(artifact, verdicts):
    weights = safetensors.numpy.load_file(artifact / "model.safetensors")
    generator = np.random.default_rng(0)
    changed = {
        name: np.asarray(value * generator.uniform(0.5, 1.5, value.shape), value.dtype)
        for name, value in weights.items()
    }
    safetensors.numpy.save_file(changed, artifact / "model.safetensors", metadata={"format": "pt"})
    graph = _other_graph((artifact / "onnx/model.onnx").read_bytes())
    (artifact / "onnx/model.onnx").write_bytes(graph)
    named = {
        "sha256": hashlib.sha256(graph).hexdigest(),
        "weights_sha256": hashlib.sha256((artifact / "model.safetensors").read_bytes()).hexdigest(),
        "bytes": len(graph),
    }

    def change(document):
        document.update(named)
        document["precisions"]["files"]["fp32"].update(sha256=named["sha256"], bytes=len(graph))

    edit(artifact / "onnx/export.json", change)
    edit(artifact / "eval/metrics.json", lambda one: one.update(weights_sha256=named["weights_sha256"]))
    write_manifest(artifact)
    found = false_of(verdicts(artifact, "--no-latency", code=1))
    assert {
        ("eval/metrics.json", "metrics.auc"),
        ("onnx/export.json", "verified"),
        ("sample/embedding.json", "embedding"),
        # Of the model before.
        ("backbone/model.safetensors", "tensors"),
    } <= set(found)


@pytest.mark.slow
def test_the_numbers_of_the_proof_are_found(artifact, verdicts):
    def change(document):
        document["batches"][0]["max_abs_diff"] = 1e-10
        document["params"] //= 2
        document["precisions"]["files"]["int8"]["mean_cosine"] = 0.99999
        document["precisions"]["files"]["int8"]["p50_ms"] /= 100

    edit(artifact / "onnx/export.json", change)
    write_manifest(artifact)
    found = {claim for place, claim in false_of(verdicts(artifact, code=1)) if place == "onnx/export.json"}
    assert found == {
        "batches[size=1].max_abs_diff",
        "params",
        "precisions.int8.mean_cosine",
        "precisions.int8.p50_ms",
    }


def test_a_proof_that_was_not_made_is_refused(artifact, zoo):
    edit(artifact / "onnx/export.json", lambda one: one.update(verified=False))
    write_manifest(artifact)
    assert "export.json: the export was not verified" in zoo("verify", artifact, check=1).stderr


def test_a_size_is_refused(artifact, zoo):
    edit(artifact / "manifest.json", lambda one: one["files"]["model.safetensors"].update(size=12))
    assert "model.safetensors: has " in zoo("verify", artifact, check=1).stderr


def test_the_preprocessing_that_other_clients_read_is_found(artifact, verdicts):
    edit(artifact / "preprocessor_config.json", lambda one: one.update(image_mean=[0, 0, 0], do_normalize=True))
    write_manifest(artifact)
    found = false_of(verdicts(artifact, "--no-latency", code=1))
    assert ("preprocessor_config.json", "do_normalize") in found
    assert ("preprocessor_config.json", "image_mean[0]") in found


def test_a_figure_is_found_under_a_heading_of_another_level(artifact, verdicts):
    card = artifact / "README.md"
    text = re.sub(r"<!-- zoo.*?-->", "", card.read_text(encoding="utf-8"))
    text = text.replace("## Evaluation", "### Evaluation").replace("## Model", "Model\n-----")
    text, count = re.subn(r"(?m)^\| (Rank-1|Parameters) \| [\d.,]+", r"| \1 | 0.12345", text)
    assert count == 2
    card.write_text(text, encoding="utf-8")
    found = false_of(verdicts(artifact, "--no-latency", code=1))
    assert found == [("README.md", "Evaluation: Rank-1"), ("README.md", "Model: Parameters")]


def test_figures_that_are_not_compared_are_named(artifact, verdicts):
    card = artifact / "README.md"
    text = re.sub(r"<!-- zoo.*?-->", "", card.read_text(encoding="utf-8"))
    card.write_text(text.replace("## Evaluation", "## Results"), encoding="utf-8")
    found = verdicts(artifact, "--no-latency", code=0)
    assert any(
        place == "README.md" and "Results" in claim and verdict == "not re-run"
        for (place, claim), verdict in found.items()
    )
    assert found["assets/roc.png", "picture"] == "not re-run"


def test_a_number_in_its_authors_summary_does_not_hold_because_the_recipe_repeats_it(artifact, verdicts):
    recipe, card = artifact / "recipe.yaml", artifact / "README.md"
    recipe.write_text(recipe.read_text().replace("summary: null", "summary: Right in 99 % of all cases."))
    text = card.read_text(encoding="utf-8")
    card.write_text(re.sub(r"Maps a picture to .*", "Right in 99 % of all cases.", text), encoding="utf-8")
    write_manifest(artifact)
    found = verdicts(artifact, "--no-latency", code=1)
    assert any("card.summary" in claim and verdict == "not re-run" for (_, claim), verdict in found.items())
    assert not [claim for _, claim in found if claim.startswith("first lines: Right")]


def test_units_and_the_licence_of_a_card_are_claims_too(artifact, verdicts):
    card = artifact / "README.md"
    text = card.read_text(encoding="utf-8")
    text, count = re.subn(r"(?m)^(\| Size \| [\d.]+) MB", r"\1 KB", text)
    assert count == 1
    assert "license: apache-2.0" in text
    card.write_text(text.replace("license: apache-2.0", "license: mit"), encoding="utf-8")
    found = false_of(verdicts(artifact, "--no-latency", code=1))
    assert found == [("README.md", "Model: Size"), ("README.md", "license")]


def test_a_file_that_is_not_that_of_the_manifest_is_refused_by_name(artifact, zoo):
    edit(artifact / "eval/metrics.json", lambda one: one["metrics"].update(auc=1.0))
    refused = zoo("verify", artifact, check=1)
    assert "eval/metrics.json: is not the file that was exported" in refused.stderr
    assert refused.stdout == ""


def test_a_lie_on_the_hub_is_found_and_its_files_are_refused(
    published, hub, hub_double, hub_environment, verdicts, zoo
):
    repo = hub.repos[REPO] = hub_double.Repo(private=False)
    repo.commit("main", published[1], "first")
    table = zoo("verify", REPO, "--no-latency", env=hub_environment, check=0)
    assert re.search(r"^sample/embedding\.json +embedding .* holds: equal to the last bit$", table.stdout, re.MULTILINE)
    assert re.search(r"claims: \d+ hold, 0 false, \d+ not re-run$", table.stderr.strip())

    # A sample that pull would refuse is a claim like others.
    name, manifest = "sample/embedding.json", json.loads(published[1]["manifest.json"].content)
    document = json.loads(published[1][name].content)
    document["embedding"][0] += 0.01
    content = json.dumps(document).encode()
    manifest["files"][name] |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    changed = {name: content, "manifest.json": json.dumps(manifest).encode()}
    blobs = {key: hub_double.Blob(value, lfs=False) for key, value in changed.items()}
    repo.commit("main", {**published[1], **blobs}, "lie")
    found = false_of(verdicts(REPO, "--no-latency", code=1, env=hub_environment))
    assert ("sample/embedding.json", "embedding") in found

    repo.commit("main", {**published[1], name: blobs[name]}, "torn")
    assert f"{name}: " in zoo("verify", REPO, env=hub_environment, check=1).stderr
    assert "there is no such model" in zoo("verify", "org/none", env=hub_environment, check=5).stderr
    assert "no such folder" in zoo("verify", "nowhere", check=2).stderr


@pytest.mark.slow
def test_data_of_its_author_are_known_by_their_hash(own_data, verdicts, zoo, tmp_path):
    figure = ("eval/metrics.json", "metrics.auc")
    assert "<own data>" in (own_data / "recipe.yaml").read_text(encoding="utf-8")
    without = zoo("verify", own_data, "--no-latency", check=0)
    assert re.search(r"metrics\.auc .* not re-run: needs its data, .*--data DIR", without.stdout)
    given = verdicts(own_data, "--no-latency", "--data", tmp_path / "cards", code=0)
    assert given[figure] == "holds"
    others = verdicts(own_data, "--no-latency", "--data", tmp_path / "others", code=0)
    assert {others[figure], others["eval/metrics.json", "protocol.content"]} == {"not re-run"}
    assert "no such folder" in zoo("verify", own_data, "--data", "nowhere", check=2).stderr

    edit(own_data / "eval/metrics.json", lambda one: one["metrics"].update(rank1=0.999))
    write_manifest(own_data)
    lie = verdicts(own_data, "--no-latency", "--data", tmp_path / "cards", code=1)
    assert false_of(lie) == [("eval/metrics.json", "metrics.rank1")]
