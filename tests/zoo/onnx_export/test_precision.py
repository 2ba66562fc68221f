from __future__ import annotations

import collections
import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from zoo.artifacts.layout import ArtifactFolder
from zoo.metrics.verification import verify
from zoo.models.model import Model
from zoo.onnx_export.artifact import export_artifact
from zoo.onnx_export.float16 import to_float16
from zoo.onnx_export.precision import check_outputs
from zoo.onnx_export.precision_loss import measure_loss
from zoo.onnx_export.quantization import to_int8
from zoo.recipes.loading import load_run_recipe
from zoo.validation.embedded_images import EmbeddedImages
from zoo_core.discovery import discover
from zoo_core.errors import RunError


@pytest.fixture
def export(trained_run):
    def run(*overrides, precisions=None):
        loaded = load_run_recipe(trained_run, overrides)
        return export_artifact(trained_run, loaded, discover(), simplify=False, precisions=precisions)

    return run


def infer(path, batch):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [one.type for one in (*session.get_inputs(), *session.get_outputs())] == ["tensor(float)"] * 2
    return session.run(None, {session.get_inputs()[0].name: batch})[0]


def test_float16_is_half_the_size_and_gives_the_same_embeddings(export, trained_run):
    done = export()
    artifact = trained_run.artifact
    half = artifact.graph("fp16")
    assert (done.precisions.left_out, artifact.graph("int8").exists()) == ({}, False)
    assert half in done.written
    assert 0.45 < half.stat().st_size / artifact.onnx.stat().st_size < 0.65
    weights = collections.Counter(one.data_type for one in onnx.load(half).graph.initializer)
    assert weights[TensorProto.FLOAT16] > weights[TensorProto.FLOAT]
    batch = np.random.default_rng(0).random((17, 3, 32, 32), dtype=np.float32)
    found, wanted = infer(half, batch), infer(artifact.onnx, batch)
    assert np.abs(found - wanted).max() < 5e-3
    # Normalised in float32: in float16 a length is wrong by 5e-4.
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5
    assert np.abs(infer(half, batch[3:4]) - found[3:4]).max() < 1e-6


def test_the_report_says_what_each_file_is_and_loses(export, trained_run):
    done = export(
        "onnx.precision.int8.mean_cosine=0.5", "onnx.precision.int8.tpr_loss=1.0", precisions=["fp16", "int8"]
    )
    artifact, report = trained_run.artifact, done.report["precisions"]
    assert list(report["files"]) == ["fp32", "fp16", "int8"]
    for name, entry in report["files"].items():
        data = (artifact.path / entry["file"]).read_bytes()
        assert (entry["sha256"], entry["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
        assert entry["p50_ms"] > 0
        said = Model.open(artifact.path, precision=name).graph.metadata
        assert said.get("zoo.precision") == (None if name == "fp32" else name)
        assert said["zoo.weights_sha256"] == done.verified.report["weights_sha256"]
    fp32, fp16, int8 = (report["files"][name] for name in ("fp32", "fp16", "int8"))
    assert fp16["mean_cosine"] > 0.9999 > int8["mean_cosine"] > 0.5
    assert fp16["verdict"].startswith("smaller, ")
    # 18 images have pairs enough for one rate.
    assert list(fp32["tpr"]) == ["tpr_at_fpr_1e-1"]
    difference = int8["tpr"]["tpr_at_fpr_1e-1"] - fp32["tpr"]["tpr_at_fpr_1e-1"]
    assert int8["tpr_difference"] == {"tpr_at_fpr_1e-1": pytest.approx(difference)}
    assert report["protocol"]["images"] == 18


def test_int8_keeps_the_first_and_depthwise_convolutions_in_float():
    rng = np.random.default_rng(0)
    shapes = {"first": (8, 3, 3, 3), "depthwise": (8, 1, 3, 3), "pointwise": (8, 8, 1, 1)}
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Conv", ["img", "first"], ["a"]),
                helper.make_node("Conv", ["a", "depthwise"], ["b"], group=8),
                helper.make_node("Conv", ["b", "pointwise"], ["c"]),
                helper.make_node("Flatten", ["c"], ["d"]),
                helper.make_node("MatMul", ["d", "dense"], ["feats"]),
            ],
            "small",
            [helper.make_tensor_value_info("img", TensorProto.FLOAT, ["batch", 3, 8, 8])],
            [helper.make_tensor_value_info("feats", TensorProto.FLOAT, ["batch", 4])],
            [
                *(numpy_helper.from_array(value, name) for name, value in weights.items()),
                numpy_helper.from_array(rng.standard_normal((128, 4)).astype(np.float32), "dense"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 16)],
        ir_version=8,
    )
    helper.set_model_props(model, {"zoo.wrapper": "small"})
    batches = [rng.random((16, 3, 8, 8), dtype=np.float32) for _ in range(4)]
    small = to_int8(model, batches)
    assert [(entry.key, entry.value) for entry in small.metadata_props] == [("zoo.wrapper", "small")]
    types = {one.name: one.data_type for one in small.graph.initializer}
    assert (types["first"], types["depthwise"]) == (TensorProto.FLOAT, TensorProto.FLOAT)
    assert (types["pointwise_quantized"], types["dense_quantized"]) == (TensorProto.INT8, TensorProto.INT8)
    found, wanted = (infer(one.SerializeToString(), batches[0]) for one in (small, model))
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.999
    # The same calibration gives the same bytes.
    assert to_int8(model, batches) == small
    model.opset_import[0].version = 12
    with pytest.raises(RunError, match="int8 needs opset 13, not 12"):
        to_int8(model, batches)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("onnx.precision.fp16.mean_cosine=1.0", "to float32's, less than onnx.precision.fp16.mean_cosine, 1"),
        ("data.valid={name: images/folder, options: {root: nowhere}}", "dataset root nowhere does not exist"),
    ],
)
def test_what_loses_too_much_or_cannot_be_judged_is_left_out(export, trained_run, override, reason):
    export()
    assert trained_run.artifact.graph("fp16").is_file()
    done = export(override)
    assert reason in done.precisions.left_out["fp16"]
    assert done.report["precisions"]["left_out"] == done.precisions.left_out
    assert any(warning.startswith("fp16 is left out: ") for warning in done.warnings)
    # Nor does the one of the export before stay.
    assert not trained_run.artifact.graph("fp16").exists()
    assert trained_run.artifact.onnx.is_file()


