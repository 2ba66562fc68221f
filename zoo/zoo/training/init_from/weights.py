"""The weights of a trained model, taken over as far as they fit, and a report of what was left and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import safetensors.torch
import torch

from zoo.runs.checksum import verify
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from zoo.training.init_from.source import InitialSource

_SHOWN = 3
_MISSING = "not in the file"


@dataclass(frozen=True)
class InitialWeights:
    """What a model has of another.

    Attributes:
        source: the other model.
        taken: names of parameters and buffers that have its values.
        left: names of those that keep their initial values, each with the reason.
        unused: names in its file that the model has no use for, without those of a loss.
        share: of the model's parameters, 0..1, that are taken.
    """

    source: InitialSource
    taken: tuple[str, ...]
    left: Mapping[str, str]
    unused: tuple[str, ...]
    share: float

    def whole(self, part: str) -> bool:
        """Return whether all of the model's ``part``, ``backbone`` or ``head``, is taken."""
        return not any(name.startswith(f"{part}.") for name in self.left)

    @property
    def summary(self) -> str:
        """What is taken, in a line."""
        tensors = len(self.taken) + len(self.left)
        return (
            f"init_from {self.source.name} ({self.source.file.name}, sha256 {self.source.sha256[:12]}): "
            f"{len(self.taken)} of {tensors} tensors, {self.share:.1%} of the parameters"
        )

    @property
    def lines(self) -> list[str]:
        """What is not taken, and why: a line for each reason."""
        reasons: dict[str, list[str]] = {}
        for name, reason in self.left.items():
            kind = reason if reason == _MISSING else "of another shape or kind"
            reasons.setdefault(kind, []).append(name if reason == _MISSING else f"{name} ({reason})")
        lines = [f"init_from: starts anew, {kind}: {_some(names)}" for kind, names in reasons.items()]
        return [*lines, *([f"init_from: not in this model: {_some(self.unused)}"] if self.unused else [])]

    def to_json(self) -> dict[str, Any]:
        """Return it for a run's record."""
        counts = {"taken": len(self.taken), "share": self.share, "left": dict(self.left), "unused": list(self.unused)}
        return {**self.source.to_json(), **counts}


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of weights: tensors by the names that backbone and head of a model of zoo have.

    Of a checkpoint of a training that is its model; the loss, with its class table, is left out.

    Raises:
        RunError: the file is unreadable or damaged, or holds more than tensors and plain values.
    """
    try:
        if path.suffix == ".safetensors":
            state: Any = safetensors.torch.load_file(path)
        else:
            if path.suffix == ".ckpt" and path.parent.name == "checkpoints":
                verify(path, hint="restore the file from a copy")
            state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    except RunError:
        raise
    except Exception as error:  # zip, pickle, safetensors and torch each have their own kinds of broken
        message = f"{path}: it is damaged, or holds more than tensors"
        raise RunError(message, hint="give a .safetensors file, or a checkpoint of tensors alone") from error
    prefix = "model."
    if any(name.startswith(prefix) for name in tensors):
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return tensors


def fit(model: nn.Module, found: Mapping[str, Tensor], source: InitialSource) -> InitialWeights:
    """Compare ``model`` with the weights ``found``, and change nothing.

    A buffer, such as a statistic of BatchNorm or the normalisation of pixels, is taken with all parameters of its
    module, or not at all.
    """
    own = model.state_dict()
    parameters = {name for name, _ in model.named_parameters()}
    left = {name: reason for name, value in own.items() if (reason := _misfit(value, found.get(name)))}
    for name in own.keys() - parameters - left.keys():
        module = name.rpartition(".")[0]
        if any(other.startswith(f"{module}.") for other in left.keys() & parameters):
            left[name] = f"belongs to {module}, which is not taken whole"
    taken = tuple(name for name in own if name not in left)
    counts = {name: own[name].numel() for name in parameters & own.keys()}
    share = sum(counts.get(name, 0) for name in taken) / max(1, sum(counts.values()))
    unused = tuple(sorted(found.keys() - own.keys()))
    return InitialWeights(source, taken, {name: left[name] for name in own if name in left}, unused, share)


def take(model: nn.Module, found: Mapping[str, Tensor], names: Collection[str]) -> None:
    """Copy those weights into ``model``.

    Raises:
        RunError: one of them is not finite.
    """
    own = model.state_dict()
    with torch.no_grad():
        for name in names:
            value = found[name]
            if value.is_floating_point() and not bool(value.isfinite().all()):
                raise RunError(f"init_from: {name} is not finite", hint="start from another checkpoint")
            cast("Tensor", own[name]).copy_(value)


def _misfit(own: Tensor, other: Tensor | None) -> str:
    if other is None:
        return _MISSING
    if own.shape != other.shape:
        return f"{_shape(other)} there, {_shape(own)} here"
    if own.is_floating_point() != other.is_floating_point():
        return f"{other.dtype} there, {own.dtype} here"
    return ""


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _some(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
