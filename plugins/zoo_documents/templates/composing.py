"""Compose a template, which all samples of a class share, from seed, split and number alone."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from zoo_core.api import seeded_generator
from zoo_documents.drawing.fields import Field, group_by_ink
from zoo_documents.drawing.pages import Page
from zoo_documents.drawing.wear import add_wear
from zoo_documents.templates.kinds import choose_kind

if TYPE_CHECKING:
    from zoo_core.api import UInt8Image
    from zoo_documents.drawing.pages import Assets

Split = Literal["train", "unseen"]

# Every fourth template is a hard negative: the template three before it with one element changed.
FAMILY = 4
# The change is visible: with the same content and at a network's resolution, the largest difference is this or more.
_LEAST_DIFFERENCE = 40  # of 255
_NETWORK_SIZE = (96, 96)


@dataclass(frozen=True, slots=True)
class Template:
    """A printed layer ``uint8 [H, W, 3]`` whose longest side is 160, and the fields that samples fill."""

    kind: str
    layer: UInt8Image
    fields: tuple[Field, ...]

    @property
    def nbytes(self) -> int:
        """Memory in use: the pixels of the layer, and about 6 kB of fields (measured)."""
        return self.layer.nbytes + 6144

    def sample(self, generator: np.random.Generator) -> UInt8Image:
        """Return a sample, with random names, numbers, portraits and wear: ``uint8 [H, W, 3]`` RGB."""
        image = self.layer.copy()
        for field in self.fields:
            field.fill(image, generator)
        add_wear(image, generator)
        return image


def generator_for(seed: int, split: Split, *path: int | str) -> np.random.Generator:
    """Return the generator for ``path`` in a split: the same in every process, an independent one for another path.

    The paths in use: ``(template, 0)`` for its kind and change, ``(template, 1, stream)`` for an element of its design,
    ``(template, 2, sample)`` for a sample, ``(template, 3)`` for the comparison of a hard negative with its original.
    """
    return seeded_generator(repr((seed, split, *path)).encode())


def original_of(number: int) -> int | None:
    """Return the number of the template of which this one is a variant, or ``None``."""
    return number - FAMILY + 1 if number % FAMILY == FAMILY - 1 else None


def compose(seed: int, split: Split, number: int, assets: Assets, original: Template | None = None) -> Template:
    """Compose template ``number`` of a split; for a variant, ``original`` saves the time of composing it again."""
    base = original_of(number)
    if base is None:
        return _compose_design(seed, split, number, assets)
    original = original or _compose_design(seed, split, base, assets)
    generator = generator_for(seed, split, number, 0)
    changes = choose_kind(generator_for(seed, split, base, 0).random()).changes
    first = int(generator.integers(len(changes)))
    # At least a quarter of the colour circle, so that the colour is another one.
    turn = 0.25 + 0.5 * float(generator.random())
    for element in changes[first:] + changes[:first]:
        change = _Change(element, number, turn if element == "colour" else 0.0)
        variant = _compose_design(seed, split, base, assets, change)
        samples = (template.sample(generator_for(seed, split, base, 3)) for template in (original, variant))
        if _largest_difference(*samples) >= _LEAST_DIFFERENCE:
            break
    return variant


@dataclass(frozen=True, slots=True)
class _Change:
    """The element of a design that is drawn for ``number`` instead, and by how much the hues turn."""

    element: str
    number: int
    hue_turn: float


def _compose_design(seed: int, split: Split, number: int, assets: Assets, change: _Change | None = None) -> Template:
    kind = choose_kind(generator_for(seed, split, number, 0).random())

    def generator(stream: str) -> np.random.Generator:
        drawn_for = change.number if change is not None and stream == change.element else number
        return generator_for(seed, split, drawn_for, 1, stream)

    aspect = kind.narrowest + (kind.widest - kind.narrowest) * float(generator("aspect").random())
    page = Page(aspect, generator, assets, calm=kind.calm, hue_turn=change.hue_turn if change else 0.0)
    kind.compose(page)
    if kind.rounded and generator("corners").random() < 0.5:
        _round_corners(page)
    return Template(kind.name, page.finished(), group_by_ink(page.fields, page.height))


def _largest_difference(first: UInt8Image, second: UInt8Image) -> int:
    """Return the largest difference of two images at a network's resolution, in 0..255."""
    reduced = (cv2.resize(image, _NETWORK_SIZE, interpolation=cv2.INTER_AREA) for image in (first, second))
    return int(cv2.absdiff(*reduced).max())


def _round_corners(page: Page) -> None:
    """Paint what is beyond round corners in the colour on which the document was scanned."""
    height, width = page.canvas.shape[:2]
    radius = page.canvas_length(0.07)
    mask = np.zeros((height, width), np.uint8)
    cv2.rectangle(mask, (radius, 0), (width - radius, height), 255, -1)
    cv2.rectangle(mask, (0, radius), (width, height - radius), 255, -1)
    for x in (radius, width - 1 - radius):
        for y in (radius, height - 1 - radius):
            cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)
    # Most scans are on white, some on black or grey.
    grey = (255, 255, 255, 255, 255, 255, 0, 0, 128, 220)[int(page.generator("beyond").integers(10))]
    page.canvas[mask < 128] = grey