def test_int8_that_was_calibrated_on_black_pictures_is_refused(export, trained_run, tmp_path):
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / "black" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40)).save(tmp_path / "black" / name)
    black = f"data.train={{name: images/folder, options: {{root: {tmp_path / 'black'}}}}}"
    done = export(black, precisions=["int8"])
    assert "less than onnx.precision.int8.mean_cosine" in done.precisions.left_out["int8"]
    assert not trained_run.artifact.graph("int8").exists()


def scaled(factor):
    """Two convolutions of which the first makes values ``factor`` times as large, and the second small ones again."""
    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    back = np.random.default_rng(1).standard_normal((4, 4, 1, 1)).astype(np.float32) / factor
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["img", "w"], ["large"]),
            helper.make_node("Conv", ["large", "b"], ["small"]),
            helper.make_node("Relu", ["small"], ["maps"]),
            helper.make_node("Conv", ["maps", "c"], ["feats"]),
        ],
        "scaled",
        [helper.make_tensor_value_info("img", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("feats", TensorProto.FLOAT, ["batch", 4, 6, 6])],
        [
            numpy_helper.from_array(weights * factor, "w"),
            numpy_helper.from_array(back, "b"),
            numpy_helper.from_array(np.eye(4, dtype=np.float32)[:, :, None, None], "c"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)


@pytest.mark.parametrize("factor", [1.0, 2e4, 1e6], ids=["fits", "activations overflow", "weights overflow, too"])
def test_what_overflows_float16_stays_in_float32(factor):
    model = scaled(factor)
    batch = np.random.default_rng(2).random((5, 3, 8, 8), dtype=np.float32)
    half = to_float16(model, [batch])
    onnx.checker.check_model(half, full_check=True)
    wanted, found = (infer(one.SerializeToString(), batch) for one in (model, half))
    assert np.abs(found - wanted).max() / np.abs(wanted).max() < 5e-3
    kept = [one.name for one in half.graph.initializer if one.data_type == TensorProto.FLOAT]
    assert kept == ([] if factor == 1.0 else ["w", "b"])


def test_graphs_that_mix_rows_or_are_not_normalised_are_found(graph_file, tmp_path):
    mixing = onnx.load(graph_file())
    final = mixing.graph.node[-1]
    final.output[0] = "alone"
    mixing.graph.node.append(helper.make_node("ReduceSum", ["alone"], ["sum"], keepdims=1))
    mixing.graph.node.append(helper.make_node("Add", ["alone", "sum"], ["feats"]))
    onnx.save(mixing, tmp_path / "mixing.onnx")
    names = {"whole": graph_file(), "raw": graph_file("raw.onnx", normalized=False), "mixing": tmp_path / "mixing.onnx"}
    models = {name: Model.open(path) for name, path in names.items()}
    assert check_outputs(models, normalized=False).keys() == {"mixing"}
    assert check_outputs(models, normalized=True).keys() == {"raw", "mixing"}


def test_a_loss_is_that_of_numpy():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(40), 4)
    rows = rng.standard_normal((160, 16)) + 2 * rng.standard_normal((40, 16))[labels]
    noisy = rows + 0.3 * rng.standard_normal(rows.shape)
    before, after = (
        EmbeddedImages.of(one, labels, np.ones(160, bool), np.arange(160), np.arange(160)) for one in (rows, noisy)
    )
    loss = measure_loss(after, before)
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (rows, noisy)]
    cosines = (unit[0] * unit[1]).sum(axis=1)
    assert (loss.mean_cosine, loss.lowest_cosine) == (pytest.approx(cosines.mean()), pytest.approx(cosines.min()))
    # 12,480 pairs of strangers are enough for 1e-3 and not for 1e-4.
    assert (loss.judged_at, set(loss.rates.tpr)) == (1e-3, {1e-3, 1e-2, 1e-1})
    expected = verify(noisy, labels).at_fpr(1e-3).tpr - verify(rows, labels).at_fpr(1e-3).tpr
    assert loss.tpr_difference[1e-3] == pytest.approx(expected)
    assert expected < 0
    threshold = verify(rows, labels).at_fpr(1e-3).threshold
    above = (unit[1] @ unit[1].T)[np.triu_indices(160, 1)] >= threshold
    strangers = (labels[:, None] != labels)[np.triu_indices(160, 1)]
    assert loss.fpr_at_threshold == pytest.approx(above[strangers].mean())
    assert loss.one_pair == pytest.approx(1 / 240)


def test_the_layout_names_each_precision(tmp_path):
    artifact = ArtifactFolder(tmp_path)
    assert [artifact.graph(name).name for name in ("fp32", "fp16", "int8")] == [
        "model.onnx", "model_fp16.onnx", "model_int8.onnx",
    ]  # fmt: skip
