"""The exported graph in onnxruntime on the device: its agreement with torch, and images per second by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import torch

from gpu_stages.recipes import UNVALIDATED, overrides_for, planned
from gpu_stages.session import Skipped
from zoo.onnx_export.run import image_input
from zoo.onnx_export.torch_export import to_onnx
from zoo_core.building import build
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from gpu_stages.session import Session
    from zoo.training.plan import TrainingPlan

BATCHES = (1, 32, 256)
# The provider rounds the factors of convolutions as torch does by default on a GPU.
COSINE = 0.999


def run(session: Session) -> None:
    """Export an untrained model, compare and measure."""
    wanted = "CUDAExecutionProvider" if session.on_gpu else "CPUExecutionProvider"
    available = onnxruntime.get_available_providers()
    session.report.add("providers", available)
    if wanted not in available:
        raise Skipped(f"this onnxruntime has no {wanted}; onnxruntime-gpu has")
    plan = planned([*overrides_for(session, batch=256), *UNVALIDATED])
    module, graph = _exported(plan)
    if session.on_gpu and hasattr(onnxruntime, "preload_dlls"):
        # torch's CUDA libraries are those that the provider needs.
        onnxruntime.preload_dlls()
    running = onnxruntime.InferenceSession(graph, providers=[wanted])
    if wanted not in running.get_providers():
        raise Skipped(f"{wanted} cannot start; onnxruntime has fallen back to {running.get_providers()}")
    name = running.get_inputs()[0].name
    pixels = np.random.default_rng(0).random((max(BATCHES), 3, 96, 96), np.float32)
    cosine = _least_cosine(module, running.run(None, {name: pixels[:32]})[0], torch.from_numpy(pixels[:32]))
    session.report.add("least_cosine", cosine)
    session.report.add("tolerance", COSINE)
    rates = {}
    for batch in session.size(BATCHES, (1, 4)):
        milliseconds = session.measured(lambda: running.run(None, {name: pixels[:batch]}), repeat=20)  # noqa: B023 - called at once
        rates[str(batch)] = round(1e3 * batch / milliseconds, 1)
        session.report.add("images_per_second", rates)
    if not cosine >= COSINE:
        raise RunError(f"{wanted} gives other embeddings than torch: the least cosine is {cosine}")


def _exported(plan: TrainingPlan) -> tuple[torch.nn.Module, bytes]:
    section = plan.recipe.onnx
    wired = {"model": plan.model, "image_size": plan.recipe.data.image_size}
    module: Any = build(plan.registry, "export_wrapper", section.name, {}, wired=wired).eval()
    axes = {name: {int(place): axis for place, axis in places.items()} for name, places in section.dynamic_axes.items()}
    names = section.output_names
    graph = to_onnx(module, image_input(plan.loaded), output_names=names, axes=axes, options=section.options)
    return module, graph.SerializeToString()


@torch.inference_mode()
def _least_cosine(module: torch.nn.Module, found: Any, pixels: torch.Tensor) -> float:  # noqa: ANN401 - an array
    return float(torch.cosine_similarity(module(pixels), torch.from_numpy(found)).min())
