"""Measure what a checkpoint costs: python benchmarks/checkpoint.py [RECIPE ...].

Prints the bytes of one checkpoint of each recipe, with the state of its optimizer, the seconds of one save (the median
of 9, on the disk of --folder), and their share of a training that saves every five minutes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from zoo.recipes.loading import load_recipe
from zoo.training.checkpoints import AtomicCheckpointIO
from zoo.training.plan import plan_training
from zoo_core.discovery import discover

SAVES = 9


def main() -> None:
    """Measure the recipes named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=["lcnet050_cosface_96"])
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    registry = discover()
    for name in arguments.recipes:
        loaded = load_recipe(name, ["model.backbone.options.pretrained=false"], registry=registry)
        plan = plan_training(loaded, registry)
        modules = torch.nn.ModuleDict({"model": plan.model, "loss": plan.loss})
        state = modules.state_dict()
        # What training adds: two moments of AdamW, and the weights beside their average.
        checkpoint = {
            "state_dict": state,
            "optimizer_states": [{key: torch.rand_like(value) for key, value in modules.named_parameters()}],
            "second_moments": {key: torch.rand_like(value) for key, value in modules.named_parameters()},
            "zoo_current_weights": {key: value.clone() for key, value in plan.model.state_dict().items()},
        }
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            path, seconds = Path(folder) / "last.ckpt", []
            for _ in range(SAVES):
                started = time.perf_counter()
                AtomicCheckpointIO().save_checkpoint(checkpoint, path)
                seconds.append(time.perf_counter() - started)
            size = path.stat().st_size
        median = statistics.median(seconds)
        print(
            f"{name}: {size / 1e6:.1f} MB, {median:.3f} s (largest {max(seconds):.3f}), {median / 300:.3%} of 5 minutes"
        )


if __name__ == "__main__":
    main()
