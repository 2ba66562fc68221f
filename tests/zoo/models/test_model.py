from __future__ import annotations

import itertools
import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from PIL import Image

from zoo.models.model import Model, Speed
from zoo_core.errors import ComponentError, RunError, UnreadableSample, UsageError, ZooError
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
    embeddings = Model.open(path).embed(images)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (5, 8)
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    assert np.abs(embeddings - reference(path, images)).max() < 1e-6


def test_different_pictures_lie_apart(graph_file, images):
    embeddings = Model.open(graph_file()).embed(images)
    assert (embeddings @ embeddings.T)[~np.eye(5, dtype=bool)].max() < 0.999


@pytest.mark.parametrize("options", [{"layout": "NHWC"}, {"dtype": "uint8"}, {"layout": "NHWC", "dtype": "uint8"}])
def test_layout_and_dtype_do_not_change_embeddings(graph_file, images, options):
    expected = Model.open(graph_file()).embed(images)
    assert np.abs(Model.open(graph_file("other.onnx", **options)).embed(images) - expected).max() < 1e-5


def test_a_float_graph_that_takes_0_to_255_gets_it(graph_file, images):
    expected = Model.open(graph_file()).embed(images)
    path = graph_file("wide.onnx", dtype="uint8")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    said = json.loads(model.metadata_props[0].value)
    model.metadata_props[0].value = json.dumps({**said, "dtype": "float32"})
    onnx.save(model, path)
    assert said["range"] == [0, 255]
    assert np.abs(Model.open(path).embed(images) - expected).max() < 1e-5


def test_a_graph_that_resizes_itself_takes_pictures_of_several_sizes(graph_file, images):
    embedder = Model.open(graph_file(layout="NHWC", dtype="uint8", size=None))
    together = embedder.embed(images)
    alone = np.concatenate([embedder.embed([image]) for image in images])
    assert np.array_equal(together, alone)


def test_embeddings_are_normalised_even_where_the_graph_does_not(graph_file, images):
    expected = Model.open(graph_file()).embed(images)
    raw = Model.open(graph_file("raw.onnx", normalized=False)).embed(images)
    assert np.abs(raw - expected).max() < 1e-6


def test_more_pictures_than_a_batch(graph_file, images):
    embedder = Model.open(graph_file())
    many = embedder.embed(images * 20)
    assert many.shape == (100, 8)
    assert np.abs(many[95:] - many[:5]).max() < 1e-6


@pytest.mark.parametrize("options", [{}, {"layout": "NHWC", "dtype": "uint8", "size": None}])
@pytest.mark.parametrize("batch", [1, 2, 4, 8])
def test_a_fixed_batch_takes_any_number_of_pictures(graph_file, images, options, batch):
    expected = Model.open(graph_file(**options)).embed(images)
    fixed = Model.open(graph_file("fixed.onnx", batch=batch, **options))
    assert np.abs(fixed.embed(images) - expected).max() < 1e-6
    assert np.abs(fixed.embed(images[:1]) - expected[:1]).max() < 1e-6


def test_an_artifact_folder_and_its_file_are_the_same_model(exported, images):
    folder = Model.open(exported.artifact.path).embed(images)
    assert np.array_equal(folder, Model.open(exported.artifact.onnx).embed(images))


def test_a_folder_without_a_graph_says_what_to_give(tmp_path):
    with pytest.raises(UsageError, match=r"holds no onnx/model.onnx; give the folder"):
        Model.open(tmp_path)


def test_what_is_no_model_is_refused_in_one_line(tmp_path, graph_file):
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(UsageError, match="no such file"):
        Model.open(tmp_path / "none.onnx")
    with pytest.raises(RunError, match=r"junk.onnx: onnxruntime cannot open it") as caught:
        Model.open(tmp_path / "junk.onnx")
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match=r"no zoo.preprocess in its metadata.*zoo export"):
        Model.open(graph_file(metadata=False))


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
        Model.open(path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"size": 3}'])
