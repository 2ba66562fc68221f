"""An exponential moving average of the weights: what is validated, kept as the model and published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer
    from torch import Tensor

    from zoo.training.module import EmbeddingTraining

# Where a checkpoint keeps the weights that training resumes from; its ``state_dict`` holds their average.
CURRENT = "zoo_current_weights"


class ExponentialMovingAverage(Callback):
    """Averages the weights of backbone and head, their BatchNorm statistics too; never the class table.

    After the n-th step the average moves by ``1 - min(decay, n / (n + 9))`` towards the weights: a short
    training, and the start of a long one, is averaged over its last tenth or so (the warm-up of TensorFlow's
    ``ExponentialMovingAverage``), so that the random weights it began with are soon forgotten.

    Lightning's own ``EMAWeightAveraging`` copies the whole module, class table included, has no warm-up, and ends a
    training on the average, from which a longer one could not be resumed exactly.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._average: dict[str, Tensor] = {}
        self._current: dict[str, Tensor] = {}
        self._set_aside: list[Tensor] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start from the weights as they are, or as the checkpoint says, on the device where they are now."""
        self._current = _weights(pl_module)
        average = self._average or self._current
        self._average = {name: average[name].detach().to(value, copy=True) for name, value in self._current.items()}
        self.steps = max(self.steps, trainer.global_step)

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Follow each step of the optimizer, of which accumulation does one in several batches."""
        if trainer.global_step == self.steps:
            return
        self.steps = trainer.global_step
        decay = min(self.decay, self.steps / (self.steps + 9))
        with torch.no_grad():
            torch._foreach_lerp_([*self._average.values()], [*self._current.values()], 1 - decay)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate the average."""
        if trainer.sanity_checking or not self._average:
            return
        self._set_aside = [value.detach().clone() for value in self._current.values()]
        _copy(self._current.values(), self._average.values())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the weights from before the validation."""
        if self._set_aside:
            _copy(self._current.values(), self._set_aside)
            self._set_aside = []

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the average as the model, and beside it the weights to resume from."""
        if self._average:
            state = checkpoint["state_dict"]
            checkpoint[CURRENT] = {name: state[name] for name in self._average}
            checkpoint["state_dict"] = {**state, **self._average}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore both; Lightning has just loaded the average into the module."""
        current = _weights(pl_module)
        self._average = {name: checkpoint["state_dict"][name] for name in current}
        _copy(current.values(), [checkpoint[CURRENT][name].to(value) for name, value in current.items()])


def _weights(module: LightningModule) -> dict[str, Tensor]:
    """Return parameters and buffers of the model as the checkpoint names them; counters are no weights."""
    model = cast("EmbeddingTraining", module).model
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    saved = model.state_dict().keys()
    return {
        f"model.{name}": value for name, value in tensors.items() if name in saved and value.dtype.is_floating_point
    }


@torch.no_grad()
def _copy(into: Any, values: Any) -> None:  # noqa: ANN401 - iterables of tensors
    torch._foreach_copy_([*into], [*values])
