"""Which fault explains a difference: each is applied to the model that was evaluated, and one that fits is named."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo_core.images import resize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from zoo.onnx_export.evaluated import EvaluatedModel

    Array = npt.NDArray[Any]
    Change = Callable[[Tensor], Tensor]

_IMAGES = 8
# A fault explains a difference when applying it leaves no more than this share of the difference.
_EXPLAINED = 0.05
_CONSTANTS = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CLIP's": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "0.5 and 0.5": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "0 and 1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


def explain(reference: EvaluatedModel, images: npt.NDArray[np.uint8], found: Array) -> str | None:
    """Say what a graph or a wrapper does that the model does not, or None where nothing known explains it.

    Args:
        reference: the model that was evaluated.
        images: ``uint8 [N, *size, 3]`` that the graph was given.
        found: ``float [N, D]`` of unit length, what it made of them.
    """
    wanted = reference.embed(images)
    if found.shape != wanted.shape:
        return f"gives embeddings of {found.shape[-1]} numbers, not {wanted.shape[-1]}"
    if not np.isfinite(found).all():
        return "gives embeddings that are not finite"
    if by_rows := _rows(found, wanted) or _dimensions(found, wanted):
        return by_rows
    off = np.abs(found - wanted).max(axis=1)
    differing = np.flatnonzero(off > _EXPLAINED * off.max())
    chosen = differing[:: max(1, len(differing) // _IMAGES)][:_IMAGES]
    return _Faults(reference, images[chosen], found[chosen]).explanation()


def explain_resize(reference: EvaluatedModel, image: npt.NDArray[np.uint8], found: Array) -> str | None:
    """Say how a graph of any size resizes ``image uint8 [H, W, 3]``, or None where nothing known explains it."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    size, target = reference.size, torch.from_numpy(found)[None]
    wanted = torch.from_numpy(reference.embed(resize(image, size)[None]))
    side = min(pixels.shape[2:])
    top, left = ((length - side) // 2 for length in pixels.shape[2:])
    square = pixels[:, :, top : top + side, left : left + side]
    functional = nn.functional.interpolate
    resized = {
        "without antialiasing": functional(pixels, size, mode="bilinear"),
        "with align_corners": functional(pixels, size, mode="bilinear", align_corners=True),
        "by the nearest pixel": functional(pixels, size, mode="nearest"),
        "by areas": functional(pixels, size, mode="area"),
        "bicubically": functional(pixels, size, mode="bicubic", antialias=True).clamp(0, 1),
        "without rounding to bytes": functional(pixels, size, mode="bilinear", antialias=True),
        "after cutting out the central square": functional(square, size, mode="bilinear", antialias=True),
    }
    with torch.inference_mode():
        errors = {how: float((reference.embed_pixels(pixels) - target).norm()) for how, pixels in resized.items()}
    best = min(errors, key=lambda how: errors[how])
    # Less exact than the others: a resize in another library rounds differently.
    if errors[best] <= 4 * _EXPLAINED * float((wanted - target).norm()):
        return f"resizes {best}, and not as Pillow does (bilinear, antialiased)"
    return None


def _rows(found: Array, wanted: Array) -> str | None:
    """Recognise embeddings that stand in another image's row."""
    if len(found) == 1:
        return None
    nearest = (found @ wanted.T).argmax(axis=1)
    if np.abs(found - wanted[nearest]).max() > _EXPLAINED * np.abs(found - wanted).max():
        return None
    if len(set(nearest)) == 1:
        return f"gives every image of a batch the embedding of image {nearest[0]}"
    return "gives images of a batch the embeddings of others"


def _dimensions(found: Array, wanted: Array) -> str | None:
    """Recognise embeddings whose numbers stand elsewhere or have another sign."""
    close = _EXPLAINED * np.abs(found - wanted).max()
    for shift in range(1, found.shape[1]):
        if np.abs(found - np.roll(wanted, shift, axis=1)).max() <= close:
            return f"rolls the numbers of an embedding by {shift}"
    if np.abs(np.abs(found) - np.abs(wanted)).max() <= close / 5:
        flipped = int((np.abs(found + wanted) <= close / 5).all(axis=0).sum())
        return f"flips the sign of {flipped} of an embedding's {found.shape[1]} numbers" if flipped else None
    if np.abs(np.sort(found) - np.sort(wanted)).max() <= close / 5:
        return "orders the numbers of an embedding differently"
    return None


@dataclass(frozen=True)
class _Faults:
    """Faults of the pixels, each as a change of ``float32 [N, 3, H, W]`` in 0..1 before the model."""

    reference: EvaluatedModel
    images: npt.NDArray[np.uint8]
    found: Array

    def explanation(self) -> str | None:
        pixels = torch.from_numpy(self.images).permute(0, 3, 1, 2).float() / 255
        target = torch.from_numpy(np.ascontiguousarray(self.found)).float()
        close = _EXPLAINED * self._error(pixels, target)
        with torch.inference_mode():
            errors = {words: self._error(change(pixels), target) for words, change in self._known(pixels)}
        best = min(errors, key=lambda words: errors[words])
        if errors[best] <= close:
            return best
        for fit in (_Scale(), _Offset(), _Gamma(), _Gamma(0.5), _Gamma(2.0), _Channels()):
            if self._fit(fit, pixels, target) <= close:
                return fit.words()
        return None

    def _error(self, pixels: Tensor, target: Tensor) -> float:
        with torch.inference_mode():
            error = float((self.reference.embed_pixels(pixels) - target).norm(dim=1).mean())
        return error if np.isfinite(error) else float("inf")

    def _fit(self, fit: _Fit, pixels: Tensor, target: Tensor) -> float:
        optimizer = torch.optim.LBFGS(
            fit.parameters(), max_iter=100, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
        )
        scale = self._error(pixels, target) ** 2 or 1.0

        def loss() -> Tensor:
            optimizer.zero_grad()
            value = (self.reference.embed_pixels(fit(pixels)) - target).square().sum() / scale
            value.backward()  # type: ignore[no-untyped-call]
            return value

        with torch.enable_grad():
            optimizer.step(loss)  # type: ignore[no-untyped-call]
        with torch.inference_mode():
            return self._error(fit(pixels), target)

    def _known(self, pixels: Tensor) -> Iterator[tuple[str, Change]]:
        for order in permutations(range(3)):
            if order != (0, 1, 2):
                yield f"takes the colours as {''.join('RGB'[one] for one in order)}", partial(_reordered, order=order)
        yield "takes colours as grey", lambda x: x.mean(dim=1, keepdim=True).expand_as(x)
        yield "mirrors images left to right", lambda x: x.flip(3)
        yield "turns images upside down", lambda x: x.flip(2)
        yield "turns images by 180 degrees", lambda x: x.flip(2, 3)
        if pixels.shape[2] == pixels.shape[3]:
            yield "swaps height and width", lambda x: x.transpose(2, 3)
            yield "turns images by 90 degrees", lambda x: x.rot90(1, (2, 3))
            yield "turns images by 270 degrees", lambda x: x.rot90(-1, (2, 3))
        yield "takes negatives", lambda x: 1 - x
        yield "takes pixels in 0..255 where they are in 0..1", lambda x: x * 255
        yield "takes pixels in 0..1 where they are in 0..255", lambda x: x / 255
        yield "takes pixels in -1..1 where they are in 0..1", lambda x: 2 * x - 1
        yield "rounds pixels to bfloat16", lambda x: x.bfloat16().float()
        yield "rounds pixels to float16", lambda x: x.half().float()
        yield from self._normalizations()

    def _normalizations(self) -> Iterator[tuple[str, Change]]:
        own = self.reference.preprocessing
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (own.mean, own.std))
        yield "normalises pixels twice", lambda x: (x - mean) / std
        for name, constants in _CONSTANTS.items():
            other_mean, other_std = (torch.tensor(values).view(1, 3, 1, 1) for values in constants)
            if torch.allclose(other_mean, mean) and torch.allclose(other_std, std):
                continue
            yield (
                f"normalises pixels by another mean and std, {name}",
                partial(_renormalized, mean=other_mean, std=other_std, own=(mean, std)),
            )
            yield (
                f"normalises pixels by {name} mean and std, too",
                partial(_renormalized, mean=other_mean, std=other_std),
            )


