"""A run's checkpoint, opened as a torch model that embeds images."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, cast

import safetensors.torch
import torch
from torch.utils.data import DataLoader

from zoo.runs.checksum import verify, warn_unchecked
from zoo.validation.batch import collate, gathered
from zoo.validation.embedded_images import EmbeddedImages
from zoo.validation.look_alikes import look_alikes_of
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn
    from torch.utils.data import Dataset

    from zoo.assembly import EmbeddingModel, RecipeBuilder
    from zoo.validation.batch import ValidationBatch
    from zoo.validation.dataset import ValidationItems
    from zoo_core.components import Kind


def open_checkpoint(builder: RecipeBuilder, checkpoint: Path) -> EmbeddingModel:
    """Build the recipe's model with the weights of a training checkpoint, on the CPU and in evaluation mode.

    Raises:
        RunError: the checkpoint is missing, unreadable, or does not fit the model.
    """
    model = builder.model(initial_weights=False)
    load_weights(model, checkpoint, builder)
    model.eval()
    return model


def load_published(builder: RecipeBuilder, weights: Path) -> EmbeddingModel:
    """Build the recipe's model with the weights that an artifact holds, on the CPU and in evaluation mode.

    Raises:
        RunError: the file is missing, unreadable, or does not fit the model.
    """
    model = builder.model(initial_weights=False)
    try:
        found = safetensors.torch.load_file(weights)
        _require_fit(weights, model, found, builder)
        model.load_state_dict(found)
    except RunError:
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        message = f"{weights}: does not hold the weights of the recipe's model: {reason}"
        raise RunError(message, hint="do not use this model; tell its owner") from error
    model.eval()
    return model


def load_weights(model: nn.Module, checkpoint: Path, builder: RecipeBuilder | None = None) -> None:
    """Load the model's weights out of a training checkpoint, exactly; ``builder`` names the components in an error.

    Raises:
        RunError: the checkpoint is missing, unreadable, or does not fit the model.
    """
    prefix = "model."
    try:
        checked = verify(checkpoint, hint="restore the file from a copy, or train anew")
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        weights = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        _require_fit(checkpoint, model, weights, builder)
        model.load_state_dict(weights)
    except FileNotFoundError:
        msg = f"{checkpoint}: no such checkpoint"
        raise RunError(msg, hint="has the training got as far as its first validation?") from None
    except RunError:
        raise
    except Exception as error:
        # Torch's own words advise to load the file unsafely, or are none, or a lone key.
        if isinstance(error, pickle.UnpicklingError | EOFError | LookupError | TypeError | AttributeError):
            reason = "it is no checkpoint of tensors alone"
        else:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        msg = f"{checkpoint}: cannot be loaded: {reason}"
        raise RunError(msg, hint="it must come from this run's recipe") from error
    if not checked:
        warn_unchecked(checkpoint)


def _require_fit(file: Path, model: nn.Module, found: Mapping[str, Tensor], builder: RecipeBuilder | None) -> None:
    """Refuse weights that are not the model's own, by their names and those of the components.

    Raises:
        RunError: some are missing, unknown or of another shape.
    """
    wanted = model.state_dict()
    shapes = [
        f"{name} {list(found[name].shape)}, not {list(wanted[name].shape)}"
        for name in wanted
        if name in found and found[name].shape != wanted[name].shape
    ]
    kinds = {
        "missing": [name for name in wanted if name not in found],
        "unknown": [name for name in found if name not in wanted],
        "of another shape": shapes,
    }
    texts = [f"{len(names)} {kind} ({_few(names)})" for kind, names in kinds.items() if names]
    if not texts:
        return
    names = [name for names in kinds.values() for name in names]
    parts: tuple[Kind, ...] = ("backbone", "head")
    made = [part for part in parts if any(name.startswith(f"{part}.") for name in names)] if builder else []
    by = f" of {' and '.join(str(builder.part(part)) for part in made)}" if builder and made else ""
    hint = "it must come from this recipe, and from these versions of the plugins"
    raise RunError(f"{file}: its weights do not fit the model{by}: {', '.join(texts)}", hint=hint)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")  # noqa: PLR2004 - a few names


def to_pixels(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Convert ``uint8 [N, H, W, 3]`` to ``[N, 3, H, W]`` in 0..1, channels_last in memory without a copy."""
    return images.permute(0, 3, 1, 2).to(dtype) / 255


def best_device() -> torch.device:
    """Return the accelerator, else the CPU."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")


def embed(
    model: nn.Module,
    items: ValidationItems,
    *,
    batch_size: int,
    num_workers: int = 0,
    advance: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> EmbeddedImages:
    """Embed a whole validation set on the best device there is; ``advance`` may wrap the batches to show progress."""
    device = best_device()
    model = model.to(device).eval()
    loader: DataLoader[Any] = DataLoader(
        cast("Dataset[Any]", items), batch_size=batch_size, num_workers=num_workers, collate_fn=collate
    )
    columns: list[tuple[Tensor, ...]] = []
    with torch.inference_mode():
        for one in advance(loader):
            batch = cast("ValidationBatch", one)
            columns.append(gathered(batch, model(to_pixels(batch["images"].to(device))).float().cpu()))
    rows = [torch.cat(column).numpy() for column in zip(*columns, strict=True)]
    return EmbeddedImages.of(*rows, look_alikes=look_alikes_of(items.dataset))
