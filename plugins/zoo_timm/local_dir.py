"""A trained backbone as the files that timm reads: ``timm.create_model("local-dir:FOLDER", pretrained=True)``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import timm
import torch

from zoo_core.api import ComponentError
from zoo_timm.models import one_line

if TYPE_CHECKING:
    from timm.models import PretrainedCfg
    from torch import nn

    from zoo_core.api import Preprocessing

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def to_files(
    features: nn.Module, config: PretrainedCfg, preprocessing: Preprocessing, image_size: tuple[int, int]
) -> dict[str, bytes]:
    """Return ``config.json`` and ``model.safetensors``, from which timm was seen to build the same feature pyramid.

    timm's own transforms for it resize as zoo does: to ``image_size``, without regard to the aspect ratio.

    Args:
        features: a timm model made with ``features_only=True``.
        config: of the weights that it started from.
        preprocessing: the normalisation, which timm leaves to its transforms.
        image_size: height and width of the images that it was trained with.

    Raises:
        ComponentError: timm builds another model from them, or none.
    """
    architecture = str(config.architecture)
    arguments: dict[str, Any] = {"features_only": True}
    if config.fixed_input_size:
        arguments["img_size"] = list(image_size)
    document = {
        "architecture": architecture,
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": [3, *image_size],
            "fixed_input_size": config.fixed_input_size,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": list(preprocessing.mean),
            "std": list(preprocessing.std),
            # timm drops the classifier's weights by its name, and then does not miss them.
            "first_conv": config.first_conv,
            "classifier": config.classifier,
        },
    }
    files = {
        CONFIG: f"{json.dumps(document, indent=2)}\n".encode(),
        WEIGHTS: safetensors.torch.save(_original_names(features, architecture, arguments), metadata={"format": "pt"}),
    }
    _check(files, features, image_size, architecture)
    return files


def _original_names(features: nn.Module, architecture: str, arguments: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights by the names that they have in the whole model, of which the pyramid was made.

    timm flattens ``stages.0`` to ``stages_0``, or puts the whole model below ``model``.
    """
    whole = {key: value for key, value in arguments.items() if key != "features_only"}
    known = timm.create_model(architecture, **whole).state_dict()
    found = {}
    for key, value in features.state_dict().items():
        first, _, rest = key.partition(".")
        sequence, _, number = first.rpartition("_")
        candidates = (key, rest, f"{sequence}.{number}.{rest}")
        name = next((one for one in candidates if one in known and known[one].shape == value.shape), None)
        if name is None:
            raise ComponentError(f"timm's {architecture} has no weights {key!r}")
        found[name] = value.detach().cpu().contiguous().clone()
    return found


def _check(files: dict[str, bytes], features: nn.Module, image_size: tuple[int, int], architecture: str) -> None:
    """Build the model as a reader would, and compare its weights and its maps."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        try:
            read = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        except Exception as error:  # timm's models raise errors of many types
            message = f"timm does not read its {architecture} back: {one_line(error)}".replace(folder, "it")
            raise ComponentError(message) from error
    images = torch.rand(2, 3, *image_size, generator=torch.Generator().manual_seed(0))
    was_training = features.training
    try:
        with torch.no_grad():
            wanted, found = features.eval()(images), read(images)
    finally:
        features.train(was_training)
    weights, others = features.state_dict(), read.state_dict()
    same = weights.keys() == others.keys() and all(torch.equal(weights[key], others[key]) for key in weights)
    if not (same and all(torch.equal(one, other) for one, other in zip(wanted, found, strict=True))):
        raise ComponentError(f"timm reads its {architecture} back as another model")