def _reordered(pixels: Tensor, order: Sequence[int]) -> Tensor:
    return pixels[:, list(order)]


def _renormalized(pixels: Tensor, mean: Tensor, std: Tensor, own: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Normalise by ``mean`` and ``std``; in place of the model's ``own`` where these are given, else beforehand."""
    changed = (pixels - mean) / std
    return changed * own[1] + own[0] if own else changed


class _Fit(nn.Module):
    """A change of the pixels with parameters that are fitted."""

    def words(self) -> str:
        """Say the change."""
        raise NotImplementedError


class _Scale(_Fit):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels * self.factor

    def words(self) -> str:
        return f"multiplies pixels by {self.factor.item():.3g}"


class _Offset(_Fit):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels + self.shift

    def words(self) -> str:
        return f"adds {self.shift.item():.3g} to pixels in 0..1"


class _Gamma(_Fit):
    def __init__(self, start: float = 1.0) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.full((1,), start))

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.clamp(min=1e-4) ** self.exponent

    def words(self) -> str:
        return f"raises pixels to the power of {self.exponent.item():.3g} (gamma)"


class _Channels(_Fit):
    def __init__(self) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.ones(1, 3, 1, 1))
        self.shifts = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels * self.factors + self.shifts

    def words(self) -> str:
        factors, shifts = (
            ", ".join(f"{one:.3g}" for one in values.flatten().tolist()) for values in (self.factors, self.shifts)
        )
        return f"scales and shifts red, green and blue ({factors}; {shifts}): another normalisation"
