"""Draw the faces of portraits; a face is drawn once and kept."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

HEIGHT, WIDTH = 60, 48
COUNT = 384  # people; cropping, mirroring and light make far more portraits of them
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
    """The faces of all people, drawn on first use: 3.3 MB if all are drawn."""

    def __init__(self) -> None:
        self._drawn: dict[int, npt.NDArray[np.uint8]] = {}

    def face(self, number: int) -> npt.NDArray[np.uint8]:
        """Return face ``number`` of ``COUNT``: ``uint8 [60, 48, 3]``."""
        if number not in self._drawn:
            self._drawn[number] = draw_face(np.random.Generator(np.random.PCG64(number)))
        return self._drawn[number]


class _Picture:
    """A picture made of soft ovals; x is in -0.8..0.8 and y in -1..1."""

    def __init__(self, backdrop: Floats, light: float) -> None:
        self.y = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
        self.x = np.linspace(-0.8, 0.8, WIDTH, dtype=np.float32)[None]
        shade = 1 - 0.12 * light * self.x - 0.1 * self.y
        self.pixels = backdrop * shade[..., None]

    def oval(self, x: float, y: float, width: float, height: float, blur: float = 1.0) -> Floats:
        """Return the mask of an ellipse, in 0..1."""
        distance = np.sqrt(((self.x - x) / width) ** 2 + ((self.y - y) / height) ** 2)
        return np.clip((1 - distance) * (min(width, height) * 28 / blur) + 0.5, 0, 1)

    def paint(self, mask: Floats, colour: Floats, shade: Floats | float = 1.0) -> None:
        """Blend a colour over the picture."""
        body = colour * (np.asarray(shade, np.float32)[..., None])
        self.pixels += (body - self.pixels) * mask[..., None]


def draw_face(generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw the face of a person: ``uint8 [60, 48, 3]``."""
    u = generator.random(24).tolist()
    side = 2 * u[2] - 1
    picture = _Picture(_BACKDROP[int(6 * u[0])] * np.float32(0.8 + 0.2 * u[1]), side)
    x, y = 0.08 * (u[3] - 0.5), -0.2 + 0.1 * u[4]
    width, height = 0.3 + 0.07 * u[5], 0.42 + 0.07 * u[6]
    skin = _SKIN[int(6 * u[7])] * np.float32(0.9 + 0.15 * u[8])
    hair = _HAIR[int(6 * u[9])] * np.float32(0.8 + 0.5 * u[10])
    clothes = np.array(u[11:14], np.float32) * (60 + 190 * u[14])
    grain = generator.random((HEIGHT, WIDTH), dtype=np.float32)
    combed = np.asarray(cv2.blur(grain, (1, 5)), np.float32)
    strands = 0.55 + 0.8 * combed - 0.25 * np.abs(picture.x - x + 0.1 * side)
    long_hair = u[15] < 0.45
    if long_hair:
        length = 0.45 + 0.45 * u[16]
        behind = picture.oval(x, y + 0.2, width * (1.35 + 0.2 * u[17]), height + 0.2 + 0.4 * length)
        picture.paint(behind, hair, strands)
    picture.paint(picture.oval(x, 1.1, 0.62 + 0.15 * u[18], 0.52), clothes, 1 - 0.3 * np.abs(picture.x))
    if u[19] < 0.4:  # a collar
        picture.paint(picture.oval(x, 0.78, 0.12, 0.3), np.full(3, 235, np.float32))
    picture.paint(picture.oval(x, y + 0.55, width * 0.62, 0.38), skin, 0.8 + 0.1 * side * picture.x)
    if not long_hair or u[16] < 0.5:
        for ear in (-1, 1):
            picture.paint(picture.oval(x + ear * width, y + 0.05, 0.06, 0.12), skin, 0.8)
    picture.paint(picture.oval(x, y - 0.12, width * 1.13, height * (0.95 + 0.15 * u[17])), hair, strands)
    across, down = (picture.x - x) / width, (picture.y - y) / height
    light = 0.82 + 0.25 * np.sqrt(np.maximum(0, 1 - across**2 * 0.8 - down**2 * 0.5)) + 0.16 * side * across
    picture.paint(picture.oval(x, y + 0.07, width, height * 0.95), skin, light)
    if u[20] < 0.75:
        forehead = (x + 0.15 * (u[21] - 0.5), y - height * 0.85)
        picture.paint(picture.oval(*forehead, width * 0.98, height * (0.3 + 0.25 * u[22]), 2), hair, strands)
    _paint_features(picture, generator, (x, y), (width, height), skin, hair)
    picture.pixels += 10 * (grain[..., None] - 0.5)
    return np.clip(picture.pixels, 0, 255).astype(np.uint8)


def _paint_features(
    picture: _Picture,
    generator: np.random.Generator,
    centre: tuple[float, float],
    size: tuple[float, float],
    skin: Floats,
    hair: Floats,
) -> None:
    """Paint beard, eyes, brows, glasses, nose and mouth."""
    (x, y), (width, height) = centre, size
    u = generator.random(9).tolist()
    dark = np.array((35, 26, 24), np.float32)
    if u[0] < 0.25:  # a beard
        picture.paint(0.85 * picture.oval(x, y + height * 0.72, width * 0.8, height * 0.36, 3), hair, 0.9)
    for side in (-1, 1):
        eye = x + side * width * (0.4 + 0.06 * u[1])
        picture.paint(0.5 * picture.oval(eye, y + 0.02, width * 0.26, height * 0.14, 3), skin, 0.6)
        picture.paint(picture.oval(eye, y + 0.03, width * 0.16, height * 0.06), np.full(3, 225, np.float32))
        picture.paint(picture.oval(eye, y + 0.03, width * 0.09, height * 0.075), dark)
        brow = picture.oval(eye, y - height * 0.17, width * 0.24, height * 0.045)
        picture.paint(0.8 * brow, hair * 0.7 + dark * 0.3)
        if u[2] < 0.25:  # glasses
            outer = picture.oval(eye, y + 0.03, width * 0.36, height * 0.19)
            inner = picture.oval(eye, y + 0.03, width * 0.27, height * 0.13)
            picture.paint(np.clip(outer - inner, 0, 1), dark)
    nose = picture.oval(x + 0.03 * (u[3] - 0.5), y + height * 0.32, width * 0.2, height * 0.12, 2)
    picture.paint(0.45 * nose, skin, 0.62)
    lips = np.array((170, 84, 80), np.float32) * np.float32(0.6 + 0.4 * skin[0] / 255)
    mouth_size = (width * (0.3 + 0.12 * u[5]), height * (0.05 + 0.04 * u[6]))
    picture.paint(0.8 * picture.oval(x, y + height * (0.6 + 0.05 * u[4]), *mouth_size), lips)
