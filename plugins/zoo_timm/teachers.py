"""timm models as teachers: frozen, with the image size and the normalisation that their weights were trained with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from zoo_core.api import ComponentError, RemoteError
from zoo_timm.models import create_model, preprocessing_of, resolve
from zoo_timm.weights import weights_from_file, weights_from_hub

if TYPE_CHECKING:
    from timm.models import PretrainedCfg

    from zoo_timm.weights import WeightsFile

_HINT = "give pretrained: PATH for a file of its weights, or leave the distillation out: model.distillation=null"


class TimmTeacher(nn.Module):
    """The pooled features of a timm model, which are the input of its classifier or projection.

    Args:
        model: a timm model made with ``num_classes=0``.
        config: of its weights.
        provenance: where the weights come from, see ``HasProvenance``.

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
        """Return features ``[N, D]`` of ``float32 [N, 3, H, W]`` in 0..1, of the size ``image_size``."""
        return cast("Tensor", self.model((images - self.mean) / self.std))


def build(name: str, *, pretrained: bool | str = True, tag: str | None = None) -> TimmTeacher:
    """Build the timm model ``name`` as a teacher, in evaluation mode and without gradients.

    Args:
        name: an architecture, such as ``vit_base_patch32_clip_224``.
        pretrained: ``True`` for timm's weights, a path for weights in a file, ``False`` for random weights, which are
            of use in tests only.
        tag: which of timm's weights, such as ``openai``; default: timm's default.

    Raises:
        ComponentError: there is no such model or tag, or its weights are not available.
    """
    full_name, config = resolve(name, tag)
    weights = _find_weights(full_name, config, pretrained=pretrained)
    provenance = weights.provenance if weights else {"weights": "random", "reason": "pretrained is false"}
    model = create_model(full_name, weights, purpose="a teacher", num_classes=0)
    return TimmTeacher(model, config, provenance).eval().requires_grad_(requires_grad=False)


def _find_weights(name: str, config: PretrainedCfg, *, pretrained: bool | str) -> WeightsFile | None:
    if pretrained is False:
        return None
    if pretrained is not True:
        return weights_from_file(Path(pretrained).expanduser(), name, config)
    try:
        return weights_from_hub(config)
    except RemoteError as error:
        raise ComponentError(f"the teacher has no weights: {error.problems[0].message}", hint=_HINT) from error
