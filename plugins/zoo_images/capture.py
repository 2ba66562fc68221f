"""How a phone sees a flat document: one warp, one colour map, light, blur, noise and JPEG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
from pydantic import Field

from zoo_images.shots import Chances, Floats, Shot, draw_shot

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from zoo_core.api import Sample, UInt8Image

Probability = Annotated[float, Field(ge=0, le=1)]

_UNIT_SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
_NOISE_SCALE = 32  # grey values of the bank's bytes per standard deviation


class Capture:
    """A photograph of the sample, by chance but for ``generator``'s state always the same.

    All geometry (the sample's view, turn, scale, shift, crop and perspective) is composed into one bilinear
    warp from the source image; colour is one affine map. Sources much larger than the frame are first halved,
    an axis at a time, so that the warp does not alias.

    Args:
        image_size: height and width of the frame.
        strength: scales every effect and its chance; 0 only applies the view and resizes.
        colour: chance of changed exposure, contrast, white balance, saturation.
        light: chance of uneven light, shadow and glare.
        blur: chance of soft focus, motion or defocus blur.
        noise: chance of sensor noise.
        reduction: chance that the frame was enlarged from fewer pixels.
        jpeg: chance of JPEG compression.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        strength: Annotated[float, Field(ge=0, le=2)] = 1.0,
        colour: Probability = 0.8,
        light: Probability = 0.5,
        blur: Probability = 0.5,
        noise: Probability = 0.5,
        reduction: Probability = 0.25,
        jpeg: Probability = 0.4,
    ) -> None:
        self._height, self._width = image_size
        self._strength = strength
        self._chances = Chances(colour, light, blur, noise, reduction, jpeg)
        self._noise = _noise_bank(self._height, self._width) if noise and strength else None

    def __call__(self, sample: Sample, generator: np.random.Generator) -> UInt8Image:
        """Photograph ``sample``: ``uint8 [H, W, 3]`` RGB."""
        height, width = sample.image.shape[:2]
        sides = np.array([[width], [height]]) * sample.view[:2, :2]
        aspect = float(np.hypot(*sides[:, 0]) / np.hypot(*sides[:, 1]))
        # Beyond these a document is a line, whose turning would leave nothing to see.
        aspect = min(max(aspect, 0.25), 4.0)
        if self._strength == 0:
            return self._warp(sample, _UNIT_SQUARE, None)
        blur_unit = math.sqrt(self._height * self._width) / 96
        return self.render(sample, draw_shot(generator, aspect, blur_unit, self._strength, self._chances))

    def render(self, sample: Sample, shot: Shot) -> UInt8Image:
        """Take the picture that ``shot`` describes: ``uint8 [H, W, 3]`` RGB."""
        image: MatLike = self._warp(sample, shot.corners.astype(np.float32), shot.background)
        if shot.gain is not None:
            image = cv2.multiply(image, self._enlarged(shot.gain), scale=1 / 128)
        if shot.glare is not None:
            image = cv2.add(image, self._enlarged(shot.glare))
        if shot.colour is not None:
            image = cv2.transform(image, shot.colour)
        if shot.kernel is not None:
            image = cv2.filter2D(image, -1, shot.kernel, borderType=cv2.BORDER_REPLICATE)
        if shot.noise is not None and self._noise is not None:
            image = self._with_noise(image, self._noise, *shot.noise)
        if shot.reduction is not None:
            small = (max(1, round(self._width / shot.reduction)), max(1, round(self._height / shot.reduction)))
            image = self._enlarged(cv2.resize(image, small, interpolation=cv2.INTER_LINEAR))
        if shot.quality is not None:
            image = _through_jpeg(image, shot.quality)
        return np.asarray(image, np.uint8)

    def _warp(self, sample: Sample, corners: MatLike, background: UInt8Image | None) -> UInt8Image:
        """Map the view's corners to ``corners`` of the frame (``float32 [4, 2]``, in parts of its sides)."""
        frame_to_view = cv2.getPerspectiveTransform(corners, _UNIT_SQUARE)
        frame_to_image = sample.view @ frame_to_view @ np.diag([1 / self._width, 1 / self._height, 1])
        source = _reduced(sample.image, frame_to_image, (self._width / 2, self._height / 2))
        height, width = source.shape[:2]
        # From units to pixels, whose centres lie at halves.
        to_pixels = np.array([[width, 0, -0.5], [0, height, -0.5], [0, 0, 1]])
        from_pixels = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        size = (self._width, self._height)
        matrix = to_pixels @ frame_to_image @ from_pixels
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        if background is None:
            warped = cv2.warpPerspective(source, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        else:
            canvas = self._enlarged(background)
            warped = cv2.warpPerspective(source, matrix, size, canvas, flags, cv2.BORDER_TRANSPARENT)
        return np.asarray(warped, np.uint8)

    def _enlarged(self, image: MatLike) -> MatLike:
        return cv2.resize(image, (self._width, self._height), interpolation=cv2.INTER_LINEAR)

    def _with_noise(self, image: MatLike, bank: UInt8Image, sigma: float, down: float, right: float) -> MatLike:
        top = int(down * (bank.shape[0] - self._height))
        left = int(right * (bank.shape[1] - self._width))
        crop = bank[top : top + self._height, left : left + self._width]
        weight = sigma / _NOISE_SCALE
        return cv2.addWeighted(image, 1, crop, weight, -128 * weight)


def _reduced(image: MatLike, frame_to_image: Floats, centre: tuple[float, float]) -> MatLike:
    """Halve the image's axes until a pixel of the frame, at its centre, spans at most 1.5 of the image's."""
    point = frame_to_image @ np.array([*centre, 1.0])
    jacobian = (frame_to_image[:2, :2] - np.outer(point[:2] / point[2], frame_to_image[2, :2])) / point[2]
    height, width = image.shape[:2]
    across, down = np.hypot(jacobian[:, 0], jacobian[:, 1]) * (width, height)
    while across > 1.5 or down > 1.5:  # noqa: PLR2004 - bilinear sampling aliases visibly beyond
        width, across = (math.ceil(width / 2), across / 2) if across > 1.5 else (width, across)  # noqa: PLR2004
        height, down = (math.ceil(height / 2), down / 2) if down > 1.5 else (height, down)  # noqa: PLR2004
        # At exactly half, bilinear resizing is the mean of two pixels, and several times faster than INTER_AREA.
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image


def _noise_bank(height: int, width: int) -> UInt8Image:
    """Bytes of mean 128 to cut noise from: drawing it anew would cost more than all the rest of a capture."""
    generator = np.random.Generator(np.random.PCG64(0))
    shape = (height + 64, width + 64)
    brightness = generator.standard_normal((*shape, 1), dtype=np.float32)
    colours = generator.standard_normal((*shape, 3), dtype=np.float32)
    bank = 128 + _NOISE_SCALE * (0.8 * brightness + 0.6 * colours)
    return np.asarray(bank.clip(0, 255), np.uint8)


def _through_jpeg(image: MatLike, quality: int) -> MatLike:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
