from __future__ import annotations

import pytest
import torch

LOADER_ONLY = """
import numpy as np

class Still:
    def __init__(self, image_size):
        self.image_size = image_size

    def __call__(self, sample, generator):
        return np.zeros((*self.image_size, 3), np.uint8)
"""


def train(zoo, recipe, output, *overrides, check=0):
    zoo("train", "--cfg", recipe, "--output", output, "trainer.max_steps=1", *overrides, check=check)
    return torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.slow
def test_training_on_device_pictures_is_deterministic_and_near_the_loader_s(zoo, tiny_recipe, tmp_path):
    """The pictures are the loader's but for rounding: what the first layer has seen is nearly the same."""
    device = train(zoo, tiny_recipe, tmp_path / "device", "data.augment_on=device")
    again = train(zoo, tiny_recipe, tmp_path / "again", "data.augment_on=device", "data.loader.num_workers=1")
    loader = train(zoo, tiny_recipe, tmp_path / "loader")

    assert device.keys() == loader.keys()
    assert all(torch.equal(device[key], again[key]) for key in device)
    seen = next(key for key in device if key.endswith("running_mean"))
    assert 0 < (device[seen] - loader[seen]).norm() < 0.01 * loader[seen].norm()
    # Validation is captured by the loader either way, and so finds the same in the same untrained model.
    untrained = [(tmp_path / run / "evaluation" / "untrained.json").read_text("utf-8") for run in ("device", "loader")]
    assert untrained[0] == untrained[1]


def test_an_augmentation_without_an_executor_is_refused_with_its_place(
    zoo, tiny_recipe, add_distribution, manifest, tmp_path
):
    component = "ComponentSpec('augmentation', 'still', 'still_life:Still', 'no chance')"
    add_distribution("zoo-still", still=manifest(component), modules={"still_life": LOADER_ONLY})
    recipe = tmp_path / "still.yaml"
    recipe.write_text(
        tiny_recipe.read_text(encoding="utf-8").replace(
            "data:\n", "data:\n  augmentation: {name: still/still}\n  augment_on: device\n"
        ),
        encoding="utf-8",
    )

    result = zoo("train", "--cfg", recipe, check=3)

    assert "still.yaml:7:3: data.augment_on: still/still has no executor for the device" in result.stderr
    assert not (tmp_path / "runs").exists()
