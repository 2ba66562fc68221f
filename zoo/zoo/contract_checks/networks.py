"""What backbones, heads, losses and teachers promise: shapes, finite values, gradients, images that stay apart."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, cast

import torch

from zoo_core.capabilities import FollowsProgress, HasParts, OwnsClassTable
from zoo_core.contracts import FeatureLevel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from zoo.contract_checks.subject import Subject
    from zoo_core.contracts import Backbone

# Of the length of an embedding: what kernels for other batch sizes differ by, and what is another embedding.
_TOLERANCE = 1e-3


def check_backbone(subject: Subject, backbone: nn.Module, images: Tensor) -> list[Tensor]:
    """Run a backbone, in the mode it is in, on ``float32 [N, 3, H, W]`` in 0..1; return its feature levels.

    Raises:
        ComponentError: the levels are not those that it declares, or not finite.
    """
    declared = cast("Backbone", backbone).feature_levels
    if not declared or not all(isinstance(level, FeatureLevel) for level in declared):
        raise subject.fault("feature_levels holds no FeatureLevel", "declare channels and stride of each output")
    with subject.doing("its forward"):
        features = backbone(images)
    if not isinstance(features, list | tuple) or not all(isinstance(level, torch.Tensor) for level in features):
        raise subject.fault(
            f"its forward returned a {type(features).__name__}", "return a list of tensors, one a level"
        )
    if len(features) != len(declared):
        raise subject.fault(f"feature_levels declares {len(declared)} levels, but forward returned {len(features)}")
    height, width = images.shape[2:]
    for number, (level, found) in enumerate(zip(declared, features, strict=True)):
        sides = [ceil(height / level.stride), ceil(width / level.stride)]
        wanted = [len(images), level.channels, *sides]
        if list(found.shape) != wanted:
            promise = f"feature level {number} declares {level.channels} channels at stride {level.stride}"
            message = f"{promise}, so {wanted} for {list(images.shape)}, but forward returned {list(found.shape)}"
            raise subject.fault(message, "declare what forward returns")
        _check_finite(subject, f"feature level {number}", found)
    return list(features)


def check_head(subject: Subject, head: nn.Module, features: list[Tensor]) -> Tensor:
    """Run a head, in the mode it is in, on what a backbone returned; return its embeddings ``float32 [N, D]``.

    Raises:
        ComponentError: it does not fit the features, or the embeddings are not those that it declares, or not finite.
    """
    dimension = head.embedding_dim
    if isinstance(dimension, bool) or not isinstance(dimension, int) or dimension < 1:
        raise subject.fault(f"embedding_dim is {dimension!r}", "give the length of an embedding, an int")
    shapes = " and ".join(str(list(level.shape)) for level in features)
    with subject.doing(f"its forward on features {shapes}"):
        embeddings = head(features)
    if not isinstance(embeddings, torch.Tensor):
        raise subject.fault(f"its forward returned a {type(embeddings).__name__}", "return one tensor [N, D]")
    wanted = [len(features[0]), dimension]
    if list(embeddings.shape) != wanted:
        message = f"embedding_dim declares {dimension}, so {wanted}, but forward returned {list(embeddings.shape)}"
        raise subject.fault(message, "declare the length that forward returns")
    _check_finite(subject, "its embeddings", embeddings)
    return embeddings


def check_apart(subject: Subject, what: str, together: Sequence[Tensor], alone: Sequence[Tensor]) -> None:
    """Compare what images give in evaluation mode in one batch, ``[N, ...]`` each, with the first alone, ``[1, ...]``.

    Raises:
        ComponentError: the first image's values depend on the others.
    """
    for batch, single in zip(together, alone, strict=True):
        scale = float(single.norm())
        difference = float((batch[:1] - single).norm())
        if difference > _TOLERANCE * max(scale, 1e-12):
            message = (
                f"in evaluation mode {what} of an image change by {difference / max(scale, 1e-12):.2g} with others"
            )
            raise subject.fault(
                f"{message} in its batch", "each image must be treated alone: no statistics of the batch"
            )


def check_loss(subject: Subject, loss: nn.Module, embeddings: Tensor, labels: Tensor) -> Tensor:
    """Run a loss in training mode on ``[N, D]`` and ``int64 [N]``; return its scalar.

    Raises:
        ComponentError: it is no finite scalar, has no gradient, or its parts do not add up to it.
    """
    if isinstance(loss, FollowsProgress):
        with subject.doing("set_progress(0.0)"):
            loss.set_progress(0.0)
    with subject.doing("its forward"):
        value = loss(embeddings, labels)
    if not isinstance(value, torch.Tensor):
        raise subject.fault(f"its forward returned a {type(value).__name__}", "return a scalar tensor")
    if value.ndim:
        raise subject.fault(f"its forward returned {list(value.shape)}, no scalar", "reduce it over the batch: mean()")
    _check_finite(subject, "the loss of the first batch", value)
    if not value.requires_grad:
        raise subject.fault("its value has no gradient", "compute it from the embeddings, without detach or no_grad")
    if isinstance(loss, HasParts):
        with subject.doing("its parts"):
            parts = {name: float(part.detach()) for name, part in loss.parts.items()}
        total, loss_value = sum(parts.values()), float(value.detach())
        if abs(total - loss_value) > _TOLERANCE * max(1.0, abs(loss_value)):
            raise subject.fault(f"its parts {parts} add up to {total:.4g}, but the loss is {loss_value:.4g}")
    return value


@dataclass(frozen=True)
class Step:
    """One module of a forward pass, and what it was given: ``inputs`` are the outputs of the one before."""

    subject: Subject
    module: nn.Module
    inputs: Sequence[Tensor]


def check_gradients(value: Tensor, steps: Sequence[Step]) -> list[str]:
    """Go backward once from ``value``, the loss, through ``steps``, the loss first and the backbone last.

    Returns:
        A line for each module with parameters that no gradient reaches.

    Raises:
        ComponentError: the backward pass fails, or a gradient is not finite; the first module to make it so is named.
    """
    loss = steps[0]
    for tensor in (one for step in steps for one in step.inputs if one.requires_grad):
        tensor.retain_grad()
    with loss.subject.doing("the backward pass from it"):
        value.backward()  # type: ignore[no-untyped-call] # torch's own
    if isinstance(loss.module, OwnsClassTable):
        with loss.subject.doing("drop_gradients"):
            loss.module.drop_gradients()
    lines = []
    for step in steps:
        wanted = [(name, one) for name, one in step.module.named_parameters() if one.requires_grad]
        for what, tensor in [("its input", one) for one in step.inputs] + wanted:
            if tensor.grad is not None and not tensor.grad.isfinite().all():
                raise step.subject.fault(f"the gradient of {what} is not finite in the first batch", _NON_FINITE)
        unreached = [name for name, parameter in wanted if parameter.grad is None]
        if unreached:
            names = ", ".join(unreached[:3]) + (" ..." if len(unreached) > 3 else "")  # noqa: PLR2004 - a few names
            count = f"{len(unreached)} of {len(wanted)} parameters"
            lines.append(f"{step.subject.component}: no gradient reaches {count}: {names}")
    return lines


def check_teacher(subject: Subject, teacher: nn.Module, images: Tensor) -> None:
    """Run a teacher on ``float32 [N, 3, H, W]`` at its ``image_size``.

    Raises:
        ComponentError: it does not return finite ``[N, D]``.
    """
    with subject.doing("its forward"), torch.inference_mode():
        features = teacher.eval()(images)
    if not isinstance(features, torch.Tensor) or features.ndim != 2 or len(features) != len(images):  # noqa: PLR2004 - [N, D]
        found = list(features.shape) if isinstance(features, torch.Tensor) else type(features).__name__
        raise subject.fault(f"its forward returned {found} for {len(images)} images", "return one tensor [N, D]")
    _check_finite(subject, "its features", features)


_NON_FINITE = "the component's own arithmetic is the cause, not the learning rate: nothing was learned yet"


def _check_finite(subject: Subject, what: str, values: Tensor) -> None:
    if not values.isfinite().all():
        count = int((~values.isfinite()).sum())
        message = f"{what} holds {count} of {values.numel()} values that are not finite before the first step"
        raise subject.fault(message, _NON_FINITE)