def test_metadata_that_cannot_be_read_is_refused(graph_file, text):
    path = graph_file()
    model = onnx.load(path)
    model.metadata_props[0].value = text
    onnx.save(model, path)
    with pytest.raises(RunError, match=r"zoo.preprocess cannot be read"):
        Model.open(path)


def test_an_embedding_without_direction_is_an_error(graph_file, images):
    path = graph_file()
    model = onnx.load(path)
    weights = next(one for one in model.graph.initializer if one.name == "weights")
    weights.CopyFrom(onnx.numpy_helper.from_array(np.zeros((8, 3, 32, 48), np.float32), "weights"))
    onnx.save(model, path)
    with pytest.raises(RunError, match="not finite or zero"):
        Model.open(path).embed(images)


@pytest.fixture
def model(graph_file):
    return Model.open(graph_file())


def test_one_in_one_out_many_in_many_out_none_in_none_out(model, tmp_path, picture):
    path = picture(tmp_path / "a.png", 1)
    one = model.embed(path)
    assert one.shape == (8,)
    assert one.dtype == np.float32
    assert abs(np.linalg.norm(one.astype(np.float64)) - 1) < 1e-6
    assert model.embed([path]).shape == (1, 8)
    for nothing in ([], (), iter([]), np.zeros((0, 5, 5, 3), np.uint8)):
        assert model.embed(nothing).shape == (0, 8)
    assert model.embed([]).dtype == np.float32


@pytest.mark.parametrize("options", [{}, {"layout": "NHWC", "dtype": "uint8", "size": None}])
def test_an_image_has_one_embedding_in_whatever_form_it_comes(graph_file, tmp_path, picture, options):
    model = Model.open(graph_file(**options))
    path = picture(tmp_path / "a.png", 1)
    image = Image.open(path)
    pixels = np.asarray(Image.open(path))
    expected = model.embed(path)
    forms = [path, str(path), image, image.copy(), pixels, Image.fromarray(pixels)]
    for form in forms:
        assert np.array_equal(model.embed(form), expected)
    for form in (forms, tuple(forms), iter(forms), np.stack([pixels] * 3)):
        assert (model.embed(form) == expected).all()
    # A text is a path, and not a sequence of texts.
    with pytest.raises(UsageError, match="no such file"):
        model.embed("abc")


@pytest.mark.parametrize(
    "options", [{}, {"layout": "NHWC", "dtype": "uint8", "size": None}, {"batch": 4}, {"normalized": False}]
)
def test_an_embedding_does_not_depend_on_what_else_is_embedded(graph_file, tmp_path, picture, options):
    model = Model.open(graph_file(**options))
    paths = [picture(tmp_path / f"{seed}.png", seed, (40 + seed % 9, 90)) for seed in range(20)]
    alone = np.stack([model.embed(path) for path in paths])
    for workers, batch_size in ((1, 1), (1, 32), (2, 3), (5, 32)):
        assert np.array_equal(model.embed(paths, workers=workers, batch_size=batch_size), alone)
    assert np.array_equal(model.embed(paths[::-1]), alone[::-1])
    assert np.array_equal(model.embed(paths[7:]), alone[7:])


def test_another_provider_takes_batches_of_one_size(graph_file, images):
    # onnxruntime's wheel has this provider, which leaves all work to the CPU.
    there = Model.open(graph_file(), providers="azure")
    assert not there.graph.on_cpu
    expected = Model.open(graph_file()).embed(images * 5)
    for batch_size in (1, 4, 32):
        assert np.abs(there.embed(images * 5, batch_size=batch_size) - expected).max() < 1e-6
    assert np.abs(there.embed(images[0]) - expected[0]).max() < 1e-6


# Its embeddings depend on how many images run together.
COUNTING = """\
<ir_version: 8, opset_import: ["": 17]>
counting (float[N, 3, 32, 48] img) => (float[N, 3] feats)
<int64[1] zero = {0}, int64[1] one = {1}>
{
  means = ReduceMean <axes = [2, 3], keepdims = 0> (img)
  shape = Shape (img)
  first = Slice (shape, zero, one)
  count = Cast <to = 1> (first)
  weights = Concat <axis = 0> (count, count, count)
  powers = Pow (means, weights)
  feats = Identity (powers)
}
"""


