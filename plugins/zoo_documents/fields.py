"""What is filled in anew on every sample: text, portraits, signatures, codes and wear."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from zoo_documents.lettering import Face, write
from zoo_documents.palettes import Colour, mixed
from zoo_documents.words import Script, fill

if TYPE_CHECKING:
    from cv2.typing import MatLike

_SKIN: tuple[Colour, ...] = (
    (244, 212, 188),
    (232, 190, 160),
    (214, 165, 130),
    (176, 122, 88),
    (128, 84, 58),
    (88, 58, 42),
)
_HAIR: tuple[Colour, ...] = ((25, 22, 20), (60, 40, 28), (105, 70, 40), (190, 150, 90), (150, 150, 150), (130, 55, 30))


class Field(Protocol):
    """A place on a document with its own content on every sample."""

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Draw new content onto the image in place."""


@dataclass(frozen=True, slots=True)
class Text:
    """One line after a pattern (see ``words.fill``), cut at ``room``; ``relief`` is the edge of embossed characters."""

    face: Face
    pattern: str
    script: Script
    x: int
    y: int
    colour: Colour
    relief: Colour | None = None
    right: bool = False
    room: int | None = None

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Write the line; if ``right``, so that it ends at ``x``."""
        mask = self.face.line(fill(self.pattern, generator, self.script))[:, : self.room]
        x = self.x - mask.shape[1] if self.right else self.x
        if self.relief is not None:
            write(image, mask, x + 1, self.y + 1, self.relief)
        write(image, mask, x, self.y, self.colour)


@dataclass(frozen=True, slots=True)
class Lines:
    """Several lines after one pattern, with a pitch in pixels; as many as chance will, up to ``most``."""

    face: Face
    pattern: str
    script: Script
    x: int
    y: int
    width: int
    pitch: int
    least: int
    most: int
    colour: Colour

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Write the lines, cut at the width; the last one is short."""
        count = int(generator.integers(self.least, self.most + 1))
        for line in range(count):
            mask = self.face.line(fill(self.pattern, generator, self.script))
            width = self.width if line < count - 1 else self.width * 2 // 3
            write(image, mask[:, :width], self.x, self.y + line * self.pitch, self.colour)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A face in a box."""

    x: int
    y: int
    width: int
    height: int
    backdrop: Colour
    grey: bool
    opacity: float = 1.0

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Draw a person who differs in skin, hair, clothes and proportions."""
        u = generator.random(14).tolist()
        width, height = self.width, self.height
        picture = np.full((height, width, 3), mixed(self.backdrop, (255, 255, 255), 0.6 * u[0]), np.uint8)
        skin = mixed(_SKIN[int(6 * u[1])], _SKIN[int(6 * u[2])], 0.35)
        hair = _HAIR[int(6 * u[3])]
        clothes = (int(230 * u[4]), int(230 * u[5]), int(230 * u[6]))
        centre = (int(width * (0.46 + 0.08 * u[7])), int(height * (0.42 + 0.06 * u[8])))
        head = (max(2, int(width * (0.2 + 0.06 * u[9]))), max(3, int(height * (0.22 + 0.05 * u[10]))))
        if u[11] < 0.45:
            below = (centre[0], centre[1] + head[1] // 2)
            _oval(picture, below, (int(head[0] * 1.45), int(head[1] * (1.3 + 0.5 * u[12]))), hair)
        _oval(
            picture, (centre[0], int(height * 1.12)), (int(width * (0.42 + 0.1 * u[13])), int(height * 0.36)), clothes
        )
        neck = head[0] // 2
        cv2.rectangle(
            picture,
            (centre[0] - neck, centre[1]),
            (centre[0] + neck, int(height * 0.82)),
            mixed(skin, (0, 0, 0), 0.15),
            -1,
        )
        _oval(
            picture,
            (centre[0], centre[1] - head[1] // 3),
            (int(head[0] * 1.12), int(head[1] * (0.75 + 0.25 * u[12]))),
            hair,
        )
        _oval(picture, (centre[0], centre[1] + head[1] // 6), (head[0], int(head[1] * 0.92)), skin)
        for side in (-1, 1):
            cv2.circle(
                picture,
                (centre[0] + side * head[0] // 2, centre[1] + head[1] // 12),
                max(1, width // 30),
                (40, 30, 30),
                -1,
                cv2.LINE_AA,
            )
        mouth = centre[1] + int(head[1] * 0.65)
        cv2.line(
            picture, (centre[0] - head[0] // 3, mouth), (centre[0] + head[0] // 3, mouth), (150, 70, 70), 1, cv2.LINE_AA
        )
        if self.grey:
            picture[:] = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:, :, None]
        place = image[self.y : self.y + height, self.x : self.x + width]
        visible = picture[: place.shape[0], : place.shape[1]]
        place[:] = cv2.addWeighted(visible, self.opacity, place, 1 - self.opacity, 0)


@dataclass(frozen=True, slots=True)
class Signature:
    """A scribble in a box."""

    x: int
    y: int
    width: int
    height: int
    colour: Colour

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Draw loops that drift to the right."""
        rate, lean, swing, *phases = generator.random(6).tolist()
        t = np.linspace(0, 1, 40)
        x = self.x + self.width * (0.85 * t + 0.1 * lean * np.sin(t * (15 + 25 * rate) + 6 * phases[0]) + 0.05)
        beat = np.sin(t * (18 + 25 * rate) + 6 * phases[1]) * (0.3 + 0.7 * np.abs(np.sin(t * 5 + 6 * phases[2])))
        y = self.y + self.height * (0.5 + (0.25 + 0.25 * swing) * beat)
        cv2.polylines(
            image,
            [np.stack([x, y], axis=1).astype(np.int32)],
            isClosed=False,
            color=self.colour,
            thickness=1,
            lineType=cv2.LINE_AA,
        )


@dataclass(frozen=True, slots=True)
class Code:
    """A barcode, or with ``square`` a two-dimensional one."""

    x: int
    y: int
    width: int
    height: int
    square: bool

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Draw random modules, with finder patterns if square."""
        modules = (15, 15) if self.square else (1, max(8, self.width // 2))
        pattern = generator.integers(0, 2, modules, dtype=np.uint8) * 235 + 10
        if self.square:
            for row, column in ((0, 0), (0, 10), (10, 0)):
                pattern[row : row + 5, column : column + 5] = 15
                pattern[row + 1 : row + 4, column + 1 : column + 4] = 245
                pattern[row + 2, column + 2] = 15
        drawn = cv2.resize(pattern, (self.width, self.height), interpolation=cv2.INTER_NEAREST)
        place = image[self.y : self.y + self.height, self.x : self.x + self.width]
        place[:] = drawn[: place.shape[0], : place.shape[1], None]


def wear(image: MatLike, generator: np.random.Generator) -> None:
    """Some documents are scratched, some stained."""
    scratched, stained, count, tone, *place = generator.random(7).tolist()
    height, width = image.shape[:2]
    if scratched < 0.15:
        colour = (int(120 + 120 * tone),) * 3
        for x, y, angle, length in generator.random((1 + int(3 * count), 4)).tolist():
            start = (int(x * width), int(y * height))
            reach = 0.3 * length * width
            end = (int(start[0] + reach * math.cos(6 * angle)), int(start[1] + reach * math.sin(6 * angle)))
            cv2.line(image, start, end, colour, 1, cv2.LINE_AA)
    if stained < 0.1:
        size = int(8 + 20 * count)
        left, top = int(place[0] * (width - size)), int(place[1] * (height - size))
        spot = image[max(0, top) : top + size, max(0, left) : left + size]
        spot[:] = cv2.addWeighted(spot, 0.85, np.full_like(spot, int(180 * place[2])), 0.15, 0)


def _oval(picture: MatLike, centre: tuple[int, int], axes: tuple[int, int], colour: Colour) -> None:
    cv2.ellipse(picture, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
