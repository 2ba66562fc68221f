"""How a phone sees a flat document: one warp, one colour map, light, blur, noise and JPEG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
from pydantic import Field

from zoo_images.capture import effects
from zoo_images.capture.geometry import frame_to_image
from zoo_images.capture.noise_textures import MARGIN, NOISE_SCALE, noise_bank, texture_bank
from zoo_images.capture.packing import pack
from zoo_images.capture.parameters import PLAIN, Chances, aspect_of, draw_shot

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch
    from cv2.typing import MatLike

    from zoo_core.api import Sample, UInt8Image
    from zoo_images.capture.parameters import Finger, Neighbour, Noise, Shot, Surface

Probability = Annotated[float, Field(ge=0, le=1)]

_FRACTION = 4  # bits of a pixel's fraction in OpenCV's drawing
_FRACTIONS = 1 << _FRACTION


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
        occlusion: chance of a finger over the document's edge.
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
        occlusion: Probability = 0.15,
    ) -> None:
        self._height, self._width = image_size
        self._side = math.sqrt(self._height * self._width)
        self._strength = strength
        self._chances = Chances(colour, light, blur, noise, reduction, jpeg, occlusion)
        self._canvas = 2 * max(image_size)
        self._plane = effects.plane(*image_size)
        self._noise = noise_bank(*image_size)
        self._texture = texture_bank()

    def __call__(self, sample: Sample, generator: np.random.Generator) -> UInt8Image:
        """Photograph ``sample``: ``uint8 [H, W, 3]`` RGB."""
        return self.render(sample, self.draw(sample, generator))

    def draw(self, sample: Sample, generator: np.random.Generator) -> Shot:
        """Decide how ``sample`` is photographed."""
        if self._strength == 0:
            return PLAIN
        height, width = sample.image.shape[:2]
        aspect = aspect_of(height, width, sample.view)
        return draw_shot(generator, aspect, self._side / 96, self._strength, self._chances)

    def prepare(self, sample: Sample, generator: np.random.Generator) -> tuple[UInt8Image, npt.NDArray[np.uint8]]:
        """Return what the executor takes: the source on a canvas ``uint8 [C, C, 3]``, and the shot ``uint8 [P]``."""
        return self.lay_out(sample, self.draw(sample, generator))

    def lay_out(self, sample: Sample, shot: Shot) -> tuple[UInt8Image, npt.NDArray[np.uint8]]:
        """Return source and shot as the executor takes them; the source lies in the canvas' upper left corner."""
        frame = (self._height, self._width)
        source, matrix = frame_to_image(sample.image, sample.view, shot.corners, frame, self._canvas)
        canvas = np.zeros((self._canvas, self._canvas, 3), np.uint8)
        canvas[: source.shape[0], : source.shape[1]] = source
        return canvas, pack(shot, matrix, source.shape[:2])

    def executor(self) -> torch.nn.Module:
        """Return the module that takes the pictures of a whole batch on its device."""
        from zoo_images.capture.device_executor import CaptureExecutor  # noqa: PLC0415 - without torch the loader's executor works

        return CaptureExecutor((self._height, self._width))

    def render(self, sample: Sample, shot: Shot) -> UInt8Image:
        """Take the picture that ``shot`` describes: ``uint8 [H, W, 3]`` RGB."""
        image = self._warp(sample, shot)
        if shot.finger is not None:
            self._draw_finger(image, shot.finger)
        if shot.light is not None:
            gain = effects.gain(shot.light, self._plane)
            if shot.shadow is not None:
                gain = cv2.multiply(gain, self._grey(effects.shade(shot.shadow)), scale=1 / 255)
            image = cv2.multiply(image, gain, scale=1 / 128)
        if shot.glare is not None:
            image = cv2.add(image, self._grey(effects.spot(shot.glare)))
        if shot.colour is not None:
            image = cv2.transform(image, shot.colour)
        if shot.blur is not None:
            image = effects.blurred(image, shot.blur)
        if shot.noise is not None:
            image = self._with_noise(image, shot.noise)
        if shot.reduction is not None:
            small = (max(1, round(self._width / shot.reduction)), max(1, round(self._height / shot.reduction)))
            image = self._enlarged(cv2.resize(image, small, interpolation=cv2.INTER_LINEAR))
        if shot.quality is not None:
            image = effects.through_jpeg(image, shot.quality)
        return np.asarray(image, np.uint8)

    def _warp(self, sample: Sample, shot: Shot) -> MatLike:
        """Show the document on its surface."""
        size = (self._width, self._height)
        source, matrix = frame_to_image(sample.image, sample.view, shot.corners, size[::-1])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        # Four channels are warped in half the time of three.
        rgba = cv2.cvtColor(source, cv2.COLOR_RGB2RGBA)
        surface = shot.surface
        if surface is None:
            rgba = cv2.warpPerspective(rgba, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        elif surface.points == 1 and shot.neighbour is None:
            # One colour needs no canvas.
            colour = self._points(surface)[0, 0].tolist()
            rgba = cv2.warpPerspective(rgba, matrix, size, None, flags, cv2.BORDER_CONSTANT, colour)
        else:
            canvas = self._enlarged(self._points(surface))
            if shot.neighbour is not None:
                self._draw_neighbour(canvas, shot.neighbour)
            rgba = cv2.warpPerspective(rgba, matrix, size, canvas, flags, cv2.BORDER_TRANSPARENT)
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)

    def _points(self, surface: Surface) -> MatLike:
        """Mix the surface's colours on its own few points: ``uint8 [points, points, 4]``."""
        low, high, points, down, right = surface
        top, left = int(down * MARGIN), int(right * MARGIN)
        mix = [((to - start) / 255, start) for start, to in zip(low, high, strict=True)]
        place = self._texture[top : top + points, left : left + points]
        return cv2.transform(place, np.array([*mix, (0.0, 0.0)]))

    def _draw_neighbour(self, canvas: MatLike, neighbour: Neighbour) -> None:
        cos, sin = math.cos(neighbour.angle), math.sin(neighbour.angle)
        x, y = neighbour.x * self._width - 0.5, neighbour.y * self._height - 0.5
        across, down = neighbour.half_width * self._side, neighbour.half_height * self._side
        # Half a side's way along the sheet and along what stands on it.
        right_x, right_y, down_x, down_y = across * cos, across * sin, -down * sin, down * cos
        corners = [
            (x - right_x - down_x, y - right_y - down_y),
            (x + right_x - down_x, y + right_y - down_y),
            (x + right_x + down_x, y + right_y + down_y),
            (x - right_x + down_x, y - right_y + down_y),
        ]
        fixed = [(round(_FRACTIONS * x), round(_FRACTIONS * y)) for x, y in corners]
        cv2.fillConvexPoly(canvas, np.array(fixed, np.int32), (*neighbour.colour, 0), cv2.LINE_AA, _FRACTION)

    def _draw_finger(self, image: MatLike, finger: Finger) -> None:
        start = (self._fixed(finger.x * self._width), self._fixed(finger.y * self._height))
        tip = (self._fixed(finger.tip_x * self._width), self._fixed(finger.tip_y * self._height))
        for part, shade in ((1.0, 0.7), (0.6, 1.0)):  # darker where it turns away
            # OpenCV makes odd ones even.
            thickness = 2 * max(1, round(part * finger.radius * self._side))
            colour = [shade * channel for channel in finger.colour]
            cv2.line(image, start, tip, colour, thickness, cv2.LINE_AA, _FRACTION)

    def _fixed(self, position: float) -> int:
        """Position along the frame to OpenCV's fixed point, where a pixel's centre is a whole number."""
        return round((position - 0.5) * _FRACTIONS)

    def _enlarged(self, image: MatLike) -> MatLike:
        return cv2.resize(image, (self._width, self._height), interpolation=cv2.INTER_LINEAR)

    def _grey(self, grid: MatLike) -> MatLike:
        """Enlarge one channel, as three of the same."""
        return cv2.cvtColor(self._enlarged(grid), cv2.COLOR_GRAY2RGB)

    def _with_noise(self, image: MatLike, noise: Noise) -> MatLike:
        top, left = int(noise.down * MARGIN), int(noise.right * MARGIN)
        crop = self._noise[top : top + self._height, left : left + self._width]
        weight = noise.sigma / NOISE_SCALE
        return cv2.addWeighted(image, 1, crop, weight, -128 * weight)
