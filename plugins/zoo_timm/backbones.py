"""timm models as feature pyramids, from pixels that are not normalised."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from zoo_core.api import ComponentError, FeatureLevel, Preprocessing, ZooError
from zoo_timm.local_dir import to_files
from zoo_timm.models import create_model, one_line, preprocessing_of, resolve
from zoo_timm.weights import PretrainedWeightsWarning, WeightsFile, weights_from_file, weights_from_hub

if TYPE_CHECKING:
    from timm.models import PretrainedCfg


class TimmBackbone(nn.Module):
    """The feature maps of a timm model, from RGB pixels in 0..1.

    Pixels are normalised by the mean and standard deviation that the weights were trained with. Both are persistent
    buffers, so that the normalisation of a checkpoint does not depend on the version of timm that loads it.

    Args:
        features: a timm model made with ``features_only=True``.
        preprocessing: the normalisation.
        provenance: where the weights come from, see ``HasProvenance``.
        config: of the weights that it starts from.

    Attributes:
        feature_levels: channels and stride of each map, finest first.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, features: nn.Module, preprocessing: Preprocessing, provenance: dict[str, str], config: PretrainedCfg
    ) -> None:
        super().__init__()
        self.features = features
        self._config = config
        self.preprocessing = preprocessing
        self.provenance = provenance
        info: Any = features.feature_info
        self.feature_levels = tuple(map(FeatureLevel, info.channels(), info.reduction()))
        self._channels_last = str(getattr(features, "output_fmt", "")).endswith("NHWC")
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps ``[N, channels, ceil(H / stride), ceil(W / stride)]`` of ``float32 [N, 3, H, W]``."""
        maps: list[Tensor] = self.features((images - self.mean) / self.std)
        return [level.permute(0, 3, 1, 2) for level in maps] if self._channels_last else maps

    def library_files(self, image_size: tuple[int, int]) -> dict[str, bytes]:
        """Return what ``timm.create_model("local-dir:FOLDER", pretrained=True)`` reads; see ``HasLibraryFiles``.

        Raises:
            ComponentError: timm builds another model from it, or none.
        """
        return to_files(self.features, self._config, self.preprocessing, image_size)


def build(
    name: str,
    *,
    image_size: tuple[int, int] | None = None,
    pretrained: bool | str = "auto",
    tag: str | None = None,
    drop_path_rate: Annotated[float | None, Field(ge=0, lt=1)] = None,
) -> TimmBackbone:
    """Build the timm model ``name`` as a feature pyramid.

    Args:
        name: an architecture, such as ``lcnet_050``.
        image_size: height and width of the images. Sets the size of models that are built for a fixed size, such as
            vision transformers, and checks the shapes of the maps now instead of in training.
        pretrained: ``True`` for timm's weights or an error, ``False`` for random weights, a path for weights in a file,
            ``"auto"`` for timm's weights if the Hub or its cache has them, else random weights and a warning.
        tag: which of timm's weights, such as ``a1_in1k`` of ``resnet18.a1_in1k``; default: timm's default.
        drop_path_rate: stochastic depth, in models that support it.

    Raises:
        ComponentError: there is no such model, tag or file of weights; the model is no feature pyramid, or not at
            this size.
        RemoteError: ``pretrained`` is true, and the weights can neither be found nor downloaded.

    Warns:
        PretrainedWeightsWarning: ``pretrained`` is ``"auto"``, and the weights are not available.
    """
    full_name, config = resolve(name, tag)
    weights, provenance = _find_weights(full_name, config, pretrained=pretrained)
    features = create_model(
        full_name,
        weights,
        purpose="a feature pyramid",
        features_only=True,
        drop_path_rate=drop_path_rate,
        img_size=image_size if config.fixed_input_size else None,
    )
    backbone = TimmBackbone(features, preprocessing_of(config), provenance, config)
    if image_size is not None:
        _check_maps(backbone, full_name, image_size)
    return backbone


def _find_weights(
    name: str, config: PretrainedCfg, *, pretrained: bool | str
) -> tuple[WeightsFile | None, dict[str, str]]:
    """Return the file of the weights, ``None`` for random weights, and their provenance."""
    if pretrained is False:
        return None, {"weights": "random", "reason": "pretrained is false"}
    if isinstance(pretrained, str) and pretrained != "auto":
        weights = weights_from_file(Path(pretrained).expanduser(), name, config)
        return weights, weights.provenance
    try:
        weights = weights_from_hub(config)
    except ZooError as error:
        if pretrained is True:
            raise
        reason = error.problems[0].message
        warnings.warn(
            f"{name} starts from RANDOM weights and will need far more training: {error}",
            PretrainedWeightsWarning,
            stacklevel=3,
        )
        return None, {"weights": "random", "reason": reason}
    return weights, weights.provenance


def _check_maps(backbone: TimmBackbone, name: str, image_size: tuple[int, int]) -> None:
    """Refuse a model whose maps do not have the shapes that ``feature_levels`` says.

    Raises:
        ComponentError: it does not take this size, or a map has another shape.
    """
    height, width = image_size
    backbone.eval()
    try:
        with torch.no_grad():
            maps = backbone(torch.zeros(1, 3, height, width))
    except Exception as error:  # timm's models raise errors of many types
        raise ComponentError(f"timm's {name} does not take images of {height}x{width}: {one_line(error)}") from error
    finally:
        backbone.train()
    for level, found in zip(backbone.feature_levels, maps, strict=True):
        expected = (level.channels, -(-height // level.stride), -(-width // level.stride))
        if tuple(found.shape[1:]) != expected:
            raise ComponentError(
                f"timm's {name} is no regular feature pyramid at {height}x{width}: its map of stride {level.stride} "
                f"has the shape {_shape(found.shape[1:])}, not {_shape(expected)}"
            )


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
