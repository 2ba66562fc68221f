from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard, constants
from PIL import Image

from zoo.artifacts.manifest import write_manifest
from zoo.publish.card.document import body, plugin_sections
from zoo.publish.card.merging import merge
from zoo.publish.card.metadata import metadata
from zoo.publish.facts import gather
from zoo.recipes.loading import load_run_recipe
from zoo_core.errors import RunError, UsageError

REPO = "org/tiny"
SECTIONS = """
from zoo_core.api import hookimpl
ZOO_API = 1
@hookimpl
def zoo_components(): return []
@hookimpl
def zoo_card_sections(artifact): return %s
"""


@pytest.fixture
def facts(exported):
    return gather(exported, load_run_recipe(exported))


@pytest.fixture
def card(facts):
    return merge(metadata(facts, REPO), body(facts, REPO))


def front(card):
    return yaml.safe_load(card.split("---\n")[1])


def section(card, title):
    return card.split(f"## {title}\n")[1].split("\n## ")[0]


def cells(text):
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [row for row in rows if set("".join(row)) - {"-"}]


def test_precisions_are_compared_where_there_are_several(facts, card):
    assert "## Precisions" not in card
    fp32 = {"file": "onnx/model.onnx", "bytes": 2344302, "p50_ms": 0.36, "verdict": "no smaller, as fast"}
    files = {
        "fp32": {**fp32, "tpr": {"tpr_at_fpr_1e-3": 0.9787}},
        "int8": {
            "file": "onnx/model_int8.onnx", "bytes": 774774, "p50_ms": 0.43, "tpr": {}, "verdict": "smaller, slower",
            "mean_cosine": 0.99913, "lowest_cosine": 0.98771,
        },
    }  # fmt: skip
    export = {**facts.export, "precisions": {"files": files, "protocol": {"images": 855}}}
    text = section(body(replace(facts, export=export), REPO), "Precisions")
    assert "on the 855 images of the validation data" in text
    assert cells(text)[1:] == [
        ["`onnx/model.onnx`", "2,344,302", "0.36", "", "", "0.9787", ""],
        ["`onnx/model_int8.onnx`", "774,774", "0.43", "0.99913", "0.98771", "", "smaller, slower"],
    ]


def test_metadata_says_what_the_hub_wants_to_know(card):
    said = front(card)
    assert said["license"] == "apache-2.0"
    assert said["library_name"] == "zoo"
    assert said["pipeline_tag"] == "image-feature-extraction"
    assert said["base_model"] == "timm/lcnet_050.ra2_in1k"
    assert {"zoo", "onnx", "loss:cosface", "embedding-dim:8"} <= set(said["tags"])
    # The Hub would offer to load the root with them.
    assert not {"timm", "transformers", "transformers.js"} & set(said["tags"])
    assert "datasets" not in said


def test_every_metric_of_the_evaluation_is_in_the_index_unrounded(card, exported):
    metrics = json.loads(exported.artifact.metrics.read_text())
    (model,) = front(card)["model-index"]
    assert model["name"] == "tiny"
    found = {one["type"]: one["value"] for result in model["results"] for one in result["metrics"]}
    assert found == metrics["metrics"]


def test_every_figure_of_the_evaluation_is_that_of_its_file(card, exported):
    metrics = json.loads(exported.artifact.metrics.read_text())
    config = json.loads(exported.artifact.config.read_text())
    text = section(card, "Evaluation")
    rows = cells(text)
    points = metrics["thresholds"]
    expected = [
        ["TPR@FPR=1e-4", f"{metrics['metrics']['tpr_at_fpr_1e-4']:.4f}", ""],
        [
            "TPR@FPR=1e-3",
            f"{metrics['metrics']['tpr_at_fpr_1e-3']:.4f}",
            f"{metrics['untrained']['tpr_at_fpr_1e-3']:.4f}",
        ],
        ["ROC AUC", f"{metrics['metrics']['auc']:.4f}", f"{metrics['untrained']['auc']:.4f}"],
        ["Rank-1", f"{metrics['metrics']['rank1']:.4f}", ""],
    ]
    assert rows[1:5] == expected
    assert [[float(cell) for cell in row] for row in rows[6:]] == [
        [point["fpr_target"], point["fpr"], round(point["tpr"], 4), round(point["threshold"], 6)] for point in points
    ]
    counts = [
        int(number.replace(",", "")) for number in re.findall(r"(?<![\d.])\d[\d,]*(?= )", text.strip().split("\n\n")[0])
    ]
    assert counts == list(metrics["counts"].values())
    assert f"from {config['zoo']['threshold']['value']:.6f} on" in text


