from __future__ import annotations

import json

import pytest
import yaml
from onnx import load, save

from zoo.artifacts.manifest import write_manifest
from zoo.publish.facts import gather
from zoo.recipes.licences import conflict, licence
from zoo.recipes.loading import load_recipe, load_run_recipe
from zoo_core.errors import RecipeError, RunError, UsageError


def change_record(run, **changes):
    record = json.loads(run.record.read_text())
    run.record.write_text(json.dumps({**record, **changes}))


def gathered(run, *overrides):
    return gather(run, load_run_recipe(run, overrides))


@pytest.mark.parametrize(
    "override",
    [
        "data.train={name: images/folder, options: {root: cards}}",
        "data.valid={name: images/folder, options: {root: cards}}",
        "data.train_also=[{name: images/folder, share: 0.5, options: {root: cards}}]",
        "model.backbone.options.pretrained=weights.pth",
        "model.backbone.name=timm/lcnet_100",
    ],
)
def test_another_recipes_licence_does_not_hold_for_other_data_or_weights(override, tmp_path):
    loaded = load_recipe("lcnet050_cosface_96", [override])
    assert loaded.recipe.card.license is None
    assert any("apache-2.0 is not taken over" in note for note in loaded.notes)
    child = tmp_path / "mine.yaml"
    child.write_text(f"extends: lcnet050_cosface_96\n{yaml.dump(nested(override))}", encoding="utf-8")
    assert load_recipe(child).recipe.card.license is None
    with child.open("a", encoding="utf-8") as file:
        file.write("card: {license: mit}\n")
    assert load_recipe(child).recipe.card.license == "mit"
    assert load_recipe("lcnet050_cosface_96", [override, "card.license=mit"]).recipe.card.license == "mit"


def nested(override):
    key, _, value = override.partition("=")
    document = yaml.safe_load(value)
    for part in reversed(key.split(".")):
        document = {part: document}
    return document


def test_a_recipe_over_shipped_data_keeps_its_licence(tmp_path):
    assert load_recipe("lcnet050_cosface_96", ["data.train.options.templates=7"]).recipe.card.license == "apache-2.0"
    child = tmp_path / "mine.yaml"
    child.write_text("extends: lcnet050_cosface_96\nseed: 3\n", encoding="utf-8")
    assert load_recipe(child).recipe.card.license == "apache-2.0"


def test_a_push_without_a_licence_asks_in_one_line(exported):
    with pytest.raises(UsageError) as refused:
        gathered(exported, "card.license=null")
    (line,) = str(refused.value).splitlines()
    assert "card.license is not set" in line
    assert "add card.license=... to the command" in line


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["card.license=apache2"],
            "'apache2', which is no licence that the Hub or SPDX knows; did you mean",
        ),
        (["card.license=unknown"], "'unknown', which is no licence"),
        (["card.license=LicenseRef-mine"], "which is no licence"),
        (["card.license=other"], "set card.license_name=... card.license_link=..."),
        (["card.license=other", "card.license_name=mine"], "set card.license_link=..."),
    ],
)
def test_unknown_licences_are_refused_before_a_push_and_before_a_training(exported, overrides, said):
    from zoo_core.discovery import discover

    with pytest.raises(UsageError) as refused:
        gathered(exported, *overrides)
    assert said in str(refused.value)
    with pytest.raises(RecipeError) as refused:
        load_recipe("lcnet050_cosface_96", overrides, registry=discover())
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["card.license=MIT"], ("mit", None, None)),
        (["card.license=GPL-3.0-only"], ("gpl-3.0", None, None)),
        (["card.license=0BSD"], ("other", "0BSD", "https://spdx.org/licenses/0BSD.html")),
        (
            ["card.license=other", "card.license_name=mine", "card.license_link=https://example.org/l"],
            ("other", "mine", "https://example.org/l"),
        ),
    ],
)
def test_the_licence_is_written_as_the_hub_takes_it(exported, overrides, expected):
    found = gathered(exported, *overrides).license
    assert (found.id, found.name, found.link) == expected


@pytest.mark.parametrize(("terms", "chosen", "refused"), [
    ("cc-by-nc-4.0", "apache-2.0", True),
    ("CC-BY-NC-SA-4.0", "mit", True),
    ("fair-noncommercial-research-license", "mit", True),
    ("cc-by-nc-4.0", "cc-by-nc-sa-4.0", False),
    ("apache-2.0", "mit", False),
    ("unknown", "mit", False),
])  # fmt: skip
def test_weights_for_research_alone_do_not_become_free(exported, terms, chosen, refused):
    change_record(exported, weights={"weights": "timm/x.y", "revision": "abc", "license": terms})
    if not refused:
        facts = gathered(exported, f"card.license={chosen}")
        assert facts.licences[0] == ("base weights timm/x.y", "" if terms == "unknown" else terms)
        return
    with pytest.raises(RunError, match=rf"base weights timm/x\.y: its licence {terms} forbids commercial use, which"):
        gathered(exported, f"card.license={chosen}")


