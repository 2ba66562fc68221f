from __future__ import annotations

import pickle
import time

import numpy as np
import pytest
import torch

from zoo.training.data.batch import Collate, TrainingItem
from zoo.training.distillation import teacher_features as cache
from zoo.training.distillation.teacher_features import TeacherFeatures, teacher_features
from zoo.validation.dataset import plain_view
from zoo_core.errors import RecipeError, RunError

TEACHER = "model.distillation={teacher: {name: timm/test_vit, options: {pretrained: false}}, weight: %s}"


@pytest.fixture
def compute(prepare):
    """Have the features of the tiny recipe's teacher and data."""
    training = prepare(TEACHER % 1)

    def run(*, teacher=training.teacher, identity="same", workers=0, dataset=training.data.items.dataset):
        device = torch.device("cpu")
        return teacher_features(teacher, dataset, identity=identity, device=device, num_workers=workers, show=False)

    run.training = training
    return run


def test_features_are_those_of_the_plain_views_at_the_teachers_size(compute):
    dataset, teacher = compute.training.data.items.dataset, compute.training.teacher
    assert teacher.image_size == (160, 160)

    rows = compute(workers=1)[[5, 80]]

    images = np.stack([plain_view(dataset[index], teacher.image_size) for index in (5, 80)])
    with torch.no_grad():
        expected = teacher(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    assert rows.dtype == torch.float16
    torch.testing.assert_close(rows.float(), torch.nn.functional.normalize(expected), atol=2e-3, rtol=0)


def test_a_teacher_sees_files_as_prediction_does_not_as_the_training_cache_has_reduced_them(compute, tmp_path):
    from PIL import Image

    from zoo.training.data.mixed_dataset import MixedDataset
    from zoo_core.images import read_image
    from zoo_images.datasets.folders import FolderDataset

    (tmp_path / "root" / "a").mkdir(parents=True)
    path = tmp_path / "root" / "a" / "1.png"
    pixels = np.random.default_rng(0).integers(0, 256, (200, 240, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    drawn = compute.training.data.items.dataset
    files = FolderDataset(str(tmp_path / "root"), max_side=24, cache="none")
    teacher = compute.training.teacher

    (row,) = compute(dataset=MixedDataset([drawn, files]))[[len(drawn)]]

    with torch.no_grad():
        expected = teacher(torch.from_numpy(read_image(path, teacher.image_size)).permute(2, 0, 1)[None].float() / 255)
    torch.testing.assert_close(row.float(), torch.nn.functional.normalize(expected)[0], atol=2e-3, rtol=0)


def test_other_weights_data_or_pixels_are_other_features(compute):
    same = compute().path
    assert compute().path == same
    dataset, teacher = compute.training.data.items.dataset, compute.training.teacher

    class Repainted:
        classes = dataset.classes

        def __len__(self):
            return len(dataset)

        def __getitem__(self, index):
            from dataclasses import replace

            sample = dataset[index]
            return replace(sample, image=sample.image ^ np.uint8(1)) if index == 7 else sample

    paths = {same, compute(identity="other").path, compute(dataset=Repainted()).path}
    with torch.no_grad():
        next(teacher.parameters()).add_(1)
    paths.add(compute().path)
    assert len(paths) == 4


def test_rows_are_sent_to_a_loaders_process_as_a_path(compute):
    features = compute()
    rows = features[[0, 1]]

    copy = pickle.dumps(features)

    assert len(copy) < 1000
    assert torch.equal(pickle.loads(copy)[[0, 1]], rows)  # noqa: S301 - what this test has just written


def test_a_teacher_that_fails_leaves_no_cache(compute):
    class Broken(torch.nn.Module):
        image_size = (16, 16)

        def forward(self, images):
            return torch.full((len(images), 4), torch.nan)

    with pytest.raises(RunError, match="not numbers"):
        compute(teacher=Broken())
    assert not list((cache._cache()).glob("*.npy"))


def test_what_cannot_be_written_is_told_in_a_line_and_leaves_nothing(compute, tmp_path, monkeypatch):
    import resource

    # 96 rows of 2 bytes and more each do not fit into a file as long as this.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        with pytest.raises(RunError, match=r"the teacher's features cannot be written to .*teachers") as caught:
            compute()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "XDG_CACHE_HOME" in caught.value.problems[0].hint
    assert [path.suffix for path in cache._cache().iterdir()] in ([], [".lock"])

    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(RunError, match=r"the teacher's features cannot be written to .*file/zoo/teachers"):
        compute()


def test_features_are_read_from_a_cache_that_cannot_be_written(compute, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    path = compute().path
    monkeypatch.setattr(cache.FileLock, "acquire", refuse)
    assert compute().path == path


def test_of_two_processes_one_computes_and_the_other_waits(compute, monkeypatch):
    import threading

    computed = []
    work = cache._compute

    def slowly(*arguments, **options):
        computed.append(1)
        time.sleep(0.5)
        work(*arguments, **options)

    monkeypatch.setattr(cache, "_compute", slowly)
    threads = [threading.Thread(target=compute) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert computed == [1]


def test_a_teacher_from_a_file_of_weights(prepare, tmp_path):
    import timm
    from safetensors.torch import save_file

    path = tmp_path / "teacher.safetensors"
    model = timm.create_model("test_vit", num_classes=3)
    save_file(model.state_dict(), path)

    teacher = prepare(
        f"model.distillation={{teacher: {{name: timm/test_vit, options: {{pretrained: {path}}}}}}}"
    ).teacher

    assert teacher.provenance["weights"] == str(path)
    images = torch.rand(2, 3, 160, 160)
    with torch.no_grad():
        expected = model.eval().forward_head(model.forward_features((images - 0.5) / 0.5), pre_logits=True)
        torch.testing.assert_close(teacher(images), expected)


def test_a_teacher_without_weights_says_what_to_do(zoo, tiny_recipe, tmp_path):
    result = zoo(
        *("train", "--cfg", tiny_recipe, "model.distillation={teacher: {name: timm/test_vit}}"),
        env={"HF_HOME": str(tmp_path / "empty")},
        check=4,
    )

    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error:"))
    assert "the teacher has no weights" in line
    assert "pretrained: PATH" in line
    assert not (tmp_path / "runs").exists()


def test_a_stream_cannot_be_distilled(prepare, monkeypatch):
    from zoo.assembly import RecipeBuilder, Source

    class Stream:
        classes = ("a", "b")
        length = 64

        def stream(self, **_):
            return iter(())

    monkeypatch.setattr(RecipeBuilder, "training_sources", lambda _: [Source(Stream(), 1.0)])
    with pytest.raises(RecipeError, match="stream") as caught:
        prepare(TEACHER % 1)
    assert caught.value.problems[0].location.key == "model.distillation"


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("model.distillation={teacher: {name: timm/test_vitt}}", "model.distillation.teacher.name"),
        (
            "model.distillation={teacher: {name: timm/test_vit, options: {tga: x}}}",
            "model.distillation.teacher.options.tga",
        ),
        (TEACHER % 0, "model.distillation.weight"),
        ("model.distillation={teacher: {name: timm/test_vit}, temperature: 0}", "model.distillation.temperature"),
        ("model.distillation={weight: 1}", "model.distillation"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(prepare, override, place):
    with pytest.raises(RecipeError) as caught:
        prepare(override)

    assert [problem.location.key for problem in caught.value.problems] == [place]


def test_the_file_of_rows_is_read_lazily(tmp_path):
    path = tmp_path / "rows.npy"
    rows = np.arange(12, dtype=np.float16).reshape(4, 3)
    np.save(path, rows)

    image = np.zeros((2, 2, 3), np.uint8)
    batch = Collate(TeacherFeatures(path))([[TrainingItem(image, 7, 3)], [TrainingItem(image, 8, 0)]])

    assert batch["images"].shape == (2, 2, 2, 3)
    assert batch["labels"].tolist() == [7, 8]
    assert batch["teacher_features"].tolist() == rows[[3, 0]].tolist()