def test_every_figure_of_the_model_is_that_of_the_export(card, exported, facts):
    export = json.loads(exported.artifact.export_report.read_text())
    model = dict(cells(section(card, "Model"))[1:])
    for name, key in (("Parameters", "params"), ("FLOPs", "flops"), ("MACs", "macs")):
        assert int(model[name].replace(",", "")) == export[key]
    parity = [[float(cell) for cell in row] for row in cells(section(card, "Export verification"))[1:]]
    assert parity == [[b["size"], float(f"{b['max_abs_diff']:.1e}"), b["min_cosine"]] for b in export["batches"]]
    files = {row[0].partition("](")[0][1:]: row[1:] for row in cells(section(card, "Files"))[1:]}
    assert files == {one.name: [f"{one.size:,}", f"`{one.sha256}`"] for one in facts.files}


def test_pictures_are_those_that_are_published(card, facts):
    shown = re.findall(r"!\[[^]]*\]\(([^)]*)\)", card)
    assert shown == ["assets/roc.png", "assets/scores.png"]
    assert set(shown) <= {one.name for one in facts.files}


def test_no_section_is_empty_and_no_local_path_is_told(card):
    assert not re.search(r"^## .*\n\s*(?=## |<!--)", card, re.MULTILINE)
    assert "/home/somebody" not in card
    assert "pictures`" not in card
    assert "`root=<own data>`" in card
    assert "None |" not in card


def test_a_model_that_started_from_random_weights_has_no_base_model(exported):
    record = json.loads(exported.record.read_text())
    record["weights"] = {"weights": "random", "reason": "no network on /home/somebody"}
    exported.record.write_text(json.dumps(record))
    facts = gather(exported, load_run_recipe(exported))
    card = merge(metadata(facts, REPO), body(facts, REPO))
    assert "base_model" not in front(card)
    assert "started from random weights" in card
    assert "somebody" not in card


def test_devices_and_the_state_of_the_code_are_told(exported):
    record = json.loads(exported.record.read_text())
    record["hardware"] = {"cpu": "Some CPU", "cores": 4, "devices": ["cuda:0"]}
    for dirty in (False, True):
        record["git"] = {"revision": "0123abc", "dirty": dirty}
        exported.record.write_text(json.dumps(record))
        card = body(gather(exported, load_run_recipe(exported)), REPO)
        assert "| hardware | Some CPU (4 cores), cuda:0 |" in section(card, "Environment")
        assert ("at commit `0123abc` with uncommitted changes." in card) == dirty


def test_words_of_the_recipe_are_used(exported):
    facts = gather(exported, load_run_recipe(exported, ("card.summary=For receipts.", "card.datasets=[org/receipts]")))
    card = merge(metadata(facts, REPO), body(facts, REPO))
    assert "# tiny\n\nFor receipts.\n" in card
    assert front(card)["datasets"] == ["org/receipts"]


def test_text_outside_the_block_survives_byte_for_byte(facts, card):
    before, after = (
        "\n<p>Von Hand: ä</p>\r\n\n",
        "\n\n## Limits\r\n\n| a |\n\ttab  \n<!-- note -->\n---\nno newline at the end",
    )
    start, end = card.index("<!-- zoo: generated"), card.index("<!-- zoo: end -->") + len("<!-- zoo: end -->")
    head = card[:start].rstrip("\n") + "\n"
    edited = head + before + card[start:end].replace("tiny", "STALE") + after
    again = merge(metadata(facts, REPO), body(facts, REPO), remote=edited, local=card)
    assert again.startswith(head + before + "<!-- zoo: generated")
    assert again.endswith("<!-- zoo: end -->" + after)
    assert again[len(head + before) :].count("STALE") == 0
    assert merge(metadata(facts, REPO), body(facts, REPO), remote=again, local=again) == again


