"""The verifier must refuse every graph that computes something else: each test is one way to go wrong."""

from __future__ import annotations

import copy

import numpy as np
import onnxruntime
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn

from zoo.onnx_export import torch_export
from zoo.onnx_export.parity import check_alone, check_parity
from zoo.onnx_export.pixels import PixelInput
from zoo.onnx_export.proof import check_spread
from zoo.onnx_export.witnesses import Witnesses, patterns
from zoo_core.errors import RunError

AXES = {"img": {0: "batch"}, "feats": {0: "batch"}}
PIXELS = PixelInput("img", (1, 3, 24, 24), "float32", AXES["img"])
WITNESSES = Witnesses(tuple(patterns(16)), "patterns")


class Embedding(nn.Module):
    """A small network whose embeddings of different images differ."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU()),
            *(nn.Conv2d(8, 16, 3, stride=2), nn.BatchNorm2d(16), nn.Flatten()),
            nn.Linear(16 * 5 * 5, 12),
        )

    def forward(self, img):
        return nn.functional.normalize(self.layers(img))


class TrainingBatchNorm(nn.BatchNorm2d):
    """Goes on to use the batch's statistics, as if nobody had called eval()."""

    def forward(self, x):
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True)
        return (x - mean) / (variance + self.eps).sqrt() * self.weight[:, None, None] + self.bias[:, None, None]


def changed(forward):
    class Changed(Embedding):
        def __init__(self, good):
            super().__init__()
            self.layers = good.layers

    Changed.forward = lambda self, img: forward(super(Changed, self).forward, img)
    return Changed


@pytest.fixture(scope="module")
def batches():
    return PIXELS.arrays(WITNESSES, (1, 3, 16), (24, 24))


@pytest.fixture(scope="module")
def good(batches):
    torch.manual_seed(0)
    module = Embedding()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        module.train()(torch.from_numpy(batches[-1]))
    return module.eval()


def exported(module, axes=AXES, **options):
    pixels = PixelInput("img", PIXELS.shape, "float32", axes.get("img", {}))
    return torch_export.to_onnx(module, pixels, output_names=["feats"], axes=axes, options=options)


def parity_of(graph, module, batches, **options):
    with torch.inference_mode():
        outputs = [module.eval()(torch.from_numpy(batch)) for batch in batches]
    references = [[one] if isinstance(one, torch.Tensor) else list(one) for one in outputs]
    return check_parity(graph, module, batches, references, **options)


def check(graph, module, batches, **more):
    return parity_of(graph, module, batches, axes=AXES, output_names=["feats"], **more)


@pytest.mark.parametrize("opset", [9, 11, 13, 16, 17, 20])
def test_a_faithful_graph_passes(good, batches, opset):
    graph = exported(good, opset_version=opset)
    assert torch_export.opset(graph) == opset
    for candidate in (graph, torch_export.simplified(graph)):
        parity = check(candidate, good, batches)
        assert [(output.name, output.dtype) for output in parity.outputs] == [("feats", "float32")]
        assert parity.outputs[0].max_abs_diff <= 1e-5
        assert parity.second <= 1e-5
        assert (parity.normalized, parity.embedding_dim) == (True, 12)


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        pytest.param(lambda run, img: run(img.flip(1)), "parity failed at batch 1", id="BGR"),
        # One image alone does not show these two.
        pytest.param(
            lambda run, img: run(img[:1]).expand(img.shape[0], -1), "parity failed at batch 3", id="first row only"
        ),
        pytest.param(lambda run, img: run(img).roll(1, 0), "parity failed at batch 3", id="rows shifted"),
        pytest.param(lambda run, img: run(img) * 1.001, "lowest cosine 1.0000000", id="not normalised"),
        pytest.param(lambda run, img: run(img * 255), "parity failed at batch 1", id="other range"),
        pytest.param(lambda run, img: run(img.transpose(2, 3)), "parity failed at batch 1", id="transposed"),
        pytest.param(lambda run, img: torch.log(run(img) - 2), "largest difference nan", id="NaN"),
        pytest.param(lambda run, img: run(img)[:, :-1], r"gives shape \[1, 11\] at batch 1, torch gives", id="shape"),
    ],
)
def test_a_graph_that_computes_something_else_is_refused(good, batches, forward, reason):
    graph = exported(changed(forward)(good))
    with pytest.raises(RunError, match=reason):
        check(graph, good, batches)


