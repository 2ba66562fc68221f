"""One run whose checkpoints change hands: begun on the CPU, resumed on the device, resumed on the CPU again.

After each resume, before the first step, weights, optimizer state and class table are compared with the files.
"""

from __future__ import annotations

import csv
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file

from gpu_stages.recipes import overrides_for, planned, trained
from gpu_stages.session import is_measured
from zoo.recipes.loading import load_run_recipe
from zoo.runs.layout import RunFolder
from zoo.training.callbacks.class_table import FOLDER_KEY
from zoo.training.callbacks.ema import CURRENT
from zoo.training.plan import plan_training
from zoo_core.discovery import discover
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import lightning
    from torch import Tensor

    from gpu_stages.session import Session
    from zoo.training.module import EmbeddingTraining

STEPS = 4
NAME = "run"
# A step samples some of the sixteen classes.
TABLE = ("model.loss.options.class_table.mode=sparse", "model.loss.options.class_table.negatives=4")


def run(session: Session) -> None:
    """Train the three legs, each so many steps further."""
    for leg, accelerator in enumerate(("cpu", session.accelerator, "cpu"), 1):
        figure = session.attempt(f"leg_{leg}", partial(_leg, session, leg, accelerator), least=5)
        if not is_measured(figure):
            break
        session.report.add("steps", figure["steps"])


def _leg(session: Session, leg: int, accelerator: str) -> dict[str, Any]:
    """Train one leg, and return what it restored, and what the last checkpoint and the curves say."""
    folder = RunFolder(session.work / NAME)
    changed = [f"trainer.accelerator={accelerator}", f"trainer.max_steps={leg * STEPS}"]
    restored: dict[str, Any] = {}
    if leg == 1:
        overrides = [*overrides_for(session, batch=32, templates=16), *TABLE, "data.valid.options.templates=8"]
        trained(session, planned([*overrides, *changed]), NAME)
    else:
        registry = discover()
        plan = plan_training(load_run_recipe(folder, changed, registry=registry), registry, resume=folder)
        files = _in_files(folder)
        trained(session, plan, NAME, before=lambda *now: restored.update(_compared(files, *now)))
    checkpoint = torch.load(folder.last, map_location="cpu", weights_only=True)
    with folder.metrics_csv.open(encoding="utf-8", newline="") as file:
        *_, last = csv.DictReader(file)
    figure = {
        "on": accelerator,
        "steps": checkpoint["global_step"],
        "loss": float(last["loss"]),
        "finite": all(bool(value.isfinite().all()) for value in checkpoint["state_dict"].values()),
        **restored,
    }
    if figure["steps"] != leg * STEPS or not (figure["finite"] and math.isfinite(figure["loss"])):
        raise RunError(f"leg {leg}, on {accelerator}, ended with {figure}")
    return figure


def _in_files(folder: RunFolder) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of the last checkpoint: of the model, the optimizer's state, and the class table's rows."""
    checkpoint = torch.load(folder.last, map_location="cpu", weights_only=True)
    shards = sorted((folder.checkpoints / checkpoint[FOLDER_KEY]).glob("*.safetensors"))
    rows = [load_file(path) for path in shards]
    return {
        "model": {**checkpoint["state_dict"], **checkpoint[CURRENT]},
        "optimizer": _tensors_of(checkpoint["optimizer_states"][0]["state"]),
        "class_table": {name: torch.cat([each[name] for each in rows]) for name in rows[0]},
    }


def _compared(
    files: dict[str, dict[str, Tensor]], trainer: lightning.Trainer, module: EmbeddingTraining
) -> dict[str, Any]:
    """Compare what a run has restored with the files, to the bit, and say where it is.

    Raises:
        RunError: a value is another one, is missing, or is not on the device that trains.
    """
    table: Any = module.loss
    here = {
        "model": module.state_dict(),
        "optimizer": _tensors_of(trainer.optimizers[0].state_dict()["state"]),
        "class_table": table.table.tensors(module.device),
    }
    figures: dict[str, Any] = {}
    for part, expected in files.items():
        found = here[part]
        other = [name for name in expected if name not in found or not torch.equal(found[name].cpu(), expected[name])]
        # Numbers of steps may stay with the CPU, which reads them.
        devices = _devices(value for value in found.values() if value.dim())
        if other or found.keys() != expected.keys() or devices != [module.device.type]:
            raise RunError(f"{part}: not as in the checkpoint: {other[:3]}, on {devices} of {module.device}")
        figures[part] = {"tensors": len(found), "devices": devices}
    return {"restored": figures}


def _tensors_of(state: dict[int, dict[str, Any]]) -> dict[str, Tensor]:
    """Return the tensors of an optimizer's state, by parameter and name."""
    each = ((f"{number}.{name}", value) for number, values in state.items() for name, value in values.items())
    return {name: value for name, value in each if isinstance(value, torch.Tensor)}


def _devices(tensors: Iterable[Tensor]) -> list[str]:
    return sorted({tensor.device.type for tensor in tensors})