def test_a_card_that_somebody_wrote_before_zoo_is_kept_below(facts):
    theirs = "---\nlicense: apache-2.0\nlanguage: de\ntags: [receipts]\n---\n\n# Mine\n"
    card = merge(metadata(facts, REPO), body(facts, REPO), remote=theirs)
    assert card.endswith("<!-- zoo: end -->\n\n\n# Mine\n")
    said = front(card)
    assert said["license"] == "apache-2.0"
    assert said["language"] == "de"
    assert {"zoo", "receipts"} <= set(said["tags"])
    assert merge(metadata(facts, REPO), body(facts, REPO), remote=card) == card


def test_tags_with_a_value_are_todays(facts, card):
    theirs = card.replace("- loss:cosface", "- loss:arcface\n- mine").replace("embedding-dim:8", "embedding-dim:512")
    for source in ("local", "remote"):
        tags = front(merge(metadata(facts, REPO), body(facts, REPO), **{source: theirs}))["tags"]
        assert {"mine", "loss:cosface", "embedding-dim:8"} <= set(tags)
        assert not {"loss:arcface", "embedding-dim:512"} & set(tags)


def test_the_place_that_was_edited_wins_and_two_edits_are_refused(facts, card):
    def make(**cards):
        return merge(metadata(facts, REPO), body(facts, REPO), **cards)

    here, there = card + "\nhere", card + "\nthere"
    assert make(local=here, remote=card).endswith("\nhere")
    assert make(local=card, remote=there).endswith("\nthere")
    assert make(local=there, remote=there).endswith("\nthere")
    assert make(local=None, remote=there).endswith("\nthere")
    with pytest.raises(UsageError, match="edited both here and on the Hub"):
        make(local=here, remote=there)


@pytest.mark.parametrize("broken", ["---\na: [\n---\n", "---\n- list\n---\n"])
def test_metadata_that_is_no_yaml_is_told(facts, broken):
    with pytest.raises(UsageError, match=r"README\.md on the Hub: its metadata is not"):
        merge(metadata(facts, REPO), body(facts, REPO), remote=broken)


def test_huggingface_hub_loads_and_validates_the_card(hub, card, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    loaded = ModelCard.load(tmp_path / "README.md")
    assert loaded.data.license == "apache-2.0"
    assert {result.metric_type for result in loaded.data.eval_results} == {
        "tpr_at_fpr_1e-4",
        "tpr_at_fpr_1e-3",
        "auc",
        "rank1",
    }
    loaded.validate()
    assert len(hub.requests("POST", "/api/validate-yaml")) == 1


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("license: apache-2.0", "license: Apache 2.0", "license"),
        ("library_name: zoo", "library_name: [zoo]", "library_name"),
        ("base_model: timm/lcnet_050.ra2_in1k", "base_model: /home/me/lcnet.pth", "base_model"),
    ],
)
def test_a_card_with_an_error_is_not_validated(hub, card, monkeypatch, right, wrong, said):
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    front, _, rest = card.partition(right)
    loaded = ModelCard(front + wrong + rest, ignore_metadata_errors=True)
    with pytest.raises(ValueError, match=said):
        loaded.validate()


def test_only_clients_that_read_the_model_have_an_example_and_a_tag(facts, card):
    assert not {"@huggingface/transformers", "timm.create_model"} & set(re.findall(r"[@\w./]+", card))
    files = (*facts.files, replace(facts.files[0], name="backbone/config.json"))
    readable = replace(facts, config={**facts.config, "transformers.js_config": {"dtype": "fp32"}}, files=files)

    text = section(body(readable, REPO), "How to use")
    assert 'await pipeline("image-feature-extraction", "org/tiny", { revision: "main" })' in text
    assert 'timm.create_model(f"local-dir:{folder}/backbone", pretrained=True)' in text
    own = front(merge(metadata(readable, REPO), body(readable, REPO)))
    assert "transformers.js" in own["tags"]
    assert own["library_name"] == "zoo"


