from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.recipes.loading import shipped

BASE = "extends: lcnet050_cosface_96\n"

# Each wrong recipe, and all that is wrong with it: "LINE:COLUMN: KEY: MESSAGE; HINT" of the recipe's own file, or
# with the file's name before it. <FILE|TEXT> is the place where a shipped file first has that text; {configs} is the
# folder of those files.
WRONG = {
    "unknown_keys": (
        BASE + "modle: {}\ndata:\n  loader:\n    batchsize: 64\n    size: 3\nhub: {repo: a/b}\n",
        [
            "2:1: modle: unknown key; did you mean 'model'?",
            "5:5: data.loader.batchsize: unknown key; did you mean 'batch_size'?",
            "6:5: data.loader.size: unknown key; known keys: batch_size, num_workers",
            "7:7: hub.repo: unknown key; did you mean 'repo_id'?",
        ],
    ),
    "wrong_types": (
        BASE
        + "seed: -1\n"
        + "data:\n  image_size: [96]\n  loader: {batch_size: many, num_workers: '4'}\n"
        + "checkpoint: {monitor: tpr_at_fpr_1e3}\n"
        + "hub: {private: yes}\n"
        + "card:\n",
        [
            "2:1: seed: should be greater than or equal to 0, not -1",
            "4:3: data.image_size: missing item 1",
            "5:12: data.loader.batch_size: should be a whole number, not 'many'",
            "5:30: data.loader.num_workers: should be a whole number or 'auto', not '4'",
            (
                "6:14: checkpoint.monitor: should be 'tpr_at_fpr_1e-5', 'tpr_at_fpr_1e-4', 'tpr_at_fpr_1e-3', "
                "'tpr_at_fpr_1e-2', 'tpr_at_fpr_1e-1', 'auc' or 'rank1', not 'tpr_at_fpr_1e3'; "
                "did you mean 'tpr_at_fpr_1e-3'?"
            ),
            "7:7: hub.private: should be true or false, not 'yes'",
            "8:1: card: should be a mapping, not null",
            (
                '<base/embedding.yaml|"${data.image_size.1}">: '
                "onnx.input_shape.img.shape.3: '${data.image_size.1}' refers to nothing; "
                "did you mean 'data.image_size.0'?"
            ),
        ],
    ),
    "duplicate_keys": (
        BASE + "seed: 1\noptimizer: {options: {lr: 1, lr: 2}}\nseed: 2\n",
        [
            "3:30: duplicate key 'lr' (first at line 3)",
            "4:1: duplicate key 'seed' (first at line 2)",
        ],
    ),
    "unknown_components": (
        BASE
        + "model:\n  backbone: {name: timm/lcnet_0500}\n  head: {name: flaten_ln}\n  loss: {name: marign/cosface}\n"
        + "data:\n  augmentation: {name: embedding/flatten_ln}\n",
        [
            "3:14: model.backbone.name: there is no backbone 'timm/lcnet_0500'; did you mean 'timm/lcnet_050'?",
            "4:10: model.head.name: there is no head 'flaten_ln'; did you mean 'flatten_ln'?",
            "5:10: model.loss.name: loss 'marign/cosface': there is no plugin 'marign'; did you mean 'margin'?",
            (
                "7:18: data.augmentation.name: there is no augmentation 'embedding/flatten_ln'; "
                "'embedding/flatten_ln' is of kind head"
            ),
        ],
    ),
    "circle": (
        "seed: 1\nextends: other/circle.yaml\n",
        [
            (
                "configs/other/circle.yaml:1:1: extends: bases extend each other in a circle: "
                "configs/circle.yaml -> configs/other/circle.yaml -> configs/circle.yaml"
            ),
        ],
    ),
    "contradicting_wiring": (
        BASE
        + "model:\n  loss: {options: {embedding_dim: 256}}\n  head: {options: {image_size: [64, 64]}}\n"
        + "onnx:\n  input_shape: {img: {shape: [1, 3, 128, 128]}}\n",
        [
            (
                "3:20: model.loss.options.embedding_dim: 256 disagrees with 128, which is said at "
                "<lcnet050_cosface_96.yaml|embed_dim>: model.head.options.embed_dim; leave it out: zoo passes it"
            ),
            (
                "4:20: model.head.options.image_size: [64, 64] disagrees with [96, 96], which is said at "
                "<lcnet050_cosface_96.yaml|image_size>: data.image_size; leave it out: zoo passes it"
            ),
            (
                "6:23: onnx.input_shape.img.shape: an image of [128, 128] disagrees with [96, 96], which is said at "
                "<lcnet050_cosface_96.yaml|image_size>: data.image_size; "
                'write "${data.image_size.0}", "${data.image_size.1}" for its height and width'
            ),
        ],
    ),
    "wrong_options": (
        BASE
        + "model:\n  head: {options: {embed_dmi: 64}}\n"
        + "  loss: {name: margin/arcface, options: {m: high}}\n"
        + "data:\n  train: {options: {templates: 0}}\n"
        + "optimizer: {options: {lr: 1e-3x, weigth_decay: 1}}\n"
        + "lr_scheduler: {options: {warmup: 2, powre: 1}}\n",
        [
            "3:20: model.head.options.embed_dmi: unknown key; did you mean 'embed_dim'?",
            "4:42: model.loss.options.m: should be a number, not 'high'",
            "6:21: data.train.options.templates: should be greater than 0, not 0",
            "7:23: optimizer.options.lr: should be a number, not '1e-3x'",
            "7:34: optimizer.options.weigth_decay: unknown key; did you mean 'weight_decay'?",
            "8:26: lr_scheduler.options.warmup: should be less than or equal to 1, not 2",
            "8:37: lr_scheduler.options.powre: unknown key; did you mean 'power'?",
        ],
    ),
    "mixing": (
        BASE
        + "data:\n"
        + "  train_also:\n"
        + "    - {name: documents/synthetic, share: 0.7, options: {templates: 0}}\n"
        + "    - {name: images/instence, share: 0.3}\n"
        + "    - {name: documents/synthetic}\n",
        [
            "3:3: data.train_also: the shares sum to 1, which leaves data.train nothing",
            "4:57: data.train_also.0.options.templates: should be greater than 0, not 0",
            ("5:8: data.train_also.1.name: there is no dataset 'images/instence'; did you mean 'images/instances'?"),
            "6:7: data.train_also.2: missing key 'share'",
        ],
    ),
    "captures": (
        BASE + "data: {captures: 3}\n",
        [
            (
                "<base/embedding.yaml|batch_size: 256>: data.loader.batch_size: "
                "batches of 256 images do not hold 3 captures of each sample; make it a multiple of 3"
            ),
        ],
    ),
    "unknown_references": (
        BASE + "seed: ${sed}\ntrainer: {max_epochs: '${trainer.max_epochs}', max_steps: '${data.image_sise.0}'}\n",
        [
            "2:1: seed: '${sed}' refers to nothing; did you mean 'seed'?",
            (
                "3:11: trainer.max_epochs: '${trainer.max_epochs}' refers to itself: "
                "trainer.max_epochs -> trainer.max_epochs"
            ),
            "3:48: trainer.max_steps: '${data.image_sise.0}' refers to nothing; did you mean 'data.image_size.0'?",
        ],
    ),
    "bad_syntax": (
        BASE + "model:\n\thead: {}\n",
        ["3:1: not YAML: found character '\\t' that cannot start any token; indent with spaces: YAML allows no tabs"],
    ),
    "wrapper_options": (
        BASE + "onnx:\n  wrapper_options: {mode: nearest}\n  options: {opset: 16}\n",
        [
            "3:21: onnx.wrapper_options.mode: unknown key",
            "4:13: onnx.options.opset: unknown key; did you mean 'opset_version'?",
        ],
    ),
    "unknown_torch_names": (
        BASE
        + "optimizer: {name: AdmaW}\nlr_scheduler: {name: polynomial}\n"
        + "trainer: {max_epoch: 3, callbacks: [{name: EarlyStoping}], accumulate_grad_batches: two}\n"
        + "onnx: {options: {opset: 16}}\n",
        [
            "2:13: optimizer.name: there is no optimizer 'AdmaW'; did you mean 'AdamW'?",
            "3:16: lr_scheduler.name: there is no lr_scheduler 'polynomial'; did you mean 'PolynomialLR'?",
            "4:11: trainer.max_epoch: unknown key; did you mean 'max_epochs'?",
            ("4:38: trainer.callbacks.0.name: there is no callback 'EarlyStoping'; did you mean 'EarlyStopping'?"),
            "4:60: trainer.accumulate_grad_batches: should be a whole number, not 'two'",
            "5:18: onnx.options.opset: unknown key; did you mean 'opset_version'?",
        ],
    ),
    "axes": (
        BASE
        + "onnx:\n  input_names: [image]\n  output_names: [feats, more]\n"
        + '  dynamic_axes:\n    im: {"0": batch}\n    img: {"4": x, first: y}\n',
        [
            "3:17: onnx.input_names.0: the input 'image' has no input_shape; did you mean 'img'?",
            "6:5: onnx.dynamic_axes.im: neither an input nor an output; inputs and outputs: feats, image, more",
            "7:5: onnx.dynamic_axes.img: neither an input nor an output; did you mean 'image'?",
            "7:11: onnx.dynamic_axes.img.4: there is no axis '4'; its axes are 0 to 3",
            "7:19: onnx.dynamic_axes.img.first: there is no axis 'first'; its axes are 0 to 3",
            (
                "<base/embedding.yaml|img:>: onnx.input_shape.img: 'img' is not among the input_names; "
                "did you mean 'image'?"
            ),
        ],
    ),
    "missing_keys": (
        "model: {backbone: {name: timm/lcnet_050}, head: {}}\nextends: [no/such.yaml]\n",
        [
            "2:11: extends: there is no base 'no/such.yaml'; looked for configs/no/such.yaml, {configs}/no/such.yaml",
        ],
    ),
    "no_sections": (
        "model: {backbone: {name: timm/lcnet_050}, head: {}, loss: 3}\n",
        [
            "1:1: missing key 'data'",
            "1:1: missing key 'lr_scheduler'",
            "1:1: missing key 'onnx'",
            "1:1: missing key 'optimizer'",
            "1:43: model.head: missing key 'name'",
            "1:53: model.loss: should be a mapping, not 3",
        ],
    ),
    "latin": (BASE.encode() + b"card: {summary: caf\xe9}\n", ["2:20: is not UTF-8 text; save the file as UTF-8"]),
    "empty": ("# nothing yet\n", ["configs/empty.yaml: the file is empty"]),
}


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """A folder whose ./configs holds all wrong recipes, and nothing else."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "configs" / "other").mkdir(parents=True)
    (folder / "configs" / "other" / "circle.yaml").write_text("extends: ../circle.yaml\n", encoding="utf-8")
    for name, (text, _) in WRONG.items():
        (folder / "configs" / f"{name}.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def place(match):
    path = shipped() / match["file"]
    before, found, _ = path.read_text(encoding="utf-8").partition(match["text"])
    assert found, match
    return f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def expected(name):
    lines = [
        re.sub(r"<(?P<file>[^<>|]+)\|(?P<text>[^<>]+)>", place, line).replace("{configs}", str(shipped()))
        for line in WRONG[name][1]
    ]
    return [f"configs/{name}.yaml:{line}" if line[0].isdigit() else line for line in lines]


def as_line(problem):
    place = ":".join(str(problem[key]) for key in ("file", "line", "column") if problem[key] is not None)
    return "; ".join(
        filter(None, [": ".join(filter(None, [place, problem["key"], problem["message"]])), problem["hint"]])
    )


@pytest.fixture(scope="module")
def reports(wrong):
    """What one `zoo config check --all --json` says of each."""
    result = subprocess.run(
        [Path(sys.executable).with_name("zoo"), "config", "check", "--all", "--json"],
        cwd=wrong,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 3, result.stderr
    return {report["name"]: report for report in json.loads(result.stdout)["recipes"]}


@pytest.mark.parametrize("name", WRONG)
def test_all_that_is_wrong_is_told_at_once_with_place_and_hint(reports, name):
    assert sorted(map(as_line, reports[name]["problems"])) == sorted(expected(name))
    assert not reports[name]["ok"]


def test_good_recipes_are_told_beside_wrong_ones(reports):
    assert reports["lcnet050_cosface_96"] == {"name": "lcnet050_cosface_96", "ok": True, "problems": [], "warnings": []}


@pytest.mark.parametrize("name", ["bad_syntax", "circle", "missing_keys", "latin"])
def test_one_line_a_problem_and_exit_code_3(zoo, wrong, name):
    result = zoo("config", "check", "--cfg", name, cwd=wrong, check=3)

    assert result.stderr.splitlines() == [f"error: {line}" for line in expected(name)]
    assert result.stdout.splitlines() == [f"{name}: {len(expected(name))} problem{'s' * (len(expected(name)) > 1)}"]


@pytest.mark.parametrize("name", ["bad_syntax", "wrong_options"])
def test_training_refuses_them_before_it_begins(zoo, wrong, name):
    result = zoo("train", "--cfg", name, cwd=wrong, check=3)

    assert result.stderr.splitlines() == [f"error: {line}" for line in expected(name)]
    assert result.stdout == ""
    assert not (wrong / "runs").exists()


def test_bad_overrides_are_problems_of_the_command_line(zoo, tmp_path):
    overrides = [
        "lr=3",
        "data.image_size.2=1",
        "word",
        "model.head.options.embed_dmi=3",
        "seed=[",
        "trainer.max_epoch=1",
    ]

    result = zoo("config", "check", "--cfg", "lcnet050_cosface_96", *overrides, check=3)

    assert result.stderr.splitlines() == [
        "error: <command line>: 'word' is not an override; write it as key=value, such as trainer.max_epochs=5",
        "error: <command line>: data.image_size.2: '2' is not an item of the list; its items are 0 to 1",
        "error: <command line>: lr: unknown key; did you mean 'optimizer.options.lr'?",
        "error: <command line>: model.head.options.embed_dmi: unknown key; did you mean 'embed_dim'?",
        (
            "error: <command line>: seed: cannot read '[': not YAML: "
            "expected the node content, but found '<stream end>'; put quotes around text with special characters"
        ),
        "error: <command line>: trainer.max_epoch: unknown key; did you mean 'max_epochs'?",
    ]
    assert list(tmp_path.iterdir()) == []
