from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from zoo.artifacts.manifest import write_manifest

QUICK = ("--seconds", "0.02", "--threads", "1")


@pytest.fixture
def two_files(exported, graph_file):
    """An artifact with two precisions: what is in the files does not matter here."""
    artifact, data = exported.artifact, graph_file(seed=1).read_bytes()
    artifact.graph("fp16").write_bytes(data)
    report = json.loads(artifact.export_report.read_text())
    report["precisions"] = {"files": {"fp16": {"sha256": hashlib.sha256(data).hexdigest()}}}
    artifact.export_report.write_text(json.dumps(report))
    write_manifest(artifact.path)
    return artifact


@pytest.fixture
def alone_only(graph_file, tmp_path):
    """A graph that opens, and runs with one image alone."""
    model = onnx.load(graph_file())
    flatten = next(node for node in model.graph.node if node.op_type == "Flatten")
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 8]), "shape"))
    reshape = onnx.helper.make_node("Reshape", [flatten.input[0], "shape"], list(flatten.output))
    model.graph.node.insert(list(model.graph.node).index(flatten), reshape)
    model.graph.node.remove(flatten)
    path = tmp_path / "alone.onnx"
    onnx.save(model, path)
    return path


def test_every_combination_is_a_row(zoo, two_files, tmp_path):
    command = ("bench", two_files.path, *QUICK, "--threads", "1,2", "--batch-size", "1,3")
    document = json.loads(zoo(*command, "--json", "-o", "out/b.json", check=0).stdout)
    rows = document["configurations"]
    assert [(row["precision"], row["threads"], row["batch_size"]) for row in rows] == [
        (precision, threads, batch) for precision in ("fp32", "fp16") for threads in (1, 2) for batch in (1, 3)
    ]
    for row in rows:
        assert row["runs"] >= 1
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert row["images_per_second"] > 0
        # A process with numpy and onnxruntime holds at least that; what is added is part of it.
        assert row["peak_mb"] > 20
        assert 0 <= row["added_mb"] < row["peak_mb"]
    for name, entry in document["files"].items():
        data = two_files.graph(name).read_bytes()
        assert entry == {
            "file": two_files.graph(name).name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data),
        }  # fmt: skip
    assert document["written"] == ["out/b.json"]
    written = json.loads((tmp_path / "out/b.json").read_text())
    assert {**written, "schema": 1, "written": ["out/b.json"]} == document


def test_the_table_and_the_picture(zoo, two_files, tmp_path):
    done = zoo("bench", two_files.path, *QUICK, "--precision", "fp16", "--picture", "b.png", check=0)
    lines = done.stdout.splitlines()
    assert lines[0].split()[:4] == ["precision", "provider", "threads", "batch"]
    assert [line.split()[:4] for line in lines[1:4]] == [["fp16", "cpu", "1", batch] for batch in ("1", "8", "32")]
    assert lines[4].startswith("32 x 48 pixels; ")
    assert "written: b.png" in done.stderr
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 400


def test_the_memory_of_the_process_that_asks_does_not_count(graph_file):
    code = "import sys, zoo; held = bytearray(b'x' * 400_000_000); print(zoo.bench(sys.argv[1], batch_sizes=[1], "
    code += "threads=[1], seconds=0.02).rows[0]['peak_mb'])"
    done = subprocess.run([sys.executable, "-c", code, graph_file()], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 300


@pytest.mark.parametrize(
    ("options", "batches"),
    [({"batch": 4}, [4]), ({"size": None, "dtype": "uint8", "layout": "NHWC"}, [1, 8, 32])],
    ids=["fixed batch", "any size"],
)
def test_what_a_graph_takes_is_what_it_gets(zoo, graph_file, options, batches):
    path = graph_file(**options)
    size = () if "batch" in options else ("--image-size", "40", "50")
    document = json.loads(zoo("bench", path, *QUICK, *size, "--json", check=0).stdout)
    assert [row["batch_size"] for row in document["configurations"]] == batches
    assert document["image_size"] == ([32, 48] if "batch" in options else [40, 50])


def test_a_configuration_that_fails_is_told_and_the_others_are_measured(zoo, alone_only, tmp_path):
    done = zoo("bench", alone_only, *QUICK, "--batch-size", "1,2", check=1)
    assert len([line for line in done.stdout.splitlines() if line.startswith("fp32")]) == 1
    assert "error: fp32 on cpu, 1 threads, batch 2: " in done.stderr
    assert "Traceback" not in done.stderr
    nothing = zoo("bench", alone_only, *QUICK, "--batch-size", "2", "--picture", "b.png", check=1)
    assert "error: nothing can be measured: " in nothing.stderr
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--batch-size", "0"), 2, "'0' is no list of whole numbers from 1 on"),
        (("--threads", "1;2"), 2, "'1;2' is no list of whole numbers"),
        (("--seconds", "0"), 2, "seconds"),
        (("--precision", "int8"), 2, "holds no onnx/model_int8.onnx"),
        (("--precision", "fp8"), 2, "there is no precision 'fp8'"),
        (("--picture", "b.nonsense"), 2, "b.nonsense: no picture is drawn as .nonsense; choose one of "),
        (("--provider", "nonsense"), 2, "there is no provider 'nonsense'"),
        (("--provider", "cuda"), 4, "provider cuda is not available"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_measured(zoo, two_files, arguments, code, line):
    done = zoo("bench", two_files.path, *arguments, check=code)
    assert line in done.stderr
    assert done.stdout == ""


def test_without_matplotlib_a_picture_is_refused_first(two_files):
    # In a process of its own: what has been imported here stays.
    code = (
        "import sys; sys.modules['matplotlib'] = None; import zoo\n"
        "try: zoo.bench(sys.argv[1], picture='b.png')\n"
        "except zoo.ZooError as error: print(error)\n"
        "print(len(zoo.bench(sys.argv[1], batch_sizes=[1], threads=[1], seconds=0.02).rows) > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, two_files.path], capture_output=True, text=True, check=True)
    refused, measured = done.stdout.splitlines()
    assert "a picture needs matplotlib" in refused
    assert "pip install 'plugzoo[train]'" in refused
    assert measured == "True"
