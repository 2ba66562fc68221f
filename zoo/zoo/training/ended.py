"""Whether a run that is to be resumed has anything left to train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Timer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.runs.layout import RunFolder


@dataclass(frozen=True)
class EndedTraining:
    """A training that has reached its limits.

    Attributes:
        epochs: that were trained.
        steps: of the optimizer.
        limits: what has to be raised to train on, as it is typed.
        evaluated: whether its best checkpoint has been evaluated since.
    """

    epochs: int
    steps: int
    limits: tuple[str, ...]
    evaluated: bool


def ended_training(run: RunFolder, trainer: Mapping[str, Any]) -> EndedTraining | None:
    """Return how the training of ``run`` ended, by its last checkpoint and the recipe's section ``trainer``.

    Returns:
        ``None`` where there is something to train, or the checkpoint cannot be read, which the resume then reports.
    """
    try:
        # Tensors stay in the file.
        checkpoint = torch.load(run.last, map_location="cpu", weights_only=True, mmap=True)
        epochs = int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
        steps = int(checkpoint["global_step"])
        callbacks = dict(checkpoint["callbacks"])
        remaining = _seconds_left(callbacks.get("Timer", {}), trainer.get("max_time"))
    except Exception:  # noqa: BLE001 - zip, pickle and torch each have their own kinds of broken
        return None
    limits = [f"trainer.{name}=N (above {done})" for name, done in _reached(trainer, epochs, steps)]
    if remaining <= 0:
        limits.append(f"trainer.max_time=DD:HH:MM:SS (above {trainer['max_time']})")
    return EndedTraining(epochs, steps, tuple(limits), _is_evaluated(run)) if limits else None


def _reached(trainer: Mapping[str, Any], epochs: int, steps: int) -> list[tuple[str, int]]:
    """Return the limits that are reached; -1 is none."""
    done = {"max_epochs": epochs, "max_steps": steps}
    limits = {name: trainer.get(name) for name in done}
    return [(name, done[name]) for name, limit in limits.items() if isinstance(limit, int) and 0 <= limit <= done[name]]


def _seconds_left(state: dict[str, Any], limit: Any) -> float:  # noqa: ANN401 - as the recipe has it
    try:
        timer = Timer(limit)
    except (MisconfigurationException, TypeError):
        # Lightning's trainer refuses it.
        return torch.inf
    timer.load_state_dict(state)
    left = timer.time_remaining()
    return torch.inf if left is None else left


def _is_evaluated(run: RunFolder) -> bool:
    metrics = run.evaluation / "metrics.json"
    return metrics.is_file() and (not run.best.is_file() or metrics.stat().st_mtime >= run.best.stat().st_mtime)
