"""Fill the fields of a document with new content on every sample: text, portraits, signatures and barcodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from zoo_documents.drawing.faces import COUNT, HEIGHT, WIDTH, Faces
from zoo_documents.drawing.fonts import Font, blend_mask, overlap_of
from zoo_documents.drawing.palettes import Colour  # noqa: TC001 - fields' types
from zoo_documents.drawing.words import Pattern  # noqa: TC001 - a field's type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cv2.typing import MatLike


class Field(Protocol):
    """A region of a document that has its own content on every sample."""

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Draw new content onto the image in place."""


@dataclass(frozen=True, slots=True)
class Text:
    """One line made from a pattern, cut at ``max_width``; ``relief`` is the colour of the edge of embossed text."""

    font: Font
    pattern: Pattern
    x: int
    y: int
    colour: Colour
    relief: Colour | None = None
    right: bool = False
    max_width: int | None = None

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Write the line; with ``right`` it ends at ``x``."""
        mask, x = self.draw_line(generator)
        if self.relief is not None:
            blend_mask(image, mask, x + 1, self.y + 1, self.relief)
        blend_mask(image, mask, x, self.y, self.colour)

    def draw_line(self, generator: np.random.Generator) -> tuple[MatLike, int]:
        """Draw new content: a mask ``uint8 [height, width]`` and the x where it starts."""
        mask = self.font.draw_line(self.pattern.fill(generator))[:, : self.max_width]
        return mask, self.x - mask.shape[1] if self.right else self.x


@dataclass(frozen=True, slots=True)
class TextGroup:
    """Several lines in the same ink: they are blended at once, which is twice as fast."""

    lines: tuple[Text, ...]
    left: int
    top: int
    bottom: int

    def fill(self, image: MatLike, generator: np.random.Generator) -> None:
        """Write all lines."""
        mask = np.zeros((self.bottom - self.top, image.shape[1] - self.left), np.uint8)
        for text in self.lines:
            ink, x = text.draw_line(generator)
            overlap = overlap_of(mask, ink, x - self.left, text.y - self.top)
            if overlap is not None:
                cv2.max(*overlap, dst=overlap[0])
        first = self.lines[0]
        if first.relief is not None:
            blend_mask(image, mask, self.left + 1, self.top + 1, first.relief)
        blend_mask(image, mask, self.left, self.top, first.colour)


def group_by_ink(fields: Iterable[Field], height: int) -> tuple[Field, ...]:
    """Group all lines of text that have the same ink; the groups follow all other fields."""
    inks: dict[tuple[Colour, Colour | None], list[Text]] = {}
    grouped: list[Field] = []
    for field in fields:
        if isinstance(field, Text):
            inks.setdefault((field.colour, field.relief), []).append(field)
        else:
            grouped.append(field)
    for lines in inks.values():
        top = max(0, min(text.y for text in lines))
        bottom = min(height, max(text.y + text.font.height for text in lines))
        left = max(0, min(0 if text.right else text.x for text in lines))
        grouped.append(TextGroup(tuple(lines), left, top, bottom) if len(lines) > 1 and bottom > top else lines[0])
    return tuple(grouped)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A random number of lines, ``least`` to ``most``, made from one pattern; ``pitch`` is in pixels."""

    font: Font
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
            mask = self.font.draw_line(self.pattern.fill(generator))
            width = self.width if line < count - 1 else self.width * 2 // 3
            blend_mask(image, mask[:, :width], self.x, self.y + line * self.pitch, self.colour)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photograph of a face: a random person on every sample, or with ``number`` always the same one.

    ``tint`` is the colour in which a monochrome photograph is printed.
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
        """Draw a face with a random crop, mirroring and brightness."""
        person, crop, shift, light, mirrored = generator.bit_generator.random_raw(5).tolist()
        if self.number is not None:
            person = self.number
        margin = crop % 5
        left = shift % (margin + 1)
        face: MatLike = self.faces.face(person % COUNT)[margin : HEIGHT - margin // 2, left : WIDTH - margin + left]
        if mirrored % 2:
            face = cv2.flip(face, 1)
        picture: MatLike = cv2.resize(face, (self.width, self.height), interpolation=cv2.INTER_AREA)
        region = image[self.y : self.y + self.height, self.x : self.x + self.width]
        picture = picture[: region.shape[0], : region.shape[1]]
        if self.tint is not None:
            # Black becomes the tint, white stays white.
            table = np.linspace(self.tint, (255, 255, 255), 256).astype(np.uint8)[:, None]
            picture = cv2.applyColorMap(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), table)
        gain = 0.85 + 0.3 * light / 2**64
        region[:] = cv2.addWeighted(picture, gain * self.opacity, region, 1 - self.opacity, 0)


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
        curve = np.stack([x, y], axis=1).astype(np.int32)
        cv2.polylines(image, [curve], isClosed=False, color=self.colour, thickness=1, lineType=cv2.LINE_AA)


@dataclass(frozen=True, slots=True)
class Barcode:
    """A linear barcode, or with ``square`` a two-dimensional one."""

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
        region = image[self.y : self.y + self.height, self.x : self.x + self.width]
        region[:] = drawn[: region.shape[0], : region.shape[1], None]
