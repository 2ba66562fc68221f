"""One run whose checkpoints change hands: begun on the CPU, resumed on the device, resumed on the CPU again."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

import torch

from gpu_stages.recipes import SPARSE, overrides_for, planned
from zoo.recipes.loading import load_run_recipe
from zoo.runs.layout import RunFolder
from zoo.training.plan import plan_training
from zoo.training.run import train
from zoo_core.discovery import discover
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from gpu_stages.session import Session

STEPS = 4


def run(session: Session) -> None:
    """Train the three legs, each so many steps further."""
    folder = RunFolder(session.work / "run")
    device = "gpu" if session.on_gpu else "cpu"
    for leg, accelerator in enumerate(("cpu", device, "cpu"), 1):
        changed = [f"trainer.accelerator={accelerator}", f"trainer.max_steps={leg * STEPS}"]
        if leg == 1:
            overrides = [*overrides_for(session, batch=32, templates=16), SPARSE, "data.valid.options.templates=8"]
            plan = planned([*overrides, *changed])
        else:
            registry = discover()
            plan = plan_training(load_run_recipe(folder, changed, registry=registry), registry, resume=folder)
        train(plan, folder)
        figure = _leg(folder, accelerator)
        session.report.add(f"leg_{leg}", figure)
        if figure["steps"] != leg * STEPS or not (figure["finite"] and math.isfinite(figure["loss"])):
            raise RunError(f"leg {leg}, on {accelerator}, ended with {figure}")
        session.report.add("steps", figure["steps"])


def _leg(folder: RunFolder, accelerator: str) -> dict[str, Any]:
    """Return what the last checkpoint and the curves say."""
    checkpoint = torch.load(folder.last, map_location="cpu", weights_only=True)
    with folder.metrics_csv.open(encoding="utf-8", newline="") as file:
        *_, last = csv.DictReader(file)
    weights = [value for value in checkpoint["state_dict"].values() if value.is_floating_point()]
    return {
        "on": accelerator,
        "steps": checkpoint["global_step"],
        "loss": float(last["loss"]),
        "finite": all(bool(value.isfinite().all()) for value in weights),
        "class_table": checkpoint.get("zoo_rows"),
    }
