from __future__ import annotations

import sys

import onnx
import pytest
import torch
from torch import nn

from zoo.onnx_export import torch_export
from zoo.onnx_export.cost import cost
from zoo.onnx_export.pixels import PixelInput
from zoo_core.errors import RunError

AXES = {"img": {0: "batch"}, "feats": {0: "batch"}}
PIXELS = PixelInput("img", (1, 3, 8, 8), "float32", AXES["img"])


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)
        self.linear = nn.Linear(4 * 8 * 8, 5)

    def forward(self, img):
        return nn.functional.normalize(self.linear(torch.relu(self.convolution(img)).flatten(1)))


def exported(**options):
    torch.manual_seed(0)
    return torch_export.to_onnx(Small(), PIXELS, output_names=["feats"], axes=AXES, options=options)


def shapes(model):
    return [
        [place.dim_param or place.dim_value for place in value.type.tensor_type.shape.dim]
        for value in (model.graph.input[0], model.graph.output[0])
    ]


def test_the_default_opset_and_open_axes():
    model = exported()
    assert torch_export.opset(model) == torch_export.DEFAULT_OPSET == 17
    assert shapes(model) == shapes(torch_export.simplified(model)) == [["batch", 3, 8, 8], ["batch", 5]]


def test_nothing_is_said_about_the_exporter_being_old(recwarn):
    exported(opset_version=16)
    assert [str(warning.message) for warning in recwarn] == []


def test_a_graph_that_torch_prints_stays_off_stdout(capfd):
    # From C++, so past sys.stdout.
    exported(verbose=True)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "graph(%img" in printed.err


def test_dynamo_below_its_lowest_opset_is_refused_before_it_tries():
    with pytest.raises(RunError, match="opset 16 was asked for, but dynamo's exporter starts at 18"):
        exported(dynamo=True, opset_version=16)


def test_an_exporter_that_writes_another_opset_is_found_out(monkeypatch):
    export = torch.onnx.export

    def stubborn(*arguments, opset_version, **more):
        assert opset_version == 16
        return export(*arguments, opset_version=18, **more)

    monkeypatch.setattr(torch.onnx, "export", stubborn)
    with pytest.raises(RunError, match="opset 16 was asked for, but the exporter wrote opset 18"):
        exported(opset_version=16)


@pytest.fixture
def without_torchscript(monkeypatch):
    """A torch whose older exporter is gone, as far as its import tells."""
    monkeypatch.setitem(sys.modules, "torch.onnx._internal.torchscript_exporter.utils", None)


@pytest.mark.usefixtures("without_torchscript")
def test_without_the_older_exporter_dynamos_takes_its_place_from_opset_18_on():
    pytest.importorskip("onnxscript")
    for asked in (18, 20):
        assert torch_export.opset(exported(opset_version=asked)) == asked
    assert torch_export.opset(exported()) == 18


@pytest.mark.usefixtures("without_torchscript")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"opset_version": 16}, r"opset 16 was asked for, but torch \S+ has no TorchScript exporter.*opset_version=18"),
        ({"opset_version": 20, "dynamo": False}, r"onnx\.options\.dynamo is false, but torch \S+ has no TorchScript"),
    ],
)
def test_without_the_older_exporter_what_it_alone_can_do_is_refused(options, reason):
    with pytest.raises(RunError, match=reason):
        exported(**options)


def test_a_torch_that_takes_no_exporter_any_more_exports_by_dynamo(monkeypatch):
    pytest.importorskip("onnxscript")
    export = torch.onnx.export

    def newer(model, args, f, *, input_names, output_names, dynamic_axes, opset_version, artifacts_dir):
        more = {"input_names": input_names, "output_names": output_names, "dynamic_axes": dynamic_axes}
        export(model, args, f, dynamo=True, opset_version=opset_version, artifacts_dir=artifacts_dir, **more)

    monkeypatch.setattr(torch.onnx, "export", newer)
    assert torch_export.opset(exported(opset_version=19)) == 19
    with pytest.raises(RunError, match="opset 16 was asked for, but torch"):
        exported(opset_version=16)


def test_a_report_of_the_exporter_goes_to_stderr_and_leaves_no_file(tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnxscript")
    monkeypatch.chdir(tmp_path)
    exported(dynamo=True, opset_version=18, report=True)
    assert list(tmp_path.iterdir()) == []
    assert "# PyTorch ONNX Conversion Report" in capsys.readouterr().err


def test_names_of_nodes_and_tensors_lose_local_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = exported(opset_version=16)
    nodes = model.graph.node
    nodes[0].name = f"{tmp_path}/net/Conv"
    old, nodes[0].output[0] = nodes[0].output[0], f"{tmp_path}/net/out"
    nodes[1].input[:] = [nodes[0].output[0] if name == old else name for name in nodes[1].input]
    for one in (torch_export.clean(model), torch_export.simplified(model)):
        assert str(tmp_path).encode() not in one.SerializeToString()
        onnx.checker.check_model(one, full_check=True)


def test_an_exporter_that_fails_is_one_line():
    with pytest.raises(RunError) as caught:
        exported(opset_version=99)
    assert "torch.onnx.export failed" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_dynamo_writes_one_file_without_stack_traces():
    pytest.importorskip("onnxscript")
    data = exported(dynamo=True, opset_version=18).SerializeToString()
    for trace in (b"/home/", b"site-packages", b"stack_trace", b".py", b".data"):
        assert trace not in data


def test_simplify_drops_its_own_notes_and_adds_no_nodes():
    model = exported(opset_version=16)
    simpler = torch_export.simplified(model)
    assert len(simpler.graph.node) <= len(model.graph.node)
    assert b"onnxsim." not in simpler.SerializeToString()
    assert not {node.op_type for node in simpler.graph.node} & {"Identity", "Dropout"}


def test_notes_are_dropped_in_subgraphs_too():
    model = exported()
    branch = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["a"], ["b"], doc_string="/home/me")], "g", [], []
    )
    model.graph.node.append(onnx.helper.make_node("If", ["c"], ["d"], then_branch=branch, else_branch=branch))
    model.graph.node[0].metadata_props.add(key="trace", value="/home/me/x.py")
    model.graph.doc_string = "/home/me"
    inputs = [list(node.input) for node in model.graph.node]
    assert b"/home/me" not in torch_export.clean(model).SerializeToString()
    assert [list(node.input) for node in model.graph.node] == inputs


def test_costs_are_those_of_pencil_and_paper():
    counted = cost(Small(), (7, 3, 8, 8), torch.float32)
    macs = 8 * 8 * 4 * 3 * 3 * 3 + 4 * 8 * 8 * 5
    assert (counted.params, counted.macs, counted.flops) == (3 * 4 * 9 + 4 + 4 * 64 * 5 + 5, macs, 2 * macs)
