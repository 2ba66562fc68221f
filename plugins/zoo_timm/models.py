"""What backbones and teachers share: look up a timm model, create it, and read its preprocessing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import timm
from timm.models import PretrainedCfg, get_arch_pretrained_cfgs, get_pretrained_cfg

from zoo_core.api import ComponentError, Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from zoo_timm.weights import WeightsFile


def resolve(name: str, tag: str | None) -> tuple[str, PretrainedCfg]:
    """Return timm's full name of a model and the configuration of its weights.

    Raises:
        ComponentError: timm has no such model or tag.
    """
    if not timm.is_model(name):
        raise ComponentError(f"timm {timm.__version__} has no model {name!r}", hint="see 'zoo list backbone'")
    if tag is None:
        # An architecture without weights has no configuration; timm's default normalisation is used for it.
        return name, get_pretrained_cfg(name) or PretrainedCfg(architecture=name)
    full_name = f"{name}.{tag}"
    known = get_arch_pretrained_cfgs(name)
    if full_name not in known:
        tags = ", ".join(key.partition(".")[2] for key in known if "." in key)
        raise ComponentError(f"timm's {name} has no weights {tag!r}", hint=f"it has {tags}" if tags else None)
    return full_name, known[full_name]


def create_model(full_name: str, weights: WeightsFile | None, *, purpose: str, **options: Any) -> nn.Module:  # noqa: ANN401 - timm's
    """Create a timm model, with random weights if ``weights`` is ``None``.

    Args:
        full_name: timm's name of the model.
        weights: the file of its weights.
        purpose: what the model is to be, for the error message.
        options: further arguments of ``timm.create_model``.

    Raises:
        ComponentError: timm cannot create it.
    """
    overlay = {"file": str(weights.path), "custom_load": False} if weights else None
    try:
        model: nn.Module = timm.create_model(
            full_name, pretrained=weights is not None, pretrained_cfg_overlay=overlay, **options
        )
    except Exception as error:  # timm's models raise errors of many types
        raise ComponentError(f"timm's {full_name} cannot be built as {purpose}: {one_line(error)}") from error
    return model


def preprocessing_of(config: PretrainedCfg) -> Preprocessing:
    """Return the normalisation that the weights were trained with."""
    red, green, blue = zip(config.mean, config.std, strict=True)
    return Preprocessing(mean=(red[0], green[0], blue[0]), std=(red[1], green[1], blue[1]))


def one_line(error: Exception) -> str:
    """Return the type and message of ``error`` in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
