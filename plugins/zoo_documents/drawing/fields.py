"""What is filled in anew on every sample: text, portraits, signatures, codes and wear."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from zoo_documents.drawing.faces import COUNT, HEIGHT, WIDTH, Faces
from zoo_documents.drawing.fonts import Face, clipped, write
from zoo_documents.drawing.palettes import Colour  # noqa: TC001 - fields' types
from zoo_documents.drawing.words import Pattern  # noqa: TC001 - a field's type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cv2.typing import MatLike


class Field(Protocol):
    """A place on a document with its own content on every sample."""

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Draw new content onto the image in place."""


@dataclass(frozen=True, slots=True)
class Text:
    """One line after a pattern, cut at ``room``; ``relief`` is the edge of embossed characters."""

    face: Face
    pattern: Pattern
    x: int
    y: int
    colour: Colour
    relief: Colour | None = None
    right: bool = False
    room: int | None = None

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Write the line; if ``right``, so that it ends at ``x``."""
        mask, x = self.line(generator)
        if self.relief is not None:
            write(image, mask, x + 1, self.y + 1, self.relief)
        write(image, mask, x, self.y, self.colour)

    def line(self, generator: np.random.Generator) -> tuple[MatLike, int]:
        """Draw new content: a mask ``uint8 [height, width]`` and the x where it starts."""
        mask = self.face.line(self.pattern.fill(generator))[:, : self.room]
        return mask, self.x - mask.shape[1] if self.right else self.x


@dataclass(frozen=True, slots=True)
class Print:
    """Several lines in the same ink: they are blended as one, which is twice as fast."""

    lines: tuple[Text, ...]
    left: int
    top: int
    bottom: int

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Write all lines."""
        mask = np.zeros((self.bottom - self.top, image.shape[1] - self.left), np.uint8)
        for text in self.lines:
            ink, x = text.line(generator)
            shown = clipped(mask, ink, x - self.left, text.y - self.top)
            if shown is not None:
                cv2.max(*shown, dst=shown[0])
        first = self.lines[0]
        if first.relief is not None:
            write(image, mask, self.left + 1, self.top + 1, first.relief)
        write(image, mask, self.left, self.top, first.colour)


def gathered(fields: Iterable[Field], height: int) -> tuple[Field, ...]:
    """The same fields with all lines of one ink together, after all that is not a line."""
    inks: dict[tuple[Colour, Colour | None], list[Text]] = {}
    others: list[Field] = []
    for field in fields:
        if isinstance(field, Text):
            inks.setdefault((field.colour, field.relief), []).append(field)
        else:
            others.append(field)
    for lines in inks.values():
        top = max(0, min(text.y for text in lines))
        bottom = min(height, max(text.y + text.face.height for text in lines))
        left = max(0, min(0 if text.right else text.x for text in lines))
        others.append(Print(tuple(lines), left, top, bottom) if len(lines) > 1 and bottom > top else lines[0])
    return tuple(others)


@dataclass(frozen=True, slots=True)
class Lines:
    """Several lines after one pattern, with a pitch in pixels; as many as chance will, up to ``most``."""

    face: Face
    pattern: Pattern
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
            mask = self.face.line(self.pattern.fill(generator))
            width = self.width if line < count - 1 else self.width * 2 // 3
            write(image, mask[:, :width], self.x, self.y + line * self.pitch, self.colour)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photograph in a box: someone else on every sample, or with ``number`` always the same person.

    ``tint`` is the colour that a monochrome one is printed in.
    """

    faces: Faces
    x: int
    y: int
    width: int
    height: int
    tint: Colour | None = None
    opacity: float = 1.0
    number: int | None = None

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Show a person, cut a little differently each time, in other light."""
        person, cut, lean, light, mirrored = generator.bit_generator.random_raw(5).tolist()
        if self.number is not None:
            person = self.number
        margin = cut % 5
        left = lean % (margin + 1)
        face: MatLike = self.faces.face(person % COUNT)[margin : HEIGHT - margin // 2, left : WIDTH - margin + left]
        if mirrored % 2:
            face = cv2.flip(face, 1)
        picture: MatLike = cv2.resize(face, (self.width, self.height), interpolation=cv2.INTER_AREA)
        place = image[self.y : self.y + self.height, self.x : self.x + self.width]
        picture = picture[: place.shape[0], : place.shape[1]]
        if self.tint is not None:
            # Black becomes the tint, white stays white.
            table = np.linspace(self.tint, (255, 255, 255), 256).astype(np.uint8)[:, None]
            picture = cv2.applyColorMap(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), table)
        gain = 0.85 + 0.3 * light / 2**64
        place[:] = cv2.addWeighted(picture, gain * self.opacity, place, 1 - self.opacity, 0)


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
