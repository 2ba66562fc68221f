from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from zoo.models.onnx_embedder import Embedder
from zoo_core.errors import RunError, UsageError
from zoo_core.images import read_image


@pytest.fixture
def images(tmp_path, picture):
    return [read_image(picture(tmp_path / f"{seed}.png", seed, (40 + seed, 90))) for seed in range(5)]


def reference(path, images):
    """What onnxruntime, numpy and Pillow make of pictures, without zoo."""
    session = onnxruntime.InferenceSession(path)
    fitted = [Image.fromarray(image).resize((48, 32), Image.Resampling.BILINEAR) for image in images]
    pixels = np.stack([np.asarray(image, np.float32) for image in fitted]).transpose(0, 3, 1, 2) / 255
    return session.run(None, {"img": pixels})[0]


def test_embeddings_are_those_of_onnxruntime_alone(graph_file, images):
    path = graph_file()
    embeddings = Embedder.open(path).embed(images)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (5, 8)
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    assert np.abs(embeddings - reference(path, images)).max() < 1e-6


def test_different_pictures_lie_apart(graph_file, images):
    embeddings = Embedder.open(graph_file()).embed(images)
    assert (embeddings @ embeddings.T)[~np.eye(5, dtype=bool)].max() < 0.999


@pytest.mark.parametrize("options", [{"layout": "NHWC"}, {"dtype": "uint8"}, {"layout": "NHWC", "dtype": "uint8"}])
def test_layout_and_dtype_do_not_change_embeddings(graph_file, images, options):
    expected = Embedder.open(graph_file()).embed(images)
    assert np.abs(Embedder.open(graph_file("other.onnx", **options)).embed(images) - expected).max() < 1e-5


def test_a_float_graph_that_takes_0_to_255_gets_it(graph_file, images):
    expected = Embedder.open(graph_file()).embed(images)
    path = graph_file("wide.onnx", dtype="uint8")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    said = json.loads(model.metadata_props[0].value)
    model.metadata_props[0].value = json.dumps({**said, "dtype": "float32"})
    onnx.save(model, path)
    assert said["range"] == [0, 255]
    assert np.abs(Embedder.open(path).embed(images) - expected).max() < 1e-5


def test_a_graph_that_resizes_itself_takes_pictures_of_several_sizes(graph_file, images):
    embedder = Embedder.open(graph_file(layout="NHWC", dtype="uint8", size=None))
    together = embedder.embed(images)
    alone = np.concatenate([embedder.embed([image]) for image in images])
    assert np.array_equal(together, alone)


def test_embeddings_are_normalised_even_where_the_graph_does_not(graph_file, images):
    expected = Embedder.open(graph_file()).embed(images)
    raw = Embedder.open(graph_file("raw.onnx", normalized=False)).embed(images)
    assert np.abs(raw - expected).max() < 1e-6


def test_more_pictures_than_a_batch(graph_file, images):
    embedder = Embedder.open(graph_file())
    many = embedder.embed(images * 20)
    assert many.shape == (100, 8)
    assert np.abs(many[95:] - many[:5]).max() < 1e-6


@pytest.mark.parametrize("options", [{}, {"layout": "NHWC", "dtype": "uint8", "size": None}])
@pytest.mark.parametrize("batch", [1, 2, 4, 8])
def test_a_fixed_batch_takes_any_number_of_pictures(graph_file, images, options, batch):
    expected = Embedder.open(graph_file(**options)).embed(images)
    fixed = Embedder.open(graph_file("fixed.onnx", batch=batch, **options))
    assert np.abs(fixed.embed(images) - expected).max() < 1e-6
    assert np.abs(fixed.embed(images[:1]) - expected[:1]).max() < 1e-6


def test_an_artifact_folder_and_its_file_are_the_same_model(exported, images):
    folder = Embedder.open(exported.artifact.path).embed(images)
    assert np.array_equal(folder, Embedder.open(exported.artifact.onnx).embed(images))


def test_a_folder_without_a_graph_says_what_to_give(tmp_path):
    with pytest.raises(UsageError, match=r"holds no onnx/model.onnx; give the folder"):
        Embedder.open(tmp_path)


def test_what_is_no_model_is_refused_in_one_line(tmp_path, graph_file):
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(UsageError, match="no such file"):
        Embedder.open(tmp_path / "none.onnx")
    with pytest.raises(RunError, match=r"junk.onnx: onnxruntime cannot open it") as caught:
        Embedder.open(tmp_path / "junk.onnx")
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match=r"no zoo.preprocess in its metadata.*zoo export"):
        Embedder.open(graph_file(metadata=False))


@pytest.mark.parametrize(
    ("key", "value"),
    [("resample", "bicubic"), ("color", "BGR"), ("normalization", "outside"), ("range", [-1, 1]), ("antialias", False)],
)
def test_a_preparation_that_this_zoo_does_not_know_is_refused(graph_file, key, value):
    path = graph_file()
    model = onnx.load(path)
    said = json.loads(model.metadata_props[0].value)
    model.metadata_props[0].value = json.dumps({**said, key: value})
    onnx.save(model, path)
    with pytest.raises(RunError, match=f"does not know: {key}="):
        Embedder.open(path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"size": 3}'])
def test_metadata_that_cannot_be_read_is_refused(graph_file, text):
    path = graph_file()
    model = onnx.load(path)
    model.metadata_props[0].value = text
    onnx.save(model, path)
    with pytest.raises(RunError, match=r"zoo.preprocess cannot be read"):
        Embedder.open(path)


def test_an_embedding_without_direction_is_an_error(graph_file, images):
    path = graph_file()
    model = onnx.load(path)
    weights = next(one for one in model.graph.initializer if one.name == "weights")
    weights.CopyFrom(onnx.numpy_helper.from_array(np.zeros((8, 3, 32, 48), np.float32), "weights"))
    onnx.save(model, path)
    with pytest.raises(RunError, match="not finite or zero"):
        Embedder.open(path).embed(images)