@pytest.mark.parametrize(
    ("chosen", "terms"),
    [
        # The Hub has no id for these two, which allow everything.
        ("0BSD", "cc-by-nc-4.0"),
        ("MIT-0", "cc-by-nc-4.0"),
        # These two forbid commercial use, and do not say so in their names.
        ("mit", "apple-amlr"),
        ("mit", "deepfloyd-if-license"),
    ],
)
def test_a_licence_that_allows_what_another_forbids_is_refused_whoever_has_an_id_for_it(chosen, terms):
    found = conflict(licence(chosen, None, None), [("base", terms)])
    assert f"base: its licence {terms} forbids commercial use" in str(found)


def test_the_weights_of_a_teacher_count_as_those_that_training_started_from(exported):
    teacher = {"weights": "timm/vit.openai", "revision": "abc", "license": "mit"}
    change_record(exported, teacher=teacher)
    assert ("weights of the teacher timm/vit.openai", "mit") in gathered(exported).licences
    change_record(exported, teacher={**teacher, "license": "cc-by-nc-4.0"})
    with pytest.raises(RunError, match=r"weights of the teacher timm/vit\.openai: its licence cc-by-nc-4\.0 forbids"):
        gathered(exported)


def test_a_plugin_for_research_alone_is_a_conflict_too(exported):
    record = json.loads(exported.record.read_text())
    record["components"][0] |= {"license": "CC-BY-NC-4.0", "distribution": "zoo-research"}
    change_record(exported, components=record["components"])
    with pytest.raises(RunError, match=r"code of zoo-research: its licence CC-BY-NC-4\.0 forbids commercial use"):
        gathered(exported)


def test_all_files_name_the_licence_of_the_push(exported):
    facts = gathered(exported, "card.license=mit")
    (recipe,) = [file for file in facts.files if file.name == "recipe.yaml"]
    assert yaml.safe_load(recipe.content)["card"]["license"] == "mit"
    # In memory alone: the run's own file stays.
    assert yaml.safe_load(exported.artifact.recipe.read_text())["card"]["license"] == "apache-2.0"
    assert not [one for one in facts.files if b"apache-2.0" in (one.content or one.path.read_bytes())]


def test_a_graph_that_names_another_licence_is_exported_again(exported):
    model = load(exported.artifact.onnx)
    model.metadata_props.add(key="zoo.license", value="apache-2.0")
    save(model, exported.artifact.onnx)
    report = json.loads(exported.artifact.export_report.read_text())
    from hashlib import sha256

    report["sha256"] = sha256(exported.artifact.onnx.read_bytes()).hexdigest()
    exported.artifact.export_report.write_text(json.dumps(report))
    write_manifest(exported.artifact.path)
    gathered(exported)
    with pytest.raises(RunError, match=r"model\.onnx: says apache-2\.0 of its licence, the card mit; export it again"):
        gathered(exported, "card.license=mit")


FIRST = {
    "name": "/home/somebody/runs/first/1", "file": "best.ckpt", "sha256": "ab" * 32, "share": 0.75,
    "license": "cc-by-nc-4.0",
    "made_of": {
        "weights": {"weights": "timm/lcnet_050.ra2_in1k", "revision": "abc123", "license": "apache-2.0"},
        "components": [{"kind": "dataset", "name": "images/folder", "distribution": "plugzoo", "tags": []}],
        "init_from": {"name": "org/base", "revision": "def456", "sha256": "cd" * 32, "share": 1.0, "license": "mit"},
    },
}  # fmt: skip


def test_what_a_model_started_from_counts_with_all_that_it_started_from(exported):
    change_record(exported, weights={}, init_from=FIRST)
    with pytest.raises(RunError, match=r"initial weights, a model with sha256 abababababab: its licence cc-by-nc-4\.0"):
        gathered(exported)
    exported.artifact.recipe.write_text(
        exported.artifact.recipe.read_text().replace("license: apache-2.0", "license: cc-by-nc-4.0"), encoding="utf-8"
    )
    write_manifest(exported.artifact.path)
    facts = gathered(exported, "card.license=cc-by-nc-4.0")
    stated = dict(facts.licences)
    assert stated["initial weights, a model with sha256 abababababab"] == "cc-by-nc-4.0"
    assert stated["data of images/folder, for a model with sha256 abababababab"] == ""
    assert stated["base weights timm/lcnet_050.ra2_in1k"] == "apache-2.0"
    assert stated["initial weights, org/base"] == "mit"
    # Its own card names no path, and the Hub is told of the models that it has.
    assert facts.base_models == ["timm/lcnet_050.ra2_in1k", "org/base"]