def test_a_later_export_takes_the_tag_back(facts):
    readable = replace(facts, config={**facts.config, "transformers.js_config": {"dtype": "fp32"}})
    before = merge(metadata(readable, REPO), body(readable, REPO)).replace("- zoo\n", "- zoo\n- mine\n", 1)
    after = front(merge(metadata(facts, REPO), body(facts, REPO), remote=before))
    assert "mine" in after["tags"]
    assert "transformers.js" not in after["tags"]


VARIANTS = [
    {},
    {"layout": "NHWC"},
    {"dtype": "uint8"},
    {"layout": "NHWC", "dtype": "uint8", "size": None},
    {"normalized": False},
]


@pytest.mark.parametrize("graph", VARIANTS)
def test_the_cards_example_runs_and_agrees_with_zoo(make_run, picture, tmp_path, graph):
    """The fenced block, as it stands, in a process that cannot import zoo; the download is from a local cache."""
    from zoo.models.model import Model
    from zoo.runs.layout import RunFolder
    from zoo_core.images import read_image

    run = RunFolder.open(make_run(**graph))
    facts = gather(run, load_run_recipe(run))
    _, code = re.findall(r"```python\n(.*?)```", body(facts, REPO), re.DOTALL)
    size = (40, 60) if graph.get("size", 1) else (32, 48)
    paths = [picture(tmp_path / f"{name}.jpg", seed, size) for seed, name in enumerate(("first", "second"))]
    turned = Image.Exif()
    turned[0x0112] = 3  # as of a camera held upside down
    Image.open(paths[0]).save(paths[0], exif=turned)
    images = [read_image(path) for path in paths]
    snapshot = tmp_path / "cache/models--org--tiny/snapshots/0123456789012345678901234567890123456789"
    shutil.copytree(run.artifact.path, snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text(snapshot.name)
    score = "print(repr(float(embed('first.jpg') @ embed('second.jpg'))))"
    script = f"import sys\nsys.modules['zoo'] = None\n{code}\n{score}"
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    first, second = Model.open(run.artifact.path).embed(images)
    assert abs(float(result.stdout.split()[-1]) - float(first @ second)) < 1e-5


@pytest.mark.parametrize("unseen", [True, False, None])
def test_only_an_evaluation_that_says_so_is_of_classes_not_trained_on(exported, unseen):
    metrics = json.loads(exported.artifact.metrics.read_text())
    exported.artifact.metrics.write_text(json.dumps(metrics if unseen is None else {**metrics, "unseen": unseen}))
    write_manifest(exported.artifact.path)
    facts = gather(exported, load_run_recipe(exported))
    card = merge(metadata(facts, REPO), body(facts, REPO))
    (model,) = front(card)["model-index"]
    titles = {result["dataset"]["name"] for result in model["results"]}
    assert titles == {metrics["data"]["name"] + (", classes not trained on" if unseen else "")}
    assert ("classes that were not trained on, its threshold accepts" in card) == bool(unseen)
    assert ("classes that were not trained on" in section(card, "Evaluation")) == bool(unseen)


def test_both_examples_print_what_the_card_says(card):
    zoo_example, onnx_example = re.findall(r"```text\n(.*?)```", card, re.DOTALL)
    assert re.fullmatch(r"8 (\[('-?\d\.\d{3}'(, )?){4}\])\n", zoo_example)
    assert onnx_example == "cosine to the published embedding 1.0000\n"


def test_an_example_that_fails_is_not_published(exported):
    exported.artifact.sample_embedding.write_text("{}")
    write_manifest(exported.artifact.path)
    with pytest.raises(RunError, match=r"org/tiny: an example of its card fails: KeyError: 'embedding'"):
        body(gather(exported, load_run_recipe(exported)), REPO)


def test_the_examples_name_the_tag_that_is_pushed(facts):
    text = body(facts, REPO, revision="v1.0")
    assert text.count('revision="v1.0"') == 3
    assert 'revision="main"' not in text


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"auc": 0.527, "tpr_at_fpr_1e-3": 0.0012}, "hardly tells classes apart: its ROC AUC is 0.53"),
        ({"auc": 0.51, "rank1": 0.01}, "hardly tells classes apart"),
        ({"auc": 0.95, "rank1": 0.4, "tpr_at_fpr_1e-3": 0.3}, None),
    ],
)
def test_a_bad_model_reads_as_what_it_is(exported, figures, said):
    metrics = json.loads(exported.artifact.metrics.read_text())
    changed = {**metrics, "metrics": figures, "untrained": None}
    exported.artifact.metrics.write_text(json.dumps(changed))
    write_manifest(exported.artifact.path)
    text = body(gather(exported, load_run_recipe(exported)), REPO)
    head = text.split("## Use")[0]
    assert (f"**It {said}" in head) if said else ("**It" not in head)
    assert ("For: recognising" in section(text, "Use")) == (said is None)


