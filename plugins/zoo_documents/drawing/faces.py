"""Portraits: people drawn once in soft light, kept, and shown with other light on every sample."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

HEIGHT, WIDTH = 60, 48
COUNT = 384  # people; with mirroring and light, far more portraits
_SKIN = np.array(
    [(244, 212, 188), (236, 196, 166), (220, 172, 138), (186, 132, 98), (132, 88, 62), (92, 62, 46)], np.float32
)
_HAIR = np.array(
    [(22, 20, 20), (45, 34, 28), (96, 66, 42), (190, 155, 100), (165, 165, 165), (130, 60, 34)], np.float32
)
_BACKDROP = np.array(
    [(240, 240, 240), (205, 215, 228), (222, 216, 204), (170, 196, 222), (190, 190, 190), (120, 150, 190)], np.float32
)
Floats = npt.NDArray[np.floating[Any]]


class Faces:
    """All people, drawn when first asked for: 3.3 MB when all are."""

    def __init__(self) -> None:
        self._kept: dict[int, npt.NDArray[np.uint8]] = {}

    def face(self, number: int) -> npt.NDArray[np.uint8]:
        """Portrait ``number`` of ``COUNT``: ``uint8 [60, 48, 3]``."""
        if number not in self._kept:
            self._kept[number] = draw(np.random.Generator(np.random.PCG64(number)))
        return self._kept[number]


class _Picture:
    """Soft ovals upon each other; x is -0.8..0.8 and y -1..1."""

    def __init__(self, backdrop: Floats, light: float) -> None:
        self.y = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
        self.x = np.linspace(-0.8, 0.8, WIDTH, dtype=np.float32)[None]
        shade = 1 - 0.12 * light * self.x - 0.1 * self.y
        self.pixels = backdrop * shade[..., None]

    def oval(self, x: float, y: float, wide: float, tall: float, blur: float = 1.0) -> Floats:
        """Mask of an ellipse in 0..1."""
        distance = np.sqrt(((self.x - x) / wide) ** 2 + ((self.y - y) / tall) ** 2)
        return np.clip((1 - distance) * (min(wide, tall) * 28 / blur) + 0.5, 0, 1)

    def paint(self, mask: Floats, colour: Floats, shade: Floats | float = 1.0) -> None:
        """Lay a colour over the picture."""
        body = colour * (np.asarray(shade, np.float32)[..., None])
        self.pixels += (body - self.pixels) * mask[..., None]


def draw(generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw a person: ``uint8 [60, 48, 3]``."""
    u = generator.random(24).tolist()
    picture = _Picture(_BACKDROP[int(6 * u[0])] * np.float32(0.8 + 0.2 * u[1]), 2 * u[2] - 1)
    x, y = 0.08 * (u[3] - 0.5), -0.2 + 0.1 * u[4]
    wide, tall = 0.3 + 0.07 * u[5], 0.42 + 0.07 * u[6]
    skin = _SKIN[int(6 * u[7])] * np.float32(0.9 + 0.15 * u[8])
    hair = _HAIR[int(6 * u[9])] * np.float32(0.8 + 0.5 * u[10])
    clothes = np.array(u[11:14], np.float32) * (60 + 190 * u[14])
    side = 2 * u[2] - 1
    grain = generator.random((HEIGHT, WIDTH), dtype=np.float32)
    combed = np.asarray(cv2.blur(grain, (1, 5)), np.float32)
    strands = 0.55 + 0.8 * combed - 0.25 * np.abs(picture.x - x + 0.1 * side)
    long = u[15] < 0.45
    if long:
        reach = 0.45 + 0.45 * u[16]
        picture.paint(picture.oval(x, y + 0.2, wide * (1.35 + 0.2 * u[17]), tall + 0.2 + 0.4 * reach), hair, strands)
    picture.paint(picture.oval(x, 1.1, 0.62 + 0.15 * u[18], 0.52), clothes, 1 - 0.3 * np.abs(picture.x))
    if u[19] < 0.4:
        picture.paint(picture.oval(x, 0.78, 0.12, 0.3), np.full(3, 235, np.float32))
    picture.paint(picture.oval(x, y + 0.55, wide * 0.62, 0.38), skin, 0.8 + 0.1 * side * picture.x)
    if not long or u[16] < 0.5:
        for ear in (-1, 1):
            picture.paint(picture.oval(x + ear * wide, y + 0.05, 0.06, 0.12), skin, 0.8)
    picture.paint(picture.oval(x, y - 0.12, wide * 1.13, tall * (0.95 + 0.15 * u[17])), hair, strands)
    across, down = (picture.x - x) / wide, (picture.y - y) / tall
    light = 0.82 + 0.25 * np.sqrt(np.maximum(0, 1 - across**2 * 0.8 - down**2 * 0.5)) + 0.16 * side * across
    picture.paint(picture.oval(x, y + 0.07, wide, tall * 0.95), skin, light)
    if u[20] < 0.75:  # hair over the forehead
        picture.paint(
            picture.oval(x + 0.15 * (u[21] - 0.5), y - tall * 0.85, wide * 0.98, tall * (0.3 + 0.25 * u[22]), 2),
            hair,
            strands,
        )
    _features(picture, generator, (x, y), (wide, tall), skin, hair)
    picture.pixels += 10 * (grain[..., None] - 0.5)
    return np.clip(picture.pixels, 0, 255).astype(np.uint8)


def _features(
    picture: _Picture,
    generator: np.random.Generator,
    centre: tuple[float, float],
    size: tuple[float, float],
    skin: Floats,
    hair: Floats,
) -> None:
    (x, y), (wide, tall) = centre, size
    u = generator.random(9).tolist()
    dark = np.array((35, 26, 24), np.float32)
    if u[0] < 0.25:  # beard
        picture.paint(0.85 * picture.oval(x, y + tall * 0.72, wide * 0.8, tall * 0.36, 3), hair, 0.9)
    for side in (-1, 1):
        eye = x + side * wide * (0.4 + 0.06 * u[1])
        picture.paint(0.5 * picture.oval(eye, y + 0.02, wide * 0.26, tall * 0.14, 3), skin, 0.6)
        picture.paint(picture.oval(eye, y + 0.03, wide * 0.16, tall * 0.06), np.full(3, 225, np.float32))
        picture.paint(picture.oval(eye, y + 0.03, wide * 0.09, tall * 0.075), dark)
        picture.paint(0.8 * picture.oval(eye, y - tall * 0.17, wide * 0.24, tall * 0.045), hair * 0.7 + dark * 0.3)
        if u[2] < 0.25:  # glasses
            rim = picture.oval(eye, y + 0.03, wide * 0.36, tall * 0.19) - picture.oval(
                eye, y + 0.03, wide * 0.27, tall * 0.13
            )
            picture.paint(np.clip(rim, 0, 1), dark)
    picture.paint(0.45 * picture.oval(x + 0.03 * (u[3] - 0.5), y + tall * 0.32, wide * 0.2, tall * 0.12, 2), skin, 0.62)
    mouth = np.array((170, 84, 80), np.float32) * np.float32(0.6 + 0.4 * skin[0] / 255)
    picture.paint(
        0.8 * picture.oval(x, y + tall * (0.6 + 0.05 * u[4]), wide * (0.3 + 0.12 * u[5]), tall * (0.05 + 0.04 * u[6])),
        mouth,
    )
