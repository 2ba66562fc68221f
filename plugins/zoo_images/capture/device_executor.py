"""Capture augmentation of a whole batch on its device, in torch: the same images as ``Capture`` makes in the loader."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from zoo_images.capture.batch_plan import plan_batch, unpack_plan
from zoo_images.capture.device_jpeg import JpegCompression
from zoo_images.capture.device_resizing import reduced
from zoo_images.capture.effects import GRID_SIZE
from zoo_images.capture.geometry import canvas_side
from zoo_images.capture.noise_textures import CROP_OFFSETS, NOISE_STD, sensor_noise, surface_texture
from zoo_images.capture.packing import FIELDS
from zoo_images.capture.parameters import GAUSSIAN, MOTION

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_images.capture.batch_plan import BatchPlan


class CaptureExecutor(nn.Module):
    """Renders the augmented views that ``Capture.prepare`` or ``Capture.prepare_resident`` describes.

    Images are ``float32 [N, 3, H, W]`` in 0..255 internally, and rounded after each effect as images of bytes are.
    With a plan, no number is read from the device and none is sent to it: a GPU then never waits for the CPU.
    """

    noise: Tensor
    texture: Tensor

    def __init__(self, image_size: tuple[int, int]) -> None:
        super().__init__()
        self._size = image_size
        self.register_buffer("noise", torch.tensor(sensor_noise(*image_size)), persistent=False)
        self.register_buffer("texture", torch.tensor(surface_texture()), persistent=False)
        self.jpeg = JpegCompression()

    @torch.no_grad()
    def forward(
        self,
        sources: Tensor,
        parameters: Tensor,
        sizes: Tensor | None = None,
        *,
        plan: tuple[Tensor, tuple[int, ...]] | None = None,
    ) -> Tensor:
        """Render ``sources uint8 [N, C, C, 3]`` with ``parameters uint8 [N, P]`` as ``uint8 [N, H, W, 3]`` RGB.

        With ``sizes [N, 2]``, heights and widths of the sources, those that are too fine for their view are reduced.
        ``plan`` is that of ``plan_batch``; without one it is made here, from parameters read back from the device.
        """
        if plan is None:
            read = None if sizes is None else sizes.cpu().numpy()
            indices, counts = plan_batch(parameters.cpu().numpy(), read)
            plan = torch.from_numpy(indices).to(sources.device), counts
        packed = parameters.contiguous().view(torch.float32)
        with torch.autocast(sources.device.type, enabled=False):
            return self._render(sources, packed, sizes, unpack_plan(*plan))

    def _render(self, sources: Tensor, packed: Tensor, sizes: Tensor | None, plan: BatchPlan) -> Tensor:
        fields = {name: packed[:, field] for name, field in FIELDS.items()}
        if sizes is not None:
            sources = reduced(sources, sizes, fields["source"], plan.halved)
            # No view needs a longer source.
            longest = canvas_side(self._size)
            sources = sources[:, :longest, :longest]
        images, affected = self._warp(sources, fields, plan.affected["neighbour"]), plan.affected
        _apply(images, affected["finger"], self._with_finger, fields["finger"])
        _apply(images, affected["light"], _with_light, fields["light"], fields["shadow"])
        _apply(images, affected["glare"], _with_glare, fields["glare"])
        _apply(images, affected["colour"], _coloured, fields["colour"])
        _apply(images, affected["blur"], partial(_blurred, reach=plan.reach), fields["blur"])
        _apply(images, affected["noise"], self._with_noise, fields["noise"])
        _apply(images, affected["reduction"], _reduced_and_enlarged, fields["reduction"])
        _apply(images, affected["quality"], self.jpeg, fields["quality"])
        return images.permute(0, 2, 3, 1).to(torch.uint8)

    def _warp(self, sources: Tensor, fields: dict[str, Tensor], beside_another: Tensor) -> Tensor:
        """Show the documents on their surfaces."""
        y, x = self._pixels(sources)
        matrix = fields["matrix"][:, :, None, None]
        u, v, depth = (matrix[:, 3 * i] * x + matrix[:, 3 * i + 1] * y + matrix[:, 3 * i + 2] for i in range(3))
        u, v = u / depth, v / depth
        height, width = (side[:, None, None] for side in fields["source"].T)
        within = torch.stack([u.clamp(min=0).minimum(width - 1), v.clamp(min=0).minimum(height - 1)], dim=-1)
        # To -1..1 from the first pixel's centre to the last one's.
        grid = within * (2 / (sources.shape[1] - 1)) - 1
        pixels = sources.permute(0, 3, 1, 2).float()
        document = F.grid_sample(pixels, grid, padding_mode="border", align_corners=True)
        # The document covers a fraction of a pixel at its edge; without a surface the edge is replicated.
        cover = torch.minimum(u + 1, width - u).clamp(0, 1) * torch.minimum(v + 1, height - v).clamp(0, 1)
        cover = torch.where(fields["surface"].any(dim=1)[:, None, None], cover, 1)[:, None]
        background = self._surface(fields["surface"])
        _apply(background, beside_another, self._with_neighbour, fields["neighbour"])
        return torch.lerp(background, document, cover).round_()

    def _surface(self, surface: Tensor) -> Tensor:
        """Enlarge crops of the surface texture: ``[N, 3, H, W]``."""
        points, down, right = surface[:, 6:].T[:, :, None]
        (y, x), (height, width) = self._axes(surface), self._size
        side = self.texture.shape[0]
        # The crop's edge is replicated, as a resize replicates it.
        y = ((y + 0.5) * points / height - 0.5).clamp(min=0).minimum(points - 1) + torch.floor(down * CROP_OFFSETS)
        x = ((x + 0.5) * points / width - 0.5).clamp(min=0).minimum(points - 1) + torch.floor(right * CROP_OFFSETS)
        x, y = x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)
        grid = torch.stack([x, y], dim=-1) * (2 / (side - 1)) - 1
        texture = self.texture.float().expand(len(surface), 1, side, side)
        mix = F.grid_sample(texture, grid, align_corners=True) / 255
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
        rows, columns = (y + torch.floor(down * CROP_OFFSETS)).long(), (x + torch.floor(right * CROP_OFFSETS)).long()
        crop = self.noise[rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        return torch.addcmul(images, crop.float() - 128, sigma[:, :, None, None] / NOISE_STD)

    @property
    def _side(self) -> float:
        return math.sqrt(self._size[0] * self._size[1])

    def _axes(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows ``[1, H]`` and columns ``[1, W]`` of the frame."""
        height, width = (torch.arange(side, device=like.device, dtype=torch.float32) for side in self._size)
        return height[None], width[None]

    def _pixels(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the row ``[H, 1]`` and column ``[1, W]`` of each pixel of the frame."""
        y, x = self._axes(like)
        return y.T, x


def _apply(images: Tensor, affected: Tensor, effect: Callable[..., Tensor], *fields: Tensor) -> None:
    """Apply an effect in place to the images at the indices ``affected``."""
    if len(affected):
        changed = effect(images[affected], *(field[affected] for field in fields))
        images[affected] = changed.round().clamp(0, 255)


def _painted(images: Tensor, distance: Tensor, colour: Tensor) -> Tensor:
    """Paint where ``distance [N, H, W]`` in pixels is negative, with an antialiased edge half a pixel further out.

    OpenCV draws shapes larger by that much.
    """
    return torch.lerp(images, colour[:, :, None, None], (1 - distance).clamp(0, 1)[:, None])


def _enlarged(grid: Tensor, like: Tensor) -> Tensor:
    """Enlarge ``[N, C, GRID_SIZE, GRID_SIZE]``, rounded to bytes as in the loader."""
    return F.interpolate(grid.round().clamp(0, 255), like.shape[2:], mode="bilinear")


def _centres(like: Tensor, height: int = GRID_SIZE, width: int = GRID_SIZE) -> tuple[Tensor, Tensor]:
    """Return the centres of rows ``[height, 1]`` and columns ``[1, width]``, as fractions of the frame's sides."""
    down, right = ((torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side for side in (height, width))
    return down[:, None], right[None, :]


def _with_light(images: Tensor, light: Tensor, shadow: Tensor) -> Tensor:
    down, right = (axis - 0.5 for axis in _centres(images, *images.shape[2:]))
    x, y = light[:, :2].T[:, :, None, None]
    unshaded: Tensor = 128 * (1 + x * right + y * down)[:, None] * light[:, 2:, None, None]
    gain = torch.round(unshaded.round().clamp(0, 255) * _shadow_gain(images, shadow))
    return images * gain / 128


def _shadow_gain(images: Tensor, shadow: Tensor) -> Tensor:
    """Return the gain ``[N, 1, H, W]`` of a shadow: 1 where there is none."""
    down, right = (axis - 0.5 for axis in _centres(images))
    x, y, offset, softness, depth = shadow.T[:, :, None, None]
    # Without a shadow, depth and softness are 0: avoid the division by zero.
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


def _blurred(images: Tensor, blur: Tensor, reach: int) -> Tensor:
    """Convolve each image with its kernel, none of which reaches further than ``reach`` pixels."""
    kind, size, angle = blur.T[:, :, None, None]
    reaches = torch.where(kind == GAUSSIAN, 2.5 * size, size + 0.5).floor()
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
    padded = F.pad(images, (reach,) * 4, mode="replicate").reshape(
        1, count * channels, height + 2 * reach, width + 2 * reach
    )
    weights = kernels.repeat_interleave(channels, dim=0)[:, None]
    return F.conv2d(padded, weights, groups=count * channels).view(images.shape)


def _reduced_and_enlarged(images: Tensor, reduction: Tensor) -> Tensor:
    """Reduce and enlarge again, by a matrix per axis and image, because the factors differ between images."""
    down, up = zip(*(_resize_matrices(side, reduction) for side in images.shape[2:]), strict=True)
    small = (down[0][:, None] @ images @ down[1][:, None].mT).round()
    return cast("Tensor", up[0][:, None] @ small @ up[1][:, None].mT)


def _resize_matrices(side: int, reduction: Tensor) -> tuple[Tensor, Tensor]:
    """Return bilinear matrices ``[N, side, side]`` from ``side`` points to fewer and back; unused rows are zero."""
    fewer = (side / reduction).round().clamp(min=1)[:, :, None]
    steps = torch.arange(side, device=reduction.device, dtype=reduction.dtype)
    rows, columns = steps[:, None], steps[None, :]
    down = ((rows + 0.5) * side / fewer - 0.5).clamp(0, side - 1)
    up = ((rows + 0.5) * fewer / side - 0.5).clamp(min=0).minimum(fewer - 1)
    return (1 - (down - columns).abs()).clamp(min=0) * (rows < fewer), (1 - (up - columns).abs()).clamp(min=0)