def test_a_model_that_fell_below_the_untrained_one_says_so(exported):
    metrics = json.loads(exported.artifact.metrics.read_text())
    worse = {**metrics, "metrics": {"auc": 0.9, "rank1": 0.5}, "untrained": {"auc": 0.95, "rank1": 0.6}}
    exported.artifact.metrics.write_text(json.dumps(worse))
    write_manifest(exported.artifact.path)
    text = body(gather(exported, load_run_recipe(exported)), REPO)
    assert "**It is worse than it was before training: ROC AUC 0.9000, untrained 0.9500" in text


def test_intervals_look_alikes_and_galleries_stand_beside_the_figures(exported):
    metrics = json.loads(exported.artifact.metrics.read_text())
    metrics["intervals"] = {"auc": [0.99, 0.9995]}
    metrics["look_alikes"] = {"pairs": 77, "auc": 0.6543, "points": []}
    for point in metrics["thresholds"]:
        point |= {"interval": [0.85, 0.93], "too_few_pairs": point["fpr_target"] < 1e-3, "look_alike_fpr": 0.4321}
    exported.artifact.metrics.write_text(json.dumps(metrics))
    config = json.loads(exported.artifact.config.read_text())
    config["zoo"]["threshold"]["expected_fpir"] = {"10": 0.0099, "1000": 0.6}
    exported.artifact.config.write_text(json.dumps(config))
    write_manifest(exported.artifact.path)
    text = section(body(gather(exported, load_run_recipe(exported)), REPO), "Evaluation")
    rows = cells(text)
    assert ["ROC AUC", "0.9988", "0.9900 to 0.9995", "0.6123"] in rows
    assert ["0.0001", "9.8e-05", "0.8123", "0.912346", "too few pairs to know"] in rows
    assert ["1,000", "60 %"] in rows
    assert "77 pairs, ROC AUC 0.6543" in text
    assert ["0.001", "0.4321"] in rows


def test_the_training_is_told_in_steps_images_and_time(exported):
    exported.metrics_csv.write_text("step,seconds\n100,61\n1720,893.7\n")
    record = json.loads(exported.record.read_text())
    record |= {"classes": 4000, "images_per_step": 256, "hardware": {"cpu": "Some CPU", "cores": 2, "devices": []}}
    record["data"] = {"train": {"samples": 5000, "classes": 4000, "pixels_sha256": "abcdef0123456789"}}
    exported.record.write_text(json.dumps(record))
    text = body(gather(exported, load_run_recipe(exported)), REPO)
    assert "for 1,720 steps of 256 images, 440,320 images in all (110 for each of 4,000 classes)" in text
    assert "in 15 minutes, on Some CPU (2 cores)." in text
    assert "Training data: 5,000 images of 4,000 classes, sha256 of the pixels `abcdef012345`." in text