def test_random_weights_are_refused(good, batches):
    torch.manual_seed(1)
    with pytest.raises(RunError, match="parity failed"):
        check(exported(Embedding()), good, batches)


def test_one_flipped_row_of_weights_is_refused(good, batches):
    flipped = copy.deepcopy(good)
    with torch.no_grad():
        flipped.layers[-1].weight[3] *= -1
    with pytest.raises(RunError, match="parity failed"):
        check(exported(flipped), good, batches)


def test_training_mode_is_refused(good, batches):
    training = copy.deepcopy(good)
    for place in (1, 4):
        layer = TrainingBatchNorm(training.layers[place].num_features)
        layer.load_state_dict(training.layers[place].state_dict(), strict=False)
        training.layers[place] = layer
    with pytest.raises(RunError, match="parity failed"):
        check(exported(training), good, batches)


def test_a_fixed_batch_is_refused(good, batches):
    with pytest.raises(RunError, match=r"fixes axis 0 of img to 1, but onnx\.dynamic_axes leaves it open"):
        check(exported(good, axes={}), good, batches)


def test_a_graph_that_only_claims_to_take_any_batch_is_refused(good, batches):
    reshaped = changed(lambda run, img: run(img.reshape(1, 3, 24, 24)))(good)
    claims = exported(reshaped, axes={})
    for value in (claims.graph.input[0], claims.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    with pytest.raises(RunError, match=r"the graph fixes axis 0 of feats to 1, but onnx\.dynamic_axes"):
        check(claims, good, batches)


def test_rows_that_the_model_itself_mixes_are_refused(batches, good):
    """Torch and the graph agree, and both are wrong: an image's embedding depends on its neighbours."""
    mixing = changed(lambda run, img: nn.functional.normalize(run(img) + run(img[:1])))(good)
    with pytest.raises(RunError, match=r"parity failed alone and as row 1 of a batch of 16"):
        check_alone(exported(mixing), batches[-1], ["feats"])


def test_weights_that_magnify_rounding_are_told_from_a_wrong_graph(good, batches):
    grey = torch.full((1, 3, 24, 24), 0.5)

    def magnified(run, img):
        # The difference of nearly equal numbers: mostly what rounding left of them.
        return nn.functional.normalize(run(0.5 + 1e-4 * img) - run(grey.to(img.dtype)))

    module = changed(magnified)(good)
    with pytest.raises(RunError, match=r"torch's own float32 result is .* away from the exact one"):
        check(exported(module), module, batches)
    with pytest.raises(RunError, match="does not compute what the torch model does"):
        check(exported(changed(lambda run, img: run(img.flip(1)))(good)), good, batches)


def test_a_small_row_that_points_elsewhere_is_refused(good):
    """Beside the largest row its difference is nothing: its direction alone tells."""

    def uneven(turned):
        def forward(run, img):
            feats = run(img) * 1e4
            return torch.cat([feats[:1], feats[1:2].roll(turned, 1) * 1e-9, feats[2:]])

        return changed(forward)(good)

    pixels = PixelInput("img", (4, 3, 24, 24), "float32", {})
    few = pixels.arrays(WITNESSES, (4,), (24, 24))
    module = uneven(0)
    options = {"axes": {}, "output_names": ["feats"]}
    graphs = [
        torch_export.to_onnx(uneven(turned), pixels, output_names=["feats"], axes={}, options={}) for turned in (0, 1)
    ]
    parity_of(graphs[0], module, few, **options)
    with pytest.raises(RunError, match=r"parity failed at batch 4: largest difference \d\.\de-\d\d .*lowest cosine"):
        parity_of(graphs[1], module, few, **options)


def test_a_runtime_that_disagrees_with_onnxruntime_is_heard(good, batches, monkeypatch):
    class Other(ReferenceEvaluator):
        """Onnx's own evaluator, a thousandth away from itself."""

        def run(self, *arguments, **options):
            (feats,) = super().run(*arguments, **options)
            return [feats + np.float32(1e-3)]

    graph = exported(good)
    assert check(graph, good, batches).second <= 1e-5
    monkeypatch.setattr("zoo.onnx_export.parity.ReferenceEvaluator", Other)
    with pytest.raises(RunError, match=r"parity failed by onnx's reference evaluator: largest difference 1\.0e-03"):
        check(graph, good, batches)


def test_an_operator_that_the_second_runtime_lacks_is_no_difference(good, batches, monkeypatch):
    class Lacking(ReferenceEvaluator):
        def run(self, *_arguments, **_options):
            raise NotImplementedError

    monkeypatch.setattr("zoo.onnx_export.parity.ReferenceEvaluator", Lacking)
    assert check(exported(good), good, batches).second is None


def test_outputs_must_have_the_names_that_the_recipe_gives(good, batches):
    with pytest.raises(RunError, match=r"outputs are \['feats'\], not \['embedding'\]"):
        parity_of(exported(good), good, batches, axes=AXES, output_names=["embedding"])


def test_embeddings_that_are_not_normalised_are_compared_relative_to_their_size(good, batches):
    large = changed(lambda run, img: run(img) * 1e4)(good)
    parity = check(exported(large), large, batches)
    assert not parity.normalized
    assert parity.outputs[0].max_abs_diff <= 1e-5


def test_batches_are_of_distinct_images(batches):
    assert [len(batch) for batch in batches] == [1, 3, 16]
    assert len(np.unique(batches[-1].reshape(16, -1), axis=0)) == 16


def torch_rows(module, batch):
    with torch.inference_mode():
        return module.eval()(torch.from_numpy(batch)).double().numpy()


def differences(graph, module, batches, evaluate):
    """The largest difference of each batch, by another way than the verifier's."""
    return [float(np.abs(np.float64(evaluate(graph, batch)) - torch_rows(module, batch)).max()) for batch in batches]


def by_onnxruntime(graph, batch):
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"img": batch})[0]


