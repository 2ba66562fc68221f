"""Samples that stay on the device: what training sees."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from zoo.training.data.resident import ResidentImages

from .resident_samples import DEVICE, Numbers, assert_same_steps, items_of, load

ALSO = (
    "data.train_also=[{name: documents/synthetic, options: {templates: 5, samples_per_template: 4}, share: 0.25}]",
    "data.samples_per_epoch=64",
)


def tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for each in values for tensor in tensors(each)]


def test_training_sees_and_learns_the_same(train, seen, state_of, read_curves):
    # At the recipe's learning rate sixteen steps make much of a last bit.
    options = (*DEVICE, *ALSO, "optimizer.options.lr=1e-4")
    sent, _ = train("sent", *options, "data.resident=false")
    from_loader = seen()
    kept, _ = train("kept", *options, "data.resident=true", "data.loader.num_workers=1")

    assert_same_steps(from_loader, seen())
    losses = [[float(row["loss"]) for row in read_curves(folder)] for folder in (kept, sent)]
    assert losses[0] == pytest.approx(losses[1], rel=0.03)
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


@pytest.mark.slow
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