def test_what_a_person_sets_on_the_hub_is_kept_and_told(facts, card):
    edited = card.replace("base_model: timm/lcnet_050.ra2_in1k", "base_model: org/mine\nlanguage: de")
    edited = edited.replace("- metric-learning\n", "")
    with pytest.warns(UserWarning, match="keeps base_model: 'org/mine', which somebody has written"):
        again = merge(metadata(facts, REPO), body(facts, REPO), local=card, remote=edited)
    said = front(again)
    assert (said["base_model"], said["language"]) == ("org/mine", "de")
    assert "metric-learning" not in said["tags"]
    with pytest.warns(UserWarning, match="keeps base_model"):
        assert merge(metadata(facts, REPO), body(facts, REPO), local=again, remote=again) == again


def test_a_licence_set_on_the_hub_is_not_reverted_in_silence(facts, card):
    for theirs in (card.replace("license: apache-2.0", "license: mit"), "---\nlicense: mit\n---\n"):
        with pytest.raises(UsageError, match=r"has set license to 'mit', and this push has 'apache-2.0'; push"):
            merge(metadata(facts, REPO), body(facts, REPO), local=card, remote=theirs)


def test_figures_edited_on_the_hub_are_set_back_and_told(facts, card):
    edited = card.replace("value: 0.9987654", "value: 0.9999999")
    assert edited != card
    with pytest.warns(UserWarning, match="model-index was edited, and is set back"):
        assert merge(metadata(facts, REPO), body(facts, REPO), remote=edited) == card


def test_what_zoo_no_longer_says_goes(exported, card):
    """Metadata that nobody has edited follow the model."""
    record = json.loads(exported.record.read_text())
    record["weights"] = {"weights": "random"}
    exported.record.write_text(json.dumps(record))
    facts = gather(exported, load_run_recipe(exported))
    assert "base_model" not in front(merge(metadata(facts, REPO), body(facts, REPO), remote=card))


def test_plugins_add_sections(exported, add_distribution):
    from zoo_core.discovery import discover

    add_distribution("zoo-carbon", carbon=SECTIONS % "{'Emissions': f'{artifact.name}: 3 g'}")
    add_distribution("zoo-broken", broken=SECTIONS % "1 / 0", wrong=SECTIONS % "['a']")
    with pytest.warns(UserWarning, match="zoo_card_sections") as told:
        more = plugin_sections(discover(), exported.artifact.path)
    assert more == [("Emissions", "artifact: 3 g")]
    assert any("failed in zoo_card_sections: ZeroDivisionError" in str(one.message) for one in told)
    assert any("plugin wrong: its zoo_card_sections returns no mapping" in str(one.message) for one in told)
    text = body(gather(exported, load_run_recipe(exported)), REPO, more=more)
    assert "\n\n## Emissions\n\nartifact: 3 g\n\n## Files" in text


def test_a_model_that_started_from_another_names_it_with_its_hash(facts):
    said = {"name": "org/base", "file": "model.safetensors", "sha256": "cd" * 32, "share": 0.75, "license": "mit"}
    hub = replace(facts, record=replace(facts.record, weights={}), init_from={**said, "revision": "def456"})
    card = merge(metadata(hub, REPO), body(hub, REPO))
    assert front(card)["base_model"] == "org/base"
    procedure = section(card, "Training procedure")
    assert f"the weights of org/base (revision `def456`, sha256 of the file `{'cd' * 32}`, licence: mit)" in procedure
    assert "75 % of the parameters come from it" in procedure
    # Where something of the backbone is left to other weights, these are named too.
    partly = replace(hub, record=facts.record)
    assert front(merge(metadata(partly, REPO), body(partly, REPO)))["base_model"] == [
        "timm/lcnet_050.ra2_in1k",
        "org/base",
    ]
    run = replace(hub, init_from={**said, "name": "/home/somebody/runs/first/1"})
    card = merge(metadata(run, REPO), body(run, REPO))
    assert "base_model" not in front(card)
    assert "somebody" not in card
    assert "the weights of a model with sha256 cdcdcdcdcdcd (" in card