def test_an_embedding_does_not_depend_on_how_many_run_on_another_provider(graph_file, images, tmp_path):
    counting = onnx.parser.parse_model(COUNTING)
    counting.metadata_props.extend(onnx.load(graph_file()).metadata_props)
    next(one for one in counting.metadata_props if one.key == "zoo.embedding_dim").value = "3"
    onnx.save(counting, tmp_path / "counting.onnx")
    there = Model.open(tmp_path / "counting.onnx", providers="azure")
    together = there.embed(images, batch_size=4)
    assert np.array_equal(there.embed(images[0], batch_size=4), together[0])
    assert np.array_equal(there.embed(images[4:], batch_size=4), together[4:])


def test_providers_have_short_names_and_a_missing_one_says_what_to_install(graph_file):
    path = graph_file()
    for name in (None, "cpu", "CPU", "CPUExecutionProvider", ["cpu"], []):
        assert Model.open(path, providers=name).graph.session.get_providers() == ["CPUExecutionProvider"]
    missing = r"provider cuda is not available: this onnxruntime has .*cpu; .*pip install onnxruntime-gpu"
    for name in ("cuda", ["cpu", "CUDAExecutionProvider"]):
        with pytest.raises(ComponentError, match=missing):
            Model.open(path, providers=name)
    with pytest.raises(UsageError, match=r"there is no provider 'gpu'; onnxruntime knows .*cuda"):
        Model.open(path, providers="gpu")
    with pytest.raises(UsageError, match=r"a provider is named by text, not by \('cuda', {}\)"):
        Model.open(path, providers=[("cuda", {})])


def test_a_provider_that_does_not_start_is_an_error_and_not_the_cpu_in_silence(
    graph_file, monkeypatch, capfd, tmp_path
):
    class Deviceless(onnxruntime.InferenceSession):
        def _create_inference_session(self, providers, *rest):
            if providers != ["CPUExecutionProvider"]:
                raise RuntimeError("CUDA failure 100:\n no CUDA-capable device")
            super()._create_inference_session(providers, *rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Deviceless)
    failure = (
        r"^provider azure is installed but does not start: CUDA failure 100: no CUDA-capable device; install .* CPU$"
    )
    with pytest.raises(ComponentError, match=failure):
        Model.open(graph_file(), providers="azure")
    # Of a file that no provider opens, the file is named.
    (tmp_path / "none.onnx").write_bytes(b"none")
    with pytest.raises(RunError, match=r"none\.onnx: onnxruntime cannot open it"):
        Model.open(tmp_path / "none.onnx", providers="azure")
    assert capfd.readouterr() == ("", "")


def test_threads_are_those_of_onnxruntime(graph_file, images):
    expected = Model.open(graph_file()).embed(images)
    assert np.abs(Model.open(graph_file(), threads=2).embed(images) - expected).max() < 1e-6
    assert Model.open(graph_file(), threads=2).graph.session.get_session_options().intra_op_num_threads == 2


def test_a_generator_is_consumed_as_the_embeddings_come(model, images):
    drawn = []

    def endless():
        for number in itertools.count():
            drawn.append(number)
            yield images[number % 5]

    each = model.embed_each(endless())
    for _ in range(200):
        next(each)
    # Not many more than were asked for.
    assert len(drawn) < 200 + 100
    each.close()
    assert len(drawn) < 200 + 100


def test_closing_a_stream_stops_its_threads(model, images):
    before = threading.active_count()
    each = model.embed_each(itertools.cycle(images), speed=Speed(workers=3))
    next(each)
    assert threading.active_count() > before
    each.close()
    assert threading.active_count() == before