def by_reference(graph, batch):
    return ReferenceEvaluator(graph).run(None, {"img": batch})[0]


def test_the_figures_of_a_proof_are_those_that_were_measured(good, batches):
    slightly = exported(changed(lambda run, img: nn.functional.normalize(run(img) + 2e-5 + 2e-5 * run(img[:1])))(good))
    parity = check(slightly, good, batches, tolerance=1e-4)
    largest = max(differences(slightly, good, batches, by_onnxruntime))
    assert parity.outputs[0].max_abs_diff == pytest.approx(largest, rel=1e-6)
    assert parity.second == pytest.approx(differences(slightly, good, batches[:1], by_reference)[0], rel=1e-6)
    got = np.float64(by_onnxruntime(slightly, batches[-1]))
    alone = [by_onnxruntime(slightly, image[None])[0] for image in batches[-1]]
    apart = check_alone(slightly, batches[-1], ["feats"], tolerance=1e-4)
    assert apart == np.abs(np.float64(alone) - got).max() > 1e-5


def test_a_refusal_gives_its_figures(good, batches):
    graph = exported(changed(lambda run, img: run(img.flip(1)))(good))
    largest = differences(graph, good, batches[:1], by_onnxruntime)[0]
    with pytest.raises(RunError) as caught:
        check(graph, good, batches, tolerance=1e-4)
    figures = f"largest difference {largest:.1e} (allowed 1e-04), lowest cosine 0."
    assert str(caught.value).startswith(f"parity failed at batch 1: {figures}")
    assert str(caught.value).endswith("; the graph does not compute what the torch model does")


def test_a_module_is_put_into_evaluation_mode(good, batches):
    graph, training = exported(good), copy.deepcopy(good).train()
    assert check(graph, training, batches).second is not None
    assert not training.training


@pytest.mark.parametrize(("length", "normalized"), [(1, True), (1 + 5e-5, True), (1 + 2e-4, False), (0.5, False)])
def test_embeddings_of_length_one_are_told(good, batches, length, normalized):
    module = changed(lambda run, img: run(img) * length)(good)
    assert check(exported(module), module, batches).normalized is normalized


def test_a_graph_that_fails_at_a_batch_is_refused(good, batches):
    reshaped = changed(lambda run, img: run(img.reshape(1, 3, 24, 24)))(good)
    claims = exported(reshaped, axes={})
    claims.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    with pytest.raises(RunError, match=r"^the exported graph fails at batch 3: .*[Rr]eshape") as caught:
        parity_of(claims, good, batches, axes={"img": {0: "batch"}}, output_names=["feats"])
    assert "\n" not in str(caught.value)


def test_a_graph_that_says_a_wrong_shape_cannot_be_opened(good, batches):
    graph = exported(good)
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 13
    with pytest.raises(RunError, match=r"^the exported graph cannot be opened: .*12.*13") as caught:
        check(graph, good, batches)
    assert "\n" not in str(caught.value)


