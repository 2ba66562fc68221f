"""Templates: what all samples of one class share, decided by seed, split and number alone."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - a field's type
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from zoo_core.api import seeded_generator
from zoo_documents.drawing.fields import Field, group_by_ink
from zoo_documents.drawing.pages import Page
from zoo_documents.drawing.wear import add_wear
from zoo_documents.templates import bank_cards, identity_cards, others, sheets

if TYPE_CHECKING:
    from zoo_core.api import UInt8Image
    from zoo_documents.drawing.pages import Assets

Split = Literal["train", "unseen"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of document: its share of all templates, and width / height from ``narrowest`` to ``widest``.

    ``changes`` are the parts of the design by which alone a variant may differ.
    """

    name: str
    compose: Callable[[Page], None]
    share: float
    narrowest: float
    widest: float
    calm: bool
    changes: tuple[str, ...]


_CARD = ("colour", "emblem", "title")
KINDS = (
    Kind("bank_card", bank_cards.bank_card, 0.52, 1.585, 1.585, calm=False, changes=(*_CARD, "mark")),
    Kind("bank_card_upright", bank_cards.bank_card, 0.06, 0.63, 0.63, calm=False, changes=(*_CARD, "mark")),
    Kind("card_back", bank_cards.card_back, 0.02, 1.585, 1.585, calm=False, changes=_CARD),
    Kind("member_card", others.member_card, 0.05, 1.4, 1.7, calm=False, changes=_CARD),
    Kind("identity_card", identity_cards.identity_card, 0.11, 1.42, 1.65, calm=True, changes=_CARD),
    Kind("driving_licence", identity_cards.driving_licence, 0.05, 1.5, 1.6, calm=True, changes=_CARD),
    Kind("passport", identity_cards.passport, 0.06, 1.3, 1.46, calm=True, changes=("colour", "title")),
    Kind("banknote", others.banknote, 0.02, 1.7, 2.4, calm=True, changes=("colour", "emblem")),
    Kind("business_card", others.business_card, 0.03, 1.5, 1.8, calm=False, changes=_CARD),
    Kind("letter", sheets.letter, 0.02, 0.707, 0.773, calm=True, changes=_CARD),
    Kind("form", sheets.form, 0.02, 0.707, 1.414, calm=True, changes=("colour", "emblem")),
    Kind("receipt", sheets.receipt, 0.02, 0.4, 0.6, calm=True, changes=("title",)),
    Kind("ticket", sheets.ticket, 0.02, 1.9, 2.7, calm=False, changes=("colour", "emblem")),
)

# Every fourth template is the one three before it with one thing changed: documents that are hard to tell apart.
FAMILY = 4
# But not impossible: filled in alike and as small as a network sees them, they differ by this much of 255 somewhere.
_SHOWS = 40
_SEEN = (96, 96)


@dataclass(frozen=True, slots=True)
class Template:
    """A printed layer ``uint8 [H, W, 3]`` with longest side 160, and the fields to fill."""

    kind: str
    layer: UInt8Image
    fields: tuple[Field, ...]

    @property
    def nbytes(self) -> int:
        """Memory that it takes: the layer's pixels, and as measured about 6 kB of fields."""
        return self.layer.nbytes + 6144

    def sample(self, generator: np.random.Generator) -> UInt8Image:
        """Fill in names, numbers, portraits: ``uint8 [H, W, 3]`` RGB."""
        image = self.layer.copy()
        for field in self.fields:
            field.fill(image, generator)
        add_wear(image, generator)
        return image


def key(seed: int, split: Split, *numbers: int | str) -> np.random.Generator:
    """Return the generator of one thing: the same in every process, another for another split."""
    return seeded_generator(repr((seed, split, *numbers)).encode())


def original_of(number: int) -> int | None:
    """The number of the template from which this one differs by one thing, or ``None``."""
    return number - FAMILY + 1 if number % FAMILY == FAMILY - 1 else None


def compose(seed: int, split: Split, number: int, assets: Assets, original: Template | None = None) -> Template:
    """Compose template ``number`` of a split; its ``original`` is composed too if it is not at hand."""
    base = original_of(number)
    if base is None:
        return _composed(seed, split, number, assets)
    original = original or _composed(seed, split, base, assets)
    draws = key(seed, split, number, 0)
    changes = _kind(key(seed, split, base, 0).random()).changes
    first = int(draws.integers(len(changes)))
    # Far enough round the circle to be another colour.
    turn = 0.25 + 0.5 * float(draws.random())
    for change in changes[first:] + changes[:first]:
        variant = _composed(seed, split, base, assets, _Change(change, number, turn if change == "colour" else 0.0))
        if _difference(*(each.sample(key(seed, split, base, 3)) for each in (original, variant))) >= _SHOWS:
            break
    return variant


@dataclass(frozen=True, slots=True)
class _Change:
    """The part of a design that is drawn after ``number``, and by how many turns the hues are turned."""

    part: str
    number: int
    hue_turn: float


def _composed(seed: int, split: Split, number: int, assets: Assets, change: _Change | None = None) -> Template:
    sort = _kind(key(seed, split, number, 0).random())

    def part(name: str) -> np.random.Generator:
        drawn_after = change.number if change is not None and name == change.part else number
        return key(seed, split, drawn_after, 1, name)

    aspect = sort.narrowest + (sort.widest - sort.narrowest) * float(part("aspect").random())
    page = Page(aspect, part, assets, calm=sort.calm, hue_turn=change.hue_turn if change else 0.0)
    sort.compose(page)
    if (
        sort.compose in {bank_cards.bank_card, bank_cards.card_back, others.member_card, identity_cards.identity_card}
        and part("corners").random() < 0.5
    ):
        _round_corners(page)
    return Template(sort.name, page.finished(), group_by_ink(page.fields, page.height))


def _difference(first: UInt8Image, second: UInt8Image) -> int:
    """The largest difference of two images of one size, as a network sees them, in 0..255."""
    seen = (cv2.resize(image, _SEEN, interpolation=cv2.INTER_AREA) for image in (first, second))
    return int(cv2.absdiff(*seen).max())


def _kind(draw: float) -> Kind:
    for kind in KINDS[:-1]:
        draw -= kind.share
        if draw < 0:
            return kind
    return KINDS[-1]


def _round_corners(page: Page) -> None:
    """Cut the corners as a scan on white shows them."""
    height, width = page.canvas.shape[:2]
    radius = page.canvas_length(0.07)
    mask = np.zeros((height, width), np.uint8)
    cv2.rectangle(mask, (radius, 0), (width - radius, height), 255, -1)
    cv2.rectangle(mask, (0, radius), (width, height - radius), 255, -1)
    for x in (radius, width - 1 - radius):
        for y in (radius, height - 1 - radius):
            cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)
    # Most scans are shown on white, some on black or grey.
    page.canvas[mask < 128] = (255, 255, 255, 255, 255, 255, 0, 0, 128, 220)[int(page.generator("beyond").integers(10))]
