"""Samples that stay on the device: what training sees, and when it is refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.assembly import RecipeBuilder
from zoo.runs.unreadable import UnreadableSamples, read_list
from zoo.training.data import residency
from zoo.training.data.items import TrainingItems
from zoo.training.data.mixed_dataset import MixedDataset
from zoo.training.data.residency import Residency
from zoo.training.data.resident import ResidentExecutor, ResidentImages
from zoo.training.data.resident_reading import _in_order, estimate_bytes, read_resident
from zoo.training.module import EmbeddingTraining
from zoo_core.api import RecipeError, RunError, Sample, UnreadableSample

DEVICE = ("data.augment_on=device", "data.captures=2")
ALSO = (
    "data.train_also=[{name: documents/synthetic, options: {templates: 5, samples_per_template: 4}, share: 0.25}]",
    "data.samples_per_epoch=64",
)
CPU = torch.device("cpu")


class Numbers:
    """Sixty samples of different sizes, of which each third is broken."""

    classes = tuple(map(str, range(60)))
    blocks = None

    def __init__(self, broken=3):
        self.broken = broken

    def __len__(self):
        return 60

    def __getitem__(self, index):
        if self.broken and index % self.broken == 0:
            raise UnreadableSample(str(index), "broken")
        return Sample(np.full((1 + index % 5, 1 + index % 7, 3), index, np.uint8), index)


class Plain:
    """Shows the image as it is, with one random number; the executor returns what it is given."""

    def __call__(self, sample, generator):
        raise NotImplementedError

    def prepare(self, sample, generator):
        canvas = np.zeros((7, 7, 3), np.uint8)
        canvas[: sample.image.shape[0], : sample.image.shape[1]] = sample.image
        return canvas, np.array([sample.label, generator.integers(2**40)])

    def resident_image(self, sample):
        return sample.image, np.array([sample.label], float)

    def prepare_resident(self, description, generator):
        return (np.array([int(description[0]), generator.integers(2**40)]),)

    def executor(self):
        return Same()


class Sees(Plain):
    """Has to see the pixels of a sample for each view."""

    prepare_resident = None


class Same(torch.nn.Module):
    def forward(self, sources, drawn):
        return sources, drawn


def items_of(*datasets, captures=1):
    return TrainingItems(MixedDataset(datasets, 5), Plain().prepare, 5, captures, UnreadableSamples(share=1.0))


def load(items, *, required=True, device=CPU, agree=bool, workers=0):
    made = Residency(Plain(), ResidentExecutor(Same()), required=required)
    loaded = made.load(items, device=device, sharers=1, workers=workers, agree=agree, show=True)
    return made.executor, loaded


@pytest.fixture
def seen(monkeypatch):
    """The images and labels of each training step since the last look."""
    steps = []
    training_step = EmbeddingTraining.training_step

    def recording(self, batch, index):
        steps.append((batch["images"].clone(), batch["labels"].clone()))
        return training_step(self, batch, index)

    monkeypatch.setattr(EmbeddingTraining, "training_step", recording)

    def look():
        found, steps[:] = list(steps), []
        return found

    return look


def assert_same_steps(some, others):
    assert len(some) == len(others) > 0
    for (images, labels), (other_images, other_labels) in zip(some, others, strict=True):
        assert torch.equal(labels, other_labels)
        # Measured: 0.17 grey levels in the worst step.
        assert (images.float() - other_images.float()).abs().mean() < 0.5


def curves(folder):
    with folder.metrics_csv.open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for each in values for tensor in tensors(each)]


def test_training_sees_and_learns_the_same(train, seen, state_of):
    # At the recipe's learning rate sixteen steps make much of a last bit.
    options = (*DEVICE, *ALSO, "optimizer.options.lr=1e-4")
    sent, _ = train("sent", *options, "data.resident=false")
    from_loader = seen()
    kept, _ = train("kept", *options, "data.resident=true", "data.loader.num_workers=1")

    assert_same_steps(from_loader, seen())
    assert curves(kept) == pytest.approx(curves(sent), rel=0.03)
    assert json.loads(kept.record.read_text())["resident"] is True
    assert json.loads(sent.record.read_text())["resident"] is False
    # Neither pixels nor anything else of the samples is in a checkpoint.
    shapes = [sorted(tuple(one.shape) for one in tensors(state_of(folder.last))) for folder in (sent, kept)]
    assert shapes[0] == shapes[1]


def test_the_pixels_are_no_buffer():
    executor, _ = load(items_of(Numbers()))

    assert executor.images.bytes > 0
    assert not list(executor.buffers())
    assert not executor.state_dict()


def test_a_run_interrupted_mid_epoch_sees_what_was_to_come(train, resume, seen, interrupt_at):
    train("whole", *DEVICE, "data.resident=true")
    whole = seen()
    undo = interrupt_at(8)
    folder, outcome = train("broken", *DEVICE, "data.resident=true")
    undo()
    first = seen()
    assert outcome.interrupted
    assert len(first) == 8

    resume(folder)
    assert_same_steps(whole, first + seen())
    assert json.loads(folder.record.read_text())["resident"] is True


@pytest.mark.parametrize("workers", [0, 2])
def test_items_are_those_of_the_loader_in_every_pass(workers):
    items = items_of(Numbers(), Numbers(broken=0), captures=2)
    executor, resident = load(items, workers=workers)

    assert len(resident) == len(items) == 120
    for passed in (0, 3):
        for wanted in range(120):
            for item, expected in zip(resident[passed, wanted], items[passed, wanted], strict=True):
                assert (item.label, item.position) == (expected.label, expected.position)
                index, drawn = item.image
                images, _ = executor(torch.tensor([index]), None)
                np.testing.assert_array_equal(images[0], expected.image[0])
                np.testing.assert_array_equal(drawn, expected.image[1])


def test_images_of_many_sizes_are_gathered_in_any_order():
    generator = torch.Generator().manual_seed(0)
    sizes = torch.randint(1, 9, (30, 2), generator=generator)
    images = [torch.randint(1, 256, (*size, 3), generator=generator, dtype=torch.uint8) for size in sizes.tolist()]
    counts = sizes.prod(dim=1)
    held = ResidentImages(torch.cat([image.reshape(-1, 3) for image in images]), counts.cumsum(0) - counts, sizes)
    order = torch.randint(0, 30, (150,), generator=generator)

    gathered = held.gather(order)

    assert gathered.shape == (150, 8, 8, 3)
    for index, canvas in zip(order.tolist(), gathered, strict=True):
        height, width = images[index].shape[:2]
        assert torch.equal(canvas[:height, :width], images[index])
        assert not canvas[height:].any()
        assert not canvas[:, width:].any()


@pytest.mark.parametrize("expected", [0, 100, 10**6])
def test_a_wrong_estimate_changes_nothing(expected):
    items = items_of(Numbers(broken=0))
    _, images = read_resident(items, Plain(), expected=expected, limit=None, device=CPU, workers=0, show=False)

    assert images.bytes == 3 * sum((1 + index % 5) * (1 + index % 7) for index in range(60))
    gathered = images.gather(torch.arange(60))
    assert gathered[:, 0, 0, 0].tolist() == list(range(60))


class Views(Numbers):
    """Samples of which each three show the same image."""

    def __init__(self, length=60):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return Sample(np.full((4, 5, 3), index // 3 % 256, np.uint8), index % 60)


def test_an_image_that_several_samples_show_is_kept_once():
    items = items_of(Views(), Views())
    executor, _ = load(items)

    assert executor.images.bytes == 20 * 4 * 5 * 3
    assert executor.images.gather(torch.arange(120))[:, 0, 0, 0].tolist() == 2 * [index // 3 for index in range(60)]


def test_memory_is_estimated_from_runs_of_samples():
    exact = 4 * 5 * 3 / 3 * 9000
    assert exact <= estimate_bytes(items_of(Views(9000)), Plain(), workers=0) < 1.1 * exact


def test_chunks_are_whole_blocks_and_hold_each_sample_once():
    class Blocks(Numbers):
        blocks = (20, 1)

    chunks = [*_in_order(MixedDataset([Blocks(), Numbers()]))]
    assert [index for chunk in chunks for index in chunk] == list(range(120))
    assert all(chunk.start % 20 == 0 for chunk in chunks if chunk.start < 60)


def test_unreadable_samples_are_counted_and_replaced_as_by_the_loader(train, seen, tmp_path):
    (tmp_path / "cards").mkdir()
    generator = np.random.default_rng(0)
    for number in range(60):
        pixels = generator.integers(0, 256, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "cards" / f"{number:02}.png")
    (tmp_path / "cards" / "58.png").write_bytes(b"")
    (tmp_path / "cards" / "59.png").write_bytes(b"no image")
    cards = (
        *("data.train.name=images/instances", f"data.train.options={{root: {tmp_path / 'cards'}}}"),
        *("data.unreadable_share=0.05", "data.captures=1", "data.samples_per_epoch=1440", "trainer.max_epochs=1"),
        *("data.augment_on=device", "data.loader.batch_size=256"),
    )
    sent, _ = train("sent", *cards, "data.resident=false")
    from_loader = seen()
    kept, _ = train("kept", *cards, "data.resident=true")

    assert_same_steps(from_loader, seen())
    rows = [[row for row in read_list(folder.unreadable) if row["part"] == "train"] for folder in (sent, kept)]
    assert len(rows[0]) == 2
    assert sorted(map(str, rows[0])) == sorted(map(str, rows[1]))

    with pytest.raises(RunError, match=r"data\.train: .* of .* samples cannot be read"):
        train("refused", *cards, "data.resident=true", "data.unreadable_share=0.01")


def test_too_little_memory_is_an_error_with_numbers(train, monkeypatch):
    monkeypatch.setattr(residency, "free_memory", lambda _: 1_000_000)
    with pytest.raises(RunError) as caught:
        train("small", *DEVICE, "data.resident=true")

    text = str(caught.value)
    assert "data.resident: the pixels of 96 samples take about 0.00" in text
    assert "cpu has 0.001 GB free" in text
    assert "data.resident=false" in text


def test_pixels_beyond_the_limit_are_an_error_before_they_are_stored():
    items = items_of(Numbers(broken=0))
    with pytest.raises(RunError, match="more than the"):
        read_resident(items, Plain(), expected=0, limit=500, device=CPU, workers=0, show=False)


def test_on_one_cpu_ranks_share_its_memory(monkeypatch):
    items = items_of(Numbers(broken=0))
    _, images = load(items)[0], load(items)[0].images
    monkeypatch.setattr(residency, "free_memory", lambda _: images.bytes * 3 // 2)
    made = Residency(Plain(), ResidentExecutor(Same()), required=True)
    options = {"device": CPU, "workers": 0, "agree": bool, "show": False}

    assert made.load(items, sharers=1, **options) is not None
    with pytest.raises(RunError, match="free"):
        made.load(items, sharers=2, **options)


@pytest.mark.parametrize(
    ("device", "free", "agree", "resident", "said"),
    [
        ("meta", 20_000, True, True, "60 samples stay on meta"),
        ("meta", 3_000, True, False, "60 samples take about"),
        ("meta", 20_000, False, False, "60 samples take about"),
        ("meta", None, True, False, "nobody knows how much memory meta has"),
        ("cpu", 20_000, True, False, "the training runs on the CPU"),
    ],
)
def test_auto_keeps_what_fits_into_half_of_a_device(monkeypatch, capsys, device, free, agree, resident, said):
    """The samples take 2,160 bytes; a device without memory stands for one that computes."""
    monkeypatch.setattr(residency, "free_memory", lambda _: free)
    executor, items = load(
        items_of(Numbers(broken=0)), required=False, device=torch.device(device), agree=lambda fits: fits and agree
    )

    assert (items is not None) == (executor.images is not None) == resident
    assert said in capsys.readouterr().err


def test_auto_stays_off_on_the_cpu_and_says_so(train, seen, capsys):
    folder, _ = train("auto", *DEVICE, "trainer.max_epochs=1")
    assert "data.resident: auto: samples come from the loader: the training runs on the CPU" in capsys.readouterr().err
    assert json.loads(folder.record.read_text())["resident"] is False
    before = seen()

    train("loader", "trainer.max_epochs=1")
    assert "data.resident" not in capsys.readouterr().err
    train("never", *DEVICE, "data.resident=false", "trainer.max_epochs=1")
    assert "data.resident" not in capsys.readouterr().err
    assert all(torch.equal(one[0], other[0]) for one, other in zip(before, seen()[-len(before) :], strict=True))


def refusal(prepare, *overrides):
    with pytest.raises(RecipeError) as caught:
        prepare("data.resident=true", *overrides)
    (problem,) = caught.value.problems
    assert problem.location.key == "data.resident"
    return str(problem)


def test_what_cannot_stay_on_the_device_is_refused_at_its_place(prepare, monkeypatch, tmp_path):
    assert "set data.augment_on: device" in refusal(prepare)

    (tmp_path / "classes.txt").write_text("a\nb\n")
    (tmp_path / "cards.tar").write_bytes(b"")
    options = f"{{shards: '{tmp_path}/cards.tar', classes: {tmp_path}/classes.txt}}"
    stream = f"data.train_also=[{{name: images/webdataset, options: {options}, share: 0.5}}]"
    assert "a stream" in refusal(prepare, *DEVICE, stream)
    assert prepare(*DEVICE, stream, "data.samples_per_epoch=64").data.residency is not None

    monkeypatch.setattr(RecipeBuilder, "device_augmentation", lambda _: Sees())
    assert "the augmentation has to see the pixels" in refusal(prepare, *DEVICE)


def test_auto_says_what_forbids_it(capsys):
    made = Residency(Sees(), ResidentExecutor(Same()), required=False)
    loaded = made.load(items_of(Numbers()), device=torch.device("meta"), sharers=1, workers=0, agree=bool, show=True)
    assert loaded is None
    assert "the augmentation has to see the pixels" in capsys.readouterr().err


def test_two_ranks_with_processes_of_their_own_learn_the_same(zoo, tiny_recipe, tmp_path):
    states = []
    for name in ("true", "false"):
        zoo(
            *("train", "--cfg", tiny_recipe, "--output", tmp_path / name, *DEVICE, f"data.resident={name}"),
            *("trainer.devices=2", "trainer.strategy=ddp", "trainer.max_steps=2", "data.loader.num_workers=1"),
            check=0,
        )
        states.append(torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])

    assert states[0].keys() == states[1].keys()
    seen = next(key for key in states[0] if key.endswith("running_mean"))
    assert (states[0][seen] - states[1][seen]).norm() < 0.01 * states[1][seen].norm()


def test_free_memory_is_that_of_the_machine():
    assert 2**20 < residency.free_memory(CPU) < 2**50
