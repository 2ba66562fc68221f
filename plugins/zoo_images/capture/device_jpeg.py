"""Simulate JPEG compression of a batch on its device: the loss of a file with 4:2:0 chroma, without the file."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

_BLOCK = 8
# Quantisation tables of annex K of ITU-T T.81, which libjpeg scales by the quality.
_LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *([99] * 32),
)
# JFIF: RGB to luminance and chrominance, and back.
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


class JpegCompression(nn.Module):
    """Compresses and decompresses a batch. Its tables are buffers, so that no call sends them to the device.

    Floats are kept as their bytes, which true half precision leaves alone.
    """

    tables: Tensor
    colours: Tensor
    cosines: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("tables", torch.tensor((_LUMINANCE, _CHROMINANCE), dtype=torch.uint8), persistent=False)
        self.register_buffer("colours", torch.tensor((_TO_YCC, _TO_RGB)).view(torch.uint8), persistent=False)
        self.register_buffer("cosines", _cosines().view(torch.uint8), persistent=False)

    def forward(self, images: Tensor, quality: Tensor) -> Tensor:
        """Compress and decompress ``images float32 [N, 3, H, W]`` in 0..255 at ``quality [N, 1]`` in 1..100."""
        height, width = images.shape[2:]
        to_ycc, to_rgb = self.colours.view(torch.float32)
        cosines = self.cosines.view(torch.float32)
        luminance_steps, chrominance_steps = _quantisation_steps(self.tables, quality)
        # As in libjpeg, columns are padded before the chroma is halved, rows after it.
        padded = F.pad(images, (0, -width % 16, 0, height % 2), mode="replicate")
        ycc = torch.einsum("ij,njhw->nihw", to_ycc, padded).round()
        luminance = _quantised(ycc[:, :1] - 128, luminance_steps, cosines)
        halved = F.avg_pool2d(ycc[:, 1:], 2)
        # libjpeg rounds halves down and up alternately.
        rounding = 0.25 + 0.25 * (torch.arange(halved.shape[3], device=images.device) % 2)
        halved = torch.floor(halved + rounding)
        chrominance = _quantised(halved, chrominance_steps, cosines)
        # Equivalent to libjpeg's "fancy" upsampling; the padding must not leak in.
        chrominance = chrominance[:, :, : (height + 1) // 2, : (width + 1) // 2]
        colours = F.interpolate(chrominance, scale_factor=2, mode="bilinear")[:, :, :height, :width].round()
        decoded = torch.cat([luminance[:, :, :height, :width] + 128, colours], dim=1)
        return torch.einsum("ij,njhw->nihw", to_rgb, decoded)


def _quantisation_steps(tables: Tensor, quality: Tensor) -> Tensor:
    """Return the quantisation steps ``[T, N, 64]`` of ``tables [T, 64]`` at ``quality [N, 1]``, as libjpeg does."""
    scale = torch.where(quality < 50, torch.floor(5000 / quality), 200 - 2 * quality)  # noqa: PLR2004 - libjpeg's
    return torch.floor((tables[:, None].float() * scale + 50) / 100).clamp(1, 255)


def _quantised(planes: Tensor, steps: Tensor, cosines: Tensor) -> Tensor:
    """Round the cosine transform of each block of ``planes [N, C, H, W]`` to multiples of ``steps [N, 64]``."""
    unpadded = planes.shape[2]
    planes = F.pad(planes, (0, 0, 0, -unpadded % _BLOCK), mode="replicate")
    count, channels, height, width = planes.shape
    rows, columns = height // _BLOCK, width // _BLOCK
    blocks = planes.reshape(count, channels, rows, _BLOCK, columns, _BLOCK).transpose(3, 4)
    blocks = blocks.reshape(count, channels * rows * columns, _BLOCK * _BLOCK)
    steps = steps[:, None]
    blocks = torch.round(blocks @ cosines.T / steps) * steps @ cosines
    blocks = blocks.reshape(count, channels, rows, columns, _BLOCK, _BLOCK).transpose(3, 4)
    return blocks.reshape(planes.shape)[:, :, :unpadded].round().clamp(-128, 127)


def _cosines() -> Tensor:
    """Return the orthonormal two-dimensional cosine transform ``[64, 64]`` of a flattened block."""
    steps = torch.arange(_BLOCK, dtype=torch.float32)
    waves = torch.cos(torch.pi / _BLOCK * steps[:, None] * (steps + 0.5)) * (2 / _BLOCK) ** 0.5
    waves[0] *= 0.5**0.5
    return torch.kron(waves, waves)