class Two(Embedding):
    """A second output, larger than one."""

    def __init__(self, good, factor=3):
        super().__init__()
        self.layers, self.factor = good.layers, factor

    def forward(self, img):
        embeddings = super().forward(img)
        return embeddings, self.factor * embeddings


def test_all_outputs_are_compared(good, batches):
    axes, names = {**AXES, "more": {0: "batch"}}, ["feats", "more"]

    def two(factor):
        return torch_export.to_onnx(Two(good, factor), PIXELS, output_names=names, axes=axes, options={})

    parity = parity_of(two(3), Two(good), batches, axes=axes, output_names=names)
    assert parity.embedding_dim == 12
    assert parity.normalized
    with pytest.raises(RunError, match=r"parity failed at batch 1: largest difference 5\.0e-01"):
        parity_of(two(6), Two(good, 12), batches, axes=axes, output_names=names)
    # What is worst of any output is told.
    near = parity_of(two(1 + 2e-5), Two(good, 1), batches, axes=axes, output_names=names, tolerance=1e-4)
    assert near.outputs[0].max_abs_diff < 1e-6
    assert near.outputs[1].max_abs_diff > 1e-5


def test_an_axis_that_is_open_in_the_recipe_and_not_in_the_graph_is_named(good, batches):
    graph = exported(good)
    with pytest.raises(RunError) as caught:
        parity_of(graph, good, batches, axes={"img": {0: "batch", 3: "width"}}, output_names=["feats"])
    assert str(caught.value) == "the graph fixes axis 3 of img to 24, but onnx.dynamic_axes leaves it open"


def test_one_image_proves_nothing():
    with pytest.raises(RunError) as caught:
        check_spread(np.ones((1, 3)))
    assert str(caught.value) == "parity needs several images; leave axis 0 open in onnx.dynamic_axes"


def test_embeddings_must_lie_a_thousand_tolerances_apart():
    """Of two unit vectors, by their angle."""

    def pair(angle):
        return np.array([[1, 0], [np.cos(angle), np.sin(angle)]])

    assert check_spread(5 * pair(1.1e-2)) == pytest.approx(2 * np.sin(0.55e-2))
    with pytest.raises(RunError) as caught:
        check_spread(pair(0.9e-2))
    assert str(caught.value).startswith(
        "the model tells no images apart: embeddings of different images lie 9.0e-03 apart on average, "
        "at least 1e-02 is needed to prove anything; it had too few steps"
    )
    with pytest.raises(RunError, match="lie nan apart"):
        check_spread(np.full((2, 3), np.nan))


def test_an_embedding_without_length_points_nowhere(good, batches):
    module = changed(lambda run, img: run(img) * (img[:, :1, :1, 0] > img[:, :1, :1, 0].mean()))(good)
    with pytest.raises(RunError, match=r"parity failed at batch 1: .*0\.0e\+00 .*lowest cosine 0\.0000000"):
        check(exported(module), module, batches)


def test_a_wrong_graph_of_large_embeddings_is_no_matter_of_rounding(good, batches):
    large = changed(lambda run, img: run(img) * 1e4)(good)
    with pytest.raises(RunError, match="does not compute what the torch model does"):
        check(exported(changed(lambda run, img: run(img.flip(1)) * 1e4)(good)), large, batches)


def test_a_module_that_fixes_its_dtype_is_not_asked_for_an_exact_result(good, batches):
    fixed = changed(lambda run, img: run(img.float()))(good)
    with pytest.raises(RunError, match=r"; the graph does not compute what the torch model does$"):
        check(exported(changed(lambda run, img: run(img.flip(1)))(good)), fixed, batches)


def test_rounding_counts_from_a_quarter_of_the_tolerance(good, batches):
    module = changed(lambda run, img: run(0.5 + 1e-2 * img) * 10)(good)
    exact = torch_rows(copy.deepcopy(module).double(), batches[0].astype(np.float64))
    rounding = float(np.abs(exact - torch_rows(module, batches[0])).max() / np.abs(exact).max())
    wrong = exported(changed(lambda run, img: run(0.5 + 1e-2 * img.flip(1)) * 10)(good))
    with pytest.raises(RunError, match=rf"result is {rounding:.1e} away from the exact one"):
        check(wrong, module, batches, tolerance=3.8 * rounding)
    with pytest.raises(RunError, match="does not compute what the torch model does"):
        check(wrong, module, batches, tolerance=4.2 * rounding)
