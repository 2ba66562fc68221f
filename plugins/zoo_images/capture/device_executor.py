"""Captures of a whole batch at once, on whatever device the batch is: the same pictures as the loader's, in torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from zoo_images.capture.device_jpeg import through_jpeg
from zoo_images.capture.effects import GRID
from zoo_images.capture.noise_textures import MARGIN, NOISE_SCALE, noise_bank, texture_bank
from zoo_images.capture.packing import PARTS
from zoo_images.capture.parameters import GAUSSIAN, MOTION

if TYPE_CHECKING:
    from collections.abc import Callable

# Pictures worked on together: more are no faster, and a large batch of floats would take a gigabyte.
_AT_ONCE = 32


class CaptureExecutor(nn.Module):
    """Takes the pictures that ``Capture.prepare`` describes.

    Pictures are ``float32 [N, 3, H, W]`` in 0..255 within, and rounded after each part as a picture of bytes is.
    """

    noise: Tensor
    texture: Tensor

    def __init__(self, image_size: tuple[int, int]) -> None:
        super().__init__()
        self._size = image_size
        self.register_buffer("noise", torch.tensor(noise_bank(*image_size)), persistent=False)
        self.register_buffer("texture", torch.tensor(texture_bank()), persistent=False)

    @torch.no_grad()
    def forward(self, sources: Tensor, shots: Tensor) -> Tensor:
        """Render ``sources uint8 [N, C, C, 3]`` and ``shots uint8 [N, P]`` as ``uint8 [N, H, W, 3]`` RGB."""
        rows = shots.contiguous().view(torch.float32)
        with torch.autocast(sources.device.type, enabled=False):
            some = (slice(first, first + _AT_ONCE) for first in range(0, len(rows), _AT_ONCE))
            return torch.cat([self._render(sources[these], rows[these]) for these in some])

    def _render(self, sources: Tensor, rows: Tensor) -> Tensor:
        part = {name: rows[:, place] for name, place in PARTS.items()}
        images = self._warp(sources, part)
        _apply(images, self._with_finger, part["finger"])
        _apply(images, _lit, part["light"], part["shadow"])
        _apply(images, _with_glare, part["glare"])
        _apply(images, _coloured, part["colour"])
        _apply(images, _blurred, part["blur"])
        _apply(images, self._with_noise, part["noise"])
        _apply(images, _reduced, part["reduction"])
        _apply(images, lambda some, quality: through_jpeg(some, quality[:, 0]), part["quality"])
        return images.permute(0, 2, 3, 1).to(torch.uint8)

    def _warp(self, sources: Tensor, part: dict[str, Tensor]) -> Tensor:
        """Show the documents on their surfaces."""
        y, x = self._pixels(sources)
        matrix = part["matrix"][:, :, None, None]
        u, v, depth = (matrix[:, 3 * i] * x + matrix[:, 3 * i + 1] * y + matrix[:, 3 * i + 2] for i in range(3))
        u, v = u / depth, v / depth
        height, width = (side[:, None, None] for side in part["source"].T)
        within = torch.stack([u.clamp(min=0).minimum(width - 1), v.clamp(min=0).minimum(height - 1)], dim=-1)
        # To -1..1 from the first pixel's centre to the last one's.
        grid = within * (2 / (sources.shape[1] - 1)) - 1
        pixels = sources.permute(0, 3, 1, 2).float()
        seen = F.grid_sample(pixels, grid, padding_mode="border", align_corners=True)
        # A pixel across the edge is the document's in part; without a surface the edge is repeated.
        cover = torch.minimum(u + 1, width - u).clamp(0, 1) * torch.minimum(v + 1, height - v).clamp(0, 1)
        cover = torch.where(part["surface"].any(dim=1)[:, None, None], cover, 1)[:, None]
        around = self._surface(part["surface"])
        _apply(around, self._with_neighbour, part["neighbour"])
        return torch.lerp(around, seen, cover).round_()

    def _surface(self, surface: Tensor) -> Tensor:
        """Enlarge cuts of the bank: ``[N, 3, H, W]``."""
        points, down, right = surface[:, 6:].T[:, :, None]
        (y, x), (height, width) = self._axes(surface), self._size
        side = self.texture.shape[0]
        # As a resize repeats its edge, so the cut's edge is repeated.
        y = ((y + 0.5) * points / height - 0.5).clamp(min=0).minimum(points - 1) + torch.floor(down * MARGIN)
        x = ((x + 0.5) * points / width - 0.5).clamp(min=0).minimum(points - 1) + torch.floor(right * MARGIN)
        x, y = x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)
        grid = torch.stack([x, y], dim=-1) * (2 / (side - 1)) - 1
        bank = self.texture.float().expand(len(surface), 1, side, side)
        mix = F.grid_sample(bank, grid, align_corners=True) / 255
        low, high = surface[:, :3, None, None], surface[:, 3:6, None, None]
        return torch.lerp(low, high, mix).round_()

    def _with_neighbour(self, images: Tensor, neighbour: Tensor) -> Tensor:
        x, y, half_width, half_height, angle = neighbour[:, :5].T[:, :, None, None]
        side, (height, width) = self._side, self._size
        down, right = self._pixels(images)
        right, down = right + 0.5 - x * width, down + 0.5 - y * height
        across = (right * angle.cos() + down * angle.sin()).abs() - half_width * side
        along = (down * angle.cos() - right * angle.sin()).abs() - half_height * side
        return _painted(images, torch.maximum(across, along), neighbour[:, 5:])

    def _with_finger(self, images: Tensor, finger: Tensor) -> Tensor:
        (height, width), side = self._size, self._side
        x, y, tip_x, tip_y, radius = finger[:, :5].T[:, :, None, None]
        y, tip_y, x, tip_x = y * height, tip_y * height, x * width, tip_x * width
        down, right = self._pixels(images)
        right, down = right + 0.5 - x, down + 0.5 - y
        length = (tip_x - x) ** 2 + (tip_y - y) ** 2
        along = ((right * (tip_x - x) + down * (tip_y - y)) / length.clamp(min=1e-6)).clamp(0, 1)
        distance = torch.hypot(right - along * (tip_x - x), down - along * (tip_y - y))
        for share, shade in ((1.0, 0.7), (0.6, 1.0)):
            half = (share * radius * side).round().clamp(min=1)
            images = _painted(images, distance - half, shade * finger[:, 5:])
        return images

    def _with_noise(self, images: Tensor, noise: Tensor) -> Tensor:
        sigma, down, right = noise.T[:, :, None]
        y, x = self._axes(noise)
        rows, columns = (y + torch.floor(down * MARGIN)).long(), (x + torch.floor(right * MARGIN)).long()
        cut = self.noise[rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        return torch.addcmul(images, cut.float() - 128, sigma[:, :, None, None] / NOISE_SCALE)

    @property
    def _side(self) -> float:
        return math.sqrt(self._size[0] * self._size[1])

    def _axes(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Rows ``[1, H]`` and columns ``[1, W]`` of the frame."""
        height, width = (torch.arange(side, device=like.device, dtype=torch.float32) for side in self._size)
        return height[None], width[None]

    def _pixels(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Row ``[H, 1]`` and column ``[1, W]`` of each pixel of the frame."""
        y, x = self._axes(like)
        return y.T, x


def _apply(images: Tensor, effect: Callable[..., Tensor], *parts: Tensor) -> None:
    """Apply an effect in place to those pictures whose first part is not all zeros."""
    rows = parts[0].any(dim=1).nonzero().squeeze(1)
    if len(rows):
        changed = effect(images[rows], *(part[rows] for part in parts))
        images[rows] = changed.round().clamp(0, 255)


def _painted(images: Tensor, distance: Tensor, colour: Tensor) -> Tensor:
    """Paint where ``distance [N, H, W]`` in pixels is negative, with a soft edge half a pixel further out.

    So OpenCV draws: its shapes are that much larger than asked for.
    """
    return torch.lerp(images, colour[:, :, None, None], (1 - distance).clamp(0, 1)[:, None])


def _enlarged(grid: Tensor, like: Tensor) -> Tensor:
    """Enlarge ``[N, C, GRID, GRID]``, in steps of a byte as the loader does."""
    return F.interpolate(grid.round().clamp(0, 255), like.shape[2:], mode="bilinear")


def _centres(like: Tensor, height: int = GRID, width: int = GRID) -> tuple[Tensor, Tensor]:
    """Where rows ``[height, 1]`` and columns ``[1, width]`` are, in parts of the frame's sides."""
    down, right = ((torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side for side in (height, width))
    return down[:, None], right[None, :]


def _lit(images: Tensor, light: Tensor, shadow: Tensor) -> Tensor:
    down, right = (axis - 0.5 for axis in _centres(images, *images.shape[2:]))
    x, y = light[:, :2].T[:, :, None, None]
    even: Tensor = 128 * (1 + x * right + y * down)[:, None] * light[:, 2:, None, None]
    gain = torch.round(even.round().clamp(0, 255) * _shade(images, shadow))
    return images * gain / 128


def _shade(images: Tensor, shadow: Tensor) -> Tensor:
    """What is left of the light beside a shadow's edge: ``[N, 1, H, W]``; all where there is none."""
    down, right = (axis - 0.5 for axis in _centres(images))
    x, y, offset, softness, depth = shadow.T[:, :, None, None]
    # Without a shadow its depth is 0 and its softness must not divide.
    distance = (x * right + y * down - offset) / softness.clamp(min=1e-3)
    return _enlarged((255 - 255 * depth * torch.sigmoid(distance))[:, None], images) / 255


def _with_glare(images: Tensor, glare: Tensor) -> Tensor:
    down, right = _centres(images)
    x, y, width, height, power = glare.T[:, :, None, None]
    spot = power * torch.exp(-(((right - x) / width) ** 2) - ((down - y) / height) ** 2)
    return images + _enlarged(spot[:, None], images)


def _coloured(images: Tensor, colour: Tensor) -> Tensor:
    affine = colour.view(-1, 3, 4)
    return torch.baddbmm(affine[:, :, 3:], affine[:, :, :3], images.flatten(2)).view(images.shape)


def _blurred(images: Tensor, blur: Tensor) -> Tensor:
    """Convolve each picture with a kernel of its own."""
    kind, size, angle = blur.T[:, :, None, None]
    reaches = torch.where(kind == GAUSSIAN, 2.5 * size, size + 0.5).floor()
    reach = int(reaches.max())
    x = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    x, y = x[None, :], x[:, None]
    gaussian = torch.exp((x**2 + y**2) * (-0.5 / (size * size + 1e-9)))
    along, across = (x * angle.cos() + y * angle.sin()).abs(), (y * angle.cos() - x * angle.sin()).abs()
    line = (size + 0.5 - along).clamp(0, 1) * (1 - across).clamp(min=0)
    disc = (size + 0.5 - torch.hypot(x, y)).clamp(0, 1)
    kernels = torch.where(kind == GAUSSIAN, gaussian, torch.where(kind == MOTION, line, disc))
    kernels = kernels * ((x.abs() <= reaches) & (y.abs() <= reaches))
    kernels = kernels / kernels.sum(dim=(1, 2), keepdim=True)
    count, channels, height, width = images.shape
    padded = F.pad(images, (reach,) * 4, mode="replicate").reshape(1, count * channels, *_more(height, width, reach))
    weights = kernels.repeat_interleave(channels, dim=0)[:, None]
    return F.conv2d(padded, weights, groups=count * channels).view(images.shape)


def _more(height: int, width: int, reach: int) -> tuple[int, int]:
    return height + 2 * reach, width + 2 * reach


def _reduced(images: Tensor, reduction: Tensor) -> Tensor:
    """Resize to fewer pixels and back, as matrices of both axes, which may differ from picture to picture."""
    down, up = zip(*(_resizing(side, reduction) for side in images.shape[2:]), strict=True)
    small = (down[0][:, None] @ images @ down[1][:, None].mT).round()
    return cast("Tensor", up[0][:, None] @ small @ up[1][:, None].mT)


def _resizing(side: int, reduction: Tensor) -> tuple[Tensor, Tensor]:
    """Bilinear matrices ``[N, side, side]`` from ``side`` points to fewer and back; what is not used is zero."""
    fewer = (side / reduction).round().clamp(min=1)[:, :, None]
    steps = torch.arange(side, device=reduction.device, dtype=reduction.dtype)
    rows, columns = steps[:, None], steps[None, :]
    down = ((rows + 0.5) * side / fewer - 0.5).clamp(0, side - 1)
    up = ((rows + 0.5) * fewer / side - 0.5).clamp(min=0).minimum(fewer - 1)
    return (1 - (down - columns).abs()).clamp(min=0) * (rows < fewer), (1 - (up - columns).abs()).clamp(min=0)
