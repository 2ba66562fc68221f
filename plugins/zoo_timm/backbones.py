"""timm models as feature pyramids that take plain pixels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import timm
import torch
from pydantic import Field
from timm.models import PretrainedCfg, get_arch_pretrained_cfgs, get_pretrained_cfg
from torch import Tensor, nn

from zoo_core.api import ComponentError, FeatureLevel, Preprocessing, ZooError
from zoo_timm.weights import PretrainedWeightsWarning, Weights, from_file, from_hub


class TimmBackbone(nn.Module):
    """A timm model's feature maps, from RGB pixels in 0..1.

    Pixels are normalised by the mean and standard deviation that the model's weights were trained with. Both are
    persistent buffers: a checkpoint carries its own normalisation, whatever a later timm says of the model.

    Args:
        features: a model made with ``features_only=True``.
        preprocessing: the normalisation.
        provenance: where the weights come from.

    Attributes:
        feature_levels: channels and stride of each map, finest first.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: nn.Module, preprocessing: Preprocessing, provenance: dict[str, str]) -> None:
        super().__init__()
        self.features = features
        self.preprocessing = preprocessing
        self.provenance = provenance
        info: Any = features.feature_info
        self.feature_levels = tuple(map(FeatureLevel, info.channels(), info.reduction()))
        self._channels_last = str(getattr(features, "output_fmt", "")).endswith("NHWC")
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return a map ``[N, channels, ceil(H / stride), ceil(W / stride)]`` a level, of ``float32 [N, 3, H, W]``."""
        maps: list[Tensor] = self.features((images - self.mean) / self.std)
        return [level.permute(0, 3, 1, 2) for level in maps] if self._channels_last else maps


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
        image_size: height and width of the images. Sets the size of models that are built for one, such as vision
            transformers, and has the shapes of the maps checked here and not in training.
        pretrained: ``True`` for timm's weights or an error, ``False`` for random ones, a path for those in a file,
            ``"auto"`` for timm's weights where the Hub or its cache has them, else random ones and a warning.
        tag: which of timm's weights, such as ``a1_in1k`` of ``resnet18.a1_in1k``; default: timm's first choice.
        drop_path_rate: stochastic depth, in models that know it.

    Raises:
        ComponentError: there is no such model, tag or file of weights; the model is no feature pyramid, or not at
            this size.
        RemoteError: ``pretrained`` is true, and the weights can neither be found nor downloaded.

    Warns:
        PretrainedWeightsWarning: ``pretrained`` is ``"auto"``, and the weights cannot be had.
    """
    full_name, config = resolve(name, tag)
    weights, provenance = _weights(full_name, config, pretrained=pretrained)
    options: dict[str, Any] = {
        "drop_path_rate": drop_path_rate,
        "img_size": image_size if config.fixed_input_size else None,
    }
    overlay = {"file": str(weights.path), "custom_load": False} if weights else None
    try:
        features = timm.create_model(
            full_name, features_only=True, pretrained=weights is not None, pretrained_cfg_overlay=overlay, **options
        )
    except Exception as error:  # each of timm's models refuses in its own way
        raise ComponentError(f"timm's {full_name} cannot be built as a feature pyramid: {one_line(error)}") from error
    backbone = TimmBackbone(features, preprocessing_of(config), provenance)
    if image_size is not None:
        _check_maps(backbone, full_name, image_size)
    return backbone


def resolve(name: str, tag: str | None) -> tuple[str, PretrainedCfg]:
    """Return timm's full name of a model and the configuration of its weights.

    Raises:
        ComponentError: there is no such model or tag.
    """
    if not timm.is_model(name):
        raise ComponentError(f"timm {timm.__version__} has no model {name!r}", hint="see 'zoo list backbone'")
    if tag is None:
        # An architecture without weights has no configuration; it is then normalised as most of timm's models are.
        return name, get_pretrained_cfg(name) or PretrainedCfg(architecture=name)
    full_name = f"{name}.{tag}"
    known = get_arch_pretrained_cfgs(name)
    if full_name not in known:
        tags = ", ".join(key.partition(".")[2] for key in known if "." in key)
        raise ComponentError(f"timm's {name} has no weights {tag!r}", hint=f"it has {tags}" if tags else None)
    return full_name, known[full_name]


def preprocessing_of(config: PretrainedCfg) -> Preprocessing:
    """Return the normalisation that the weights were trained with."""
    red, green, blue = zip(config.mean, config.std, strict=True)
    return Preprocessing(mean=(red[0], green[0], blue[0]), std=(red[1], green[1], blue[1]))


def _weights(name: str, config: PretrainedCfg, *, pretrained: bool | str) -> tuple[Weights | None, dict[str, str]]:
    if pretrained is False:
        return None, {"weights": "random", "reason": "pretrained is false"}
    if isinstance(pretrained, str) and pretrained != "auto":
        weights = from_file(Path(pretrained).expanduser(), name, config)
        return weights, weights.provenance
    try:
        weights = from_hub(config)
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
    height, width = image_size
    backbone.eval()
    try:
        with torch.no_grad():
            maps = backbone(torch.zeros(1, 3, height, width))
    except Exception as error:  # as in build
        raise ComponentError(f"timm's {name} does not take images of {height}x{width}: {one_line(error)}") from error
    finally:
        backbone.train()
    for level, found in zip(backbone.feature_levels, maps, strict=True):
        promised = (level.channels, -(-height // level.stride), -(-width // level.stride))
        if tuple(found.shape[1:]) != promised:
            raise ComponentError(
                f"timm's {name} is no regular feature pyramid at {height}x{width}: a map of {_shape(found.shape[1:])} "
                f"stands where its stride of {level.stride} promises {_shape(promised)}"
            )


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def one_line(error: Exception) -> str:
    """Return what ``error`` says, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
