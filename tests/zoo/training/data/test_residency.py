"""Samples that stay on the device: when they do, and when that is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from zoo.assembly import RecipeBuilder
from zoo.training.data import residency
from zoo.training.data.residency import Residency
from zoo.training.data.resident import ResidentExecutor
from zoo.training.module import EmbeddingTraining
from zoo_core.api import RecipeError, RunError

from .resident_samples import CPU, DEVICE, Numbers, Plain, Same, items_of, load


class Sees(Plain):
    """Has to see the pixels of a sample for each view."""

    prepare_resident = None


def test_too_little_memory_is_an_error_with_numbers(train, monkeypatch):
    monkeypatch.setattr(residency, "free_memory", lambda _: 1_000_000)
    with pytest.raises(RunError) as caught:
        train("small", *DEVICE, "data.resident=true")

    text = str(caught.value)
    assert "data.resident: the pixels of 96 samples take about 0.00" in text
    assert "cpu has 0.001 GB free" in text
    assert "data.resident=false" in text


def test_on_one_cpu_ranks_share_its_memory(monkeypatch):
    items = items_of(Numbers(broken=0))
    _, images = load(items)[0], load(items)[0].images
    monkeypatch.setattr(residency, "free_memory", lambda _: images.bytes * 3 // 2)
    made = Residency(Plain(), ResidentExecutor(Same()), required=True)
    options = {"device": CPU, "workers": 0, "agree": bool, "show": False}

    assert made.load(items, sharers=1, **options) is not None
    with pytest.raises(RunError, match="free"):
        made.load(items, sharers=2, **options)


def test_what_is_asked_for_leaves_a_fifth_of_the_memory_to_the_model(monkeypatch):
    """The samples take 2,109 bytes, four fifths of 2,637."""
    options = {"required": True, "device": torch.device("meta")}
    monkeypatch.setattr(residency, "free_memory", lambda _: 2637)
    assert load(items_of(Numbers(broken=0)), **options)[1] is not None

    monkeypatch.setattr(residency, "free_memory", lambda _: 2636)
    with pytest.raises(RunError, match="of which they may take"):
        load(items_of(Numbers(broken=0)), **options)


@pytest.mark.parametrize("resident", ["true", "false"])
def test_running_out_of_memory_names_the_samples_that_take_it(train, monkeypatch, resident):
    def full(*_):
        raise torch.OutOfMemoryError("tried to allocate 9 GiB")

    monkeypatch.setattr(EmbeddingTraining, "training_step", full)
    with pytest.raises(RunError, match="the device ran out of memory: tried to allocate 9 GiB") as caught:
        train("full", *DEVICE, f"data.resident={resident}")

    said = str(caught.value)
    assert ("set data.resident=false: the samples take 0.00" in said) == (resident == "true")
    assert "lower data.loader.batch_size" in said


@pytest.mark.parametrize(
    ("device", "free", "agree", "resident", "said"),
    [
        ("meta", 20_000, True, True, "60 samples stay on meta"),
        ("meta", 3_000, True, False, "60 samples take about"),
        ("meta", 20_000, False, False, "another rank has too little memory"),
        ("meta", None, True, False, "nobody knows how much memory meta has"),
        ("cpu", 20_000, True, False, "the training runs on the CPU"),
    ],
)
def test_auto_keeps_what_fits_into_half_of_a_device(monkeypatch, capsys, device, free, agree, resident, said):
    """The samples take 2,109 bytes; a device without memory stands for one that computes."""
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


def test_free_memory_is_that_of_the_machine():
    assert 2**20 < residency.free_memory(CPU) < 2**50


def test_what_is_required_and_does_not_fit_is_refused_with_all_numbers(monkeypatch):
    """The samples take 2,109 bytes; of 2,000 for two ranks, each may take 800."""
    monkeypatch.setattr(residency, "free_memory", lambda _: 2000)
    made = Residency(Plain(), ResidentExecutor(Same()), required=True)
    with pytest.raises(RunError) as caught:
        made.load(items_of(Numbers(broken=0)), device=CPU, sharers=2, workers=0, agree=bool, show=True)
    assert str(caught.value) == (
        "data.resident: the pixels of 60 samples take about 2.11e-06 GB, and cpu has 1e-06 GB free, of which they may "
        "take 8e-07 GB; set data.resident=false, lower the data sets' max_side, or train on fewer samples"
    )
    assert made.executor.images is None


def test_where_nobody_knows_the_memory_what_is_required_is_read(monkeypatch, capsys):
    monkeypatch.setattr(residency, "free_memory", lambda _: None)
    executor, items = load(items_of(Numbers(broken=0)))
    assert len(executor.images) == len(items) == 60
    assert capsys.readouterr().err.endswith("data.resident: 60 samples stay on cpu: 2.11e-06 GB, 0.0352 kB each\n")


def test_what_cannot_be_read_takes_nothing_of_the_mean(capsys):
    executor, _ = load(items_of(Numbers()))
    each = executor.images.bytes / 40 / 1e3
    said = f"60 samples stay on cpu: {executor.images.bytes / 1e9:.3g} GB, {each:.3g} kB each\n"
    assert capsys.readouterr().err.endswith(said)


@pytest.mark.parametrize("free", [20_000, 3_000])
def test_a_rank_that_does_not_speak_decides_the_same(monkeypatch, capsys, free):
    monkeypatch.setattr(residency, "free_memory", lambda _: free)
    made = Residency(Plain(), ResidentExecutor(Same()), required=False)
    options = {"device": torch.device("meta"), "sharers": 1, "workers": 0, "agree": bool, "show": False}
    assert (made.load(items_of(Numbers(broken=0)), **options) is not None) == (free == 20_000)
    assert "data.resident" not in capsys.readouterr().err


def test_half_of_the_memory_is_enough_to_the_byte_and_ranks_of_devices_have_their_own(monkeypatch):
    """The samples take 2,109 bytes."""
    for free, fits in ((4218, True), (4217, False)):
        monkeypatch.setattr(residency, "free_memory", lambda _, free=free: free)
        made = Residency(Plain(), ResidentExecutor(Same()), required=False)
        options = {"device": torch.device("meta"), "sharers": 2, "workers": 0, "agree": bool, "show": False}
        assert (made.load(items_of(Numbers(broken=0)), **options) is not None) == fits


class Stream:
    classes = ("any",)
    length = None

    def stream(self, **_):
        raise NotImplementedError


class Endless(Numbers):
    def __len__(self):
        return 10_000_001


@pytest.mark.parametrize(
    ("augmentation", "datasets", "device", "reason"),
    [
        (Sees(), [Numbers()], "meta", "the augmentation has to see the pixels of every sample"),
        (Plain(), [Numbers(), Stream()], "meta", "a stream's samples come once"),
        (Plain(), [Numbers()], "cpu", "the training runs on the CPU"),
        (Plain(), [Endless()], "meta", "10,000,001 samples are too many to be read ahead; data.resident=true does it"),
        (Plain(), [Numbers()], "meta", "nobody knows how much memory meta has"),
    ],
)
def test_auto_says_why_samples_come_from_the_loader(monkeypatch, capsys, augmentation, datasets, device, reason):
    monkeypatch.setattr(residency, "free_memory", lambda _: None)
    made = Residency(augmentation, ResidentExecutor(Same()), required=False)
    options = {"device": torch.device(device), "sharers": 1, "workers": 0, "agree": bool, "show": True}
    assert made.load(items_of(*datasets), **options) is None
    assert capsys.readouterr().err == f"data.resident: auto: samples come from the loader: {reason}\n"


def test_the_free_memory_of_the_machine_is_what_linux_says_is_available():
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    assert residency.free_memory(CPU) == pytest.approx(available, rel=0.2)


def test_a_device_that_cannot_say_has_unknown_memory():
    assert residency.free_memory(torch.device("mps")) is None
