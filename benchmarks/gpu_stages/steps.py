"""A training step without a trainer: forward, backward and optimizer over a random batch that is on the device."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from zoo.models.torch_model import to_pixels
from zoo.training.optimizers import Optimization
from zoo_core.capabilities import OwnsClassTable

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor

    from gpu_stages.session import Session
    from zoo.training.plan import TrainingPlan

# Lightning's names to what autocast takes.
AUTOCAST = {"fp32": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class ModelStep:
    """Steps of a plan's model, loss and optimizer, over one batch.

    Args:
        session: the stage.
        plan: what is trained; the model moves to the device.
        precision: a name in ``AUTOCAST``; of ``16-mixed`` the gradients are scaled.
        backend: of ``torch.compile`` for the model; ``None``: it is not compiled.
    """

    def __init__(
        self, session: Session, plan: TrainingPlan, *, precision: str = "fp32", backend: str | None = None
    ) -> None:
        device, size = session.device, plan.data.batch_size
        self.device = device
        self.loss = plan.loss.to(device).train()
        self.model: Any = plan.model.to(device, memory_format=torch.channels_last).train()
        self.optimizer = Optimization(plan.loaded, plan.registry, plan.images_per_step).optimizer(self.model, self.loss)
        self.parameters = [each for group in self.optimizer.param_groups for each in group["params"]]
        if backend:
            self.model = torch.compile(self.model, backend=backend)
        self.autocast = AUTOCAST[precision]
        self.scaler = torch.amp.GradScaler(device.type) if precision == "16-mixed" else None
        height, width = plan.recipe.data.image_size
        self.images = torch.randint(256, (size, height, width, 3), dtype=torch.uint8, device=device)
        # Two captures of a class side by side, as the recipe's loss contrasts them.
        self.labels = torch.randint(len(plan.data.classes), (size // 2,), device=device).repeat_interleave(2)
        self.clip = plan.recipe.trainer.get("gradient_clip_val")
        self.value: Tensor | None = None

    def __call__(self) -> None:
        """Make one step."""
        self.backward(self.forward())
        self.update()

    def forward(self) -> Tensor:
        """Return the loss."""
        with self._autocast():
            pixels = to_pixels(self.images).contiguous(memory_format=torch.channels_last)
            loss: Tensor = self.loss(self.model(pixels), self.labels)
        self.value = loss.detach()
        return loss

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients."""
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def update(self) -> None:
        """Move the class table where no optimizer does, then the model."""
        self.move_table()
        self.move_model()

    def move_table(self) -> None:
        """Let a loss that owns its class table move it."""
        if isinstance(self.loss, OwnsClassTable):
            scale = self.scaler.get_scale() if self.scaler is not None else 1.0
            self.loss.apply_gradients(self.optimizer.param_groups[0]["lr"], scale)

    def move_model(self) -> None:
        """Clip the gradients and make the optimizer's step."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if self.clip:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def flops(self) -> int:
        """Count the floating point operations of forward and backward pass."""
        with FlopCounterMode(display=False) as counter:
            self.backward(self.forward())
        self.optimizer.zero_grad(set_to_none=True)
        return int(counter.get_total_flops())

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, self.autocast) if self.autocast else nullcontext()


def measure(session: Session, step: ModelStep, *, flops: int | None = None) -> dict[str, Any]:
    """Measure steps: their time, rate, memory, and how much the device computed in that time."""
    session.free()
    milliseconds = session.measured(step, repeat=20, rounds=5, warm_up=10)
    images = len(step.labels)
    computed = flops / (milliseconds / 1e3) / 1e12 if flops else None
    return {
        "images_per_second": round(1e3 * images / milliseconds, 1),
        "step_ms": round(milliseconds, 3),
        "batch": images,
        "peak_mb": session.peak_mb(),
        "tflop_per_second": round(computed, 3) if computed else None,
        "loss": float(step.value) if step.value is not None else None,
    }
