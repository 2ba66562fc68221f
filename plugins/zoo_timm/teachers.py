"""timm models as teachers: frozen, with the image size and the normalisation that their weights were trained with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import timm
import torch
from torch import Tensor, nn

from zoo_core.api import ComponentError, RemoteError
from zoo_timm.backbones import one_line, preprocessing_of, resolve
from zoo_timm.weights import from_file, from_hub

if TYPE_CHECKING:
    from timm.models import PretrainedCfg

    from zoo_timm.weights import Weights

_WITHOUT = "give pretrained: PATH for a file of its weights, or leave the distillation out: model.distillation=null"


class TimmTeacher(nn.Module):
    """The pooled features of a timm model, the input of its classifier or projection.

    Args:
        model: a timm model made with ``num_classes=0``.
        config: of its weights.
        provenance: where the weights come from.

    Attributes:
        image_size: height and width of the images that it was trained with.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, config: PretrainedCfg, provenance: dict[str, str]) -> None:
        super().__init__()
        self.model = model
        self.provenance = provenance
        _, height, width = config.input_size
        self.image_size: tuple[int, int] = (height, width)
        preprocessing = preprocessing_of(config)
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return features ``[N, D]`` of ``float32 [N, 3, H, W]`` in 0..1, of the size that ``image_size`` says."""
        return cast("Tensor", self.model((images - self.mean) / self.std))


def build(name: str, *, pretrained: bool | str = True, tag: str | None = None) -> TimmTeacher:
    """Build the timm model ``name`` as a teacher, in evaluation mode and without gradients.

    Args:
        name: an architecture, such as ``vit_base_patch32_clip_224``.
        pretrained: ``True`` for timm's weights, a path for those in a file, ``False`` for random ones (for tests:
            they know little).
        tag: which of timm's weights, such as ``openai``; default: timm's first choice.

    Raises:
        ComponentError: there is no such model or tag, or its weights cannot be had.
    """
    full_name, config = resolve(name, tag)
    weights = _weights(full_name, config, pretrained=pretrained)
    provenance = weights.provenance if weights else {"weights": "random", "reason": "pretrained is false"}
    overlay = {"file": str(weights.path), "custom_load": False} if weights else None
    try:
        model = timm.create_model(
            full_name, num_classes=0, pretrained=weights is not None, pretrained_cfg_overlay=overlay
        )
    except Exception as error:  # each of timm's models refuses in its own way
        raise ComponentError(f"timm's {full_name} cannot be built as a teacher: {one_line(error)}") from error
    return TimmTeacher(model, config, provenance).eval().requires_grad_(requires_grad=False)


def _weights(name: str, config: PretrainedCfg, *, pretrained: bool | str) -> Weights | None:
    if pretrained is False:
        return None
    if pretrained is not True:
        return from_file(Path(pretrained).expanduser(), name, config)
    try:
        return from_hub(config)
    except RemoteError as error:
        raise ComponentError(f"the teacher has no weights: {error.problems[0].message}", hint=_WITHOUT) from error
