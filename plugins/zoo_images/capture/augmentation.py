"""Augmentation that simulates a phone photo: one warp, one colour map, light, blur, noise and JPEG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
from pydantic import Field

from zoo_images.capture import effects
from zoo_images.capture.batch_plan import plan_batch
from zoo_images.capture.geometry import canvas_side, frame_to_image, frame_to_size, reduced, resident_size
from zoo_images.capture.noise_textures import CROP_OFFSETS, sensor_noise, surface_texture
from zoo_images.capture.packing import pack
from zoo_images.capture.parameters import IDENTITY
from zoo_images.capture.random_parameters import EffectProbabilities, draw_parameters, view_aspect
from zoo_images.capture.shapes import draw_finger, draw_neighbour

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch
    from cv2.typing import MatLike

    from zoo_core.api import AffineMap, Sample, UInt8Image
    from zoo_images.capture.parameters import CaptureParameters, Surface

Probability = Annotated[float, Field(ge=0, le=1)]

# Images that the executor renders at once on a CPU, whose cache holds no more. Elsewhere their sources may take so many
# bytes as floats, 1,213 of them for frames of 96 pixels and 222 for frames of 224; the rest takes about twice as much.
_AT_ONCE_ON_CPU, _LARGEST_TENSOR = 32, 2**29


class Capture:
    """An augmented view of the sample as a phone photo; ``generator`` is the only source of randomness.

    All geometry (the sample's view, rotation, scale, shift, crop and perspective) is one bilinear warp from the source
    image, and colour is one affine map. Sources much larger than the frame are first halved, one axis at a time, so
    that the warp does not alias.

    Args:
        image_size: height and width of the frame.
        strength: scales every effect and its probability; 0 only applies the view and resizes.
        colour: probability of changed exposure, contrast, white balance and saturation.
        light: probability of uneven light, shadow and glare.
        blur: probability of soft focus, motion or defocus blur.
        noise: probability of sensor noise.
        reduction: probability that the frame is reduced and enlarged again.
        jpeg: probability of JPEG compression.
        occlusion: probability of a finger over the document's edge.
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
        self._probabilities = EffectProbabilities(colour, light, blur, noise, reduction, jpeg, occlusion)
        self._canvas = canvas_side(image_size)
        self._coordinates = effects.pixel_coordinates(*image_size)
        self._noise = sensor_noise(*image_size)
        self._texture = surface_texture()

    def __call__(self, sample: Sample, generator: np.random.Generator) -> UInt8Image:
        """Augment ``sample``: ``uint8 [H, W, 3]`` RGB."""
        return self.render(sample, self.draw(sample, generator))

    def draw(self, sample: Sample, generator: np.random.Generator) -> CaptureParameters:
        """Draw the random parameters of one augmented view of ``sample``."""
        height, width = sample.image.shape[:2]
        return self._draw((height, width), sample.view, generator)

    def _draw(self, decoded: tuple[int, int], view: AffineMap, generator: np.random.Generator) -> CaptureParameters:
        if self._strength == 0:
            return IDENTITY
        aspect = view_aspect(*decoded, view)
        return draw_parameters(generator, aspect, self._side / 96, self._strength, self._probabilities)

    def prepare(self, sample: Sample, generator: np.random.Generator) -> tuple[UInt8Image, npt.NDArray[np.uint8]]:
        """Draw parameters and return what the executor takes, see ``lay_out``."""
        return self.lay_out(sample, self.draw(sample, generator))

    def lay_out(self, sample: Sample, parameters: CaptureParameters) -> tuple[UInt8Image, npt.NDArray[np.uint8]]:
        """Return the source in the upper left corner of a canvas ``uint8 [C, C, 3]``, and the packed parameters."""
        frame = (self._height, self._width)
        source, matrix = frame_to_image(sample.image, sample.view, parameters.corners, frame, self._canvas)
        canvas = np.zeros((self._canvas, self._canvas, 3), np.uint8)
        canvas[: source.shape[0], : source.shape[1]] = source
        return canvas, pack(parameters, matrix, source.shape[:2])

    def resident_image(self, sample: Sample) -> tuple[UInt8Image, npt.NDArray[np.float64]]:
        """Return the image, halved where every view would halve it, and its size as decoded with the sample's view."""
        height, width = sample.image.shape[:2]
        size = resident_size((height, width), sample.view, (self._height, self._width), self._canvas, self._strength)
        return reduced(sample.image, size), np.array([height, width, *sample.view.ravel()])

    def prepare_resident(
        self, description: npt.NDArray[np.float64], generator: np.random.Generator
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
        """Return the packed parameters that ``prepare`` draws, and the size of the image that is kept."""
        decoded, view = (int(description[0]), int(description[1])), description[2:].reshape(3, 3)
        frame, parameters = (self._height, self._width), self._draw(decoded, view, generator)
        size, matrix = frame_to_size(decoded, view, parameters.corners, frame, self._canvas)
        kept = resident_size(decoded, view, frame, self._canvas, self._strength)
        return pack(parameters, matrix, size), np.array(kept, np.int16)

    def images_at_once(self, device: torch.device) -> int:
        """Return how many images the executor renders at once on ``device``."""
        return _AT_ONCE_ON_CPU if device.type == "cpu" else max(1, _LARGEST_TENSOR // (3 * 4 * self._canvas**2))

    def plan(
        self,
        sources: npt.NDArray[np.uint8] | None,  # noqa: ARG002 - the contract's
        parameters: npt.NDArray[np.uint8],
        sizes: npt.NDArray[np.int16] | None = None,
    ) -> tuple[npt.NDArray[np.int64], tuple[int, ...]]:
        """Return what the executor has to know of a batch, so that it reads nothing from its device."""
        return plan_batch(parameters, sizes)

    def executor(self) -> torch.nn.Module:
        """Return the module that augments a whole batch on its device."""
        from zoo_images.capture.device_executor import CaptureExecutor  # noqa: PLC0415 - only this needs torch

        return CaptureExecutor((self._height, self._width))

    def render(self, sample: Sample, parameters: CaptureParameters) -> UInt8Image:
        """Return the augmented view that ``parameters`` describe: ``uint8 [H, W, 3]`` RGB."""
        image = self._warp(sample, parameters)
        if parameters.finger is not None:
            draw_finger(image, parameters.finger, self._side)
        if parameters.light is not None:
            gain = effects.light_gain(parameters.light, self._coordinates)
            if parameters.shadow is not None:
                gain = cv2.multiply(gain, self._grey(effects.shadow_gain(parameters.shadow)), scale=1 / 255)
            image = cv2.multiply(image, gain, scale=1 / 128)
        if parameters.glare is not None:
            image = cv2.add(image, self._grey(effects.glare_light(parameters.glare)))
        if parameters.colour is not None:
            image = cv2.transform(image, parameters.colour)
        if parameters.blur is not None:
            image = effects.blurred(image, parameters.blur)
        if parameters.noise is not None:
            image = effects.with_noise(image, parameters.noise, self._noise)
        if parameters.reduction is not None:
            factor = parameters.reduction
            small = (max(1, round(self._width / factor)), max(1, round(self._height / factor)))
            image = self._enlarged(cv2.resize(image, small, interpolation=cv2.INTER_LINEAR))
        if parameters.quality is not None:
            image = effects.jpeg_compressed(image, parameters.quality)
        return np.asarray(image, np.uint8)

    def _warp(self, sample: Sample, parameters: CaptureParameters) -> MatLike:
        """Show the document on its surface."""
        size = (self._width, self._height)
        source, matrix = frame_to_image(sample.image, sample.view, parameters.corners, size[::-1])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        # OpenCV warps four channels in half the time of three.
        rgba = cv2.cvtColor(source, cv2.COLOR_RGB2RGBA)
        surface = parameters.surface
        if surface is None:
            rgba = cv2.warpPerspective(rgba, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        elif surface.points == 1 and parameters.neighbour is None:
            # A uniform surface needs no background image.
            colour = self._surface_colours(surface)[0, 0].tolist()
            rgba = cv2.warpPerspective(rgba, matrix, size, None, flags, cv2.BORDER_CONSTANT, colour)
        else:
            background = self._enlarged(self._surface_colours(surface))
            if parameters.neighbour is not None:
                draw_neighbour(background, parameters.neighbour, self._side)
            rgba = cv2.warpPerspective(rgba, matrix, size, background, flags, cv2.BORDER_TRANSPARENT)
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)

    def _surface_colours(self, surface: Surface) -> MatLike:
        """Mix the colours of a surface at each of its points: ``uint8 [points, points, 4]``."""
        low, high, points, down, right = surface
        top, left = int(down * CROP_OFFSETS), int(right * CROP_OFFSETS)
        mix = [((to - start) / 255, start) for start, to in zip(low, high, strict=True)]
        crop = self._texture[top : top + points, left : left + points]
        return cv2.transform(crop, np.array([*mix, (0.0, 0.0)]))

    def _enlarged(self, image: MatLike) -> MatLike:
        return cv2.resize(image, (self._width, self._height), interpolation=cv2.INTER_LINEAR)

    def _grey(self, grid: MatLike) -> MatLike:
        """Enlarge a grid to the frame and repeat it in three channels."""
        return cv2.cvtColor(self._enlarged(grid), cv2.COLOR_GRAY2RGB)