def test_no_more_than_a_few_images_are_in_memory(model):
    references, most = [], 0

    def drawn():
        nonlocal most
        for _ in range(500):
            image = Image.new("RGB", (8, 8))
            references.append(weakref.ref(image))
            most = max(most, sum(reference() is not None for reference in references))
            yield image

    assert model.embed(drawn(), workers=2).shape == (500, 8)
    assert most < 100


def test_what_comes_late_does_not_hold_back_what_is_there(model, tmp_path, picture):
    path = picture(tmp_path / "a.png", 1)
    answered = []

    def dialogue():
        yield from [path] * 100
        yield None
        for number in range(100, 105):
            # Asks only after the last answer.
            assert len(answered) == number
            yield path
            yield None

    for item, _ in model.embed_each(dialogue()):
        answered.append(item)
    assert answered == [path] * 105


def test_an_error_is_one_item_of_a_stream_and_the_end_of_a_call(model, tmp_path, picture):
    good, bad = picture(tmp_path / "good.png", 1), tmp_path / "bad.png"
    bad.write_bytes(b"bad")
    inputs = [good, bad, tmp_path / "none.png", np.zeros((4, 4)), 7, good]
    found = list(model.embed_each(inputs))
    assert [item is given for (item, _), given in zip(found, inputs, strict=True)] == [True] * 6
    assert [type(one) for _, one in found[1:5]] == [UnreadableSample, UsageError, UsageError, UsageError]
    assert np.array_equal(found[0][1], found[5][1])
    assert not isinstance(found[0][1], ZooError)
    with pytest.raises(UnreadableSample, match=r"bad\.png: cannot be read as an image"):
        model.embed(inputs)
    with pytest.raises(UsageError, match=r"^inputs\[1\]: an array of float64 \[4, 4\] is not an image"):
        model.embed([good, np.zeros((4, 4))])
    with pytest.raises(UsageError, match=r"^inputs\[0\]: int is not an image; give a path"):
        model.embed([7])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (7, "int is not an image"),
        (None, "NoneType is not an image"),
        ([None], r"^inputs\[0\]: None is not an image"),
        (np.uint8(7), r"an array of uint8 \[\] is not an image"),
        (BytesIO(b"data"), r"an open file is not an image; make PIL\.Image\.open\(file\)"),
        (b"data", r"PIL\.Image\.open\(io\.BytesIO\(data\)\)"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(model, wrong, message):
    with pytest.raises(UsageError, match=message) as caught:
        model.embed(wrong)
    assert "\n" not in str(caught.value)


def test_arrays_of_other_libraries_are_arrays(model, images):
    import torch

    expected = model.embed(images[0])
    assert np.array_equal(model.embed(torch.from_numpy(images[0])), expected)
    assert np.array_equal(model.embed([torch.from_numpy(images[0])])[0], expected)


def test_workers_and_batches_are_at_least_one(model, images):
    for wrong in ({"workers": 0}, {"batch_size": 0}):
        for inputs in (images, images[0]):
            with pytest.raises(UsageError, match="at least 1"):
                model.embed(inputs, **wrong)
    with pytest.raises(UsageError, match="threads is at least 1, not 0"):
        Model.open(model.path, threads=0)


def test_any_number_of_threads_may_use_a_model_at_once(model, tmp_path, picture):
    paths = [picture(tmp_path / f"{seed}.png", seed) for seed in range(10)]
    expected = model.embed(paths)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: model.embed(paths, workers=2), range(24)):
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("options", [{}, {"size": (64, 64)}, {"layout": "NHWC", "dtype": "uint8", "size": None}])
def test_orientations_are_those_of_the_image_turned_clockwise(graph_file, tmp_path, picture, options):
    model = Model.open(graph_file(**options))
    path = picture(tmp_path / "a.png", 3)
    ((_, found),) = model.embed_each([path], orientations=4)
    assert found.shape == (4, 8)
    assert np.array_equal(found[0], model.embed(path))
    turns = (Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_90)
    for row, turn in zip(found[1:], turns, strict=True):
        assert row @ model.embed(Image.open(path).transpose(turn)) > 0.9999
    assert found[0] @ found[1] < 0.999
