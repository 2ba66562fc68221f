"""What a template decides at random is independent: no random number decides two unrelated things."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from zoo_documents.drawing.fields import Barcode
from zoo_documents.drawing.pages import Assets, Page
from zoo_documents.drawing.words import TITLES
from zoo_documents.templates import bank_cards, member_cards
from zoo_documents.templates.composing import generator_for
from zoo_documents.templates.kinds import KINDS

DOCUMENTS = 2000
ASSETS = Assets()
READABLE_INKS = ((25, 25, 30), (248, 248, 248))


class RecordingPage(Page):
    """A page that records what is printed on it instead of drawing it."""

    def __init__(self, kind, number):
        super().__init__(
            kind.narrowest, lambda stream: generator_for(0, "train", number, 1, stream), ASSETS, calm=kind.calm
        )
        # The same for all, so that it is no common cause; and one in which numbers and titles may be translated.
        self.script = "greek"
        self.title_font = "title font"
        self.number_font = self.body_font = "body font"
        self.texts, self.boxes, self.text_fields = [], [], []
        self.emblems, self.word_counts, self.contactless = {}, {}, None

    def paint(self, *, calm):
        """Leave the background black."""

    def picture(self, stream="art", *, calm=False):
        """Leave pictures out."""

    def box(self, x, y, right, bottom, *_colour_and_thickness):
        self.boxes.append(SimpleNamespace(x=x, y=y, right=right, bottom=bottom))

    def emblem(self, x, y, radius, stream="emblem"):
        self.emblems[stream] = SimpleNamespace(x=x, y=y, radius=radius)
        if stream == "watermark":
            self.canvas[:] = 255

    def words(self, stream, count, *, capitals=False):
        self.word_counts[stream] = (count, capitals)
        return stream

    def text(self, text, x, y, size, _colour=None, font=None, align=0.0, **_max_width):
        self.texts.append(SimpleNamespace(text=text, x=x, y=y, size=size, font=font, align=align))

    def field(self, pattern, x, y, size, colour=None, font=None, *, script=None, relief=None, stretch=1.0, **_others):
        values = {"x": x, "y": y, "size": size, "colour": colour, "font": font}
        self.text_fields.append(
            SimpleNamespace(pattern=pattern, script=script, relief=relief, stretch=stretch, **values)
        )


def find_text(page, *texts):
    return next((found for found in page.texts if found.text in texts), None)


def find_field(page, *patterns):
    return next((found for found in page.text_fields if found.pattern in patterns), None)


def observe_bank_card(page):
    name = find_text(page, "title", "title Bank")
    slogan = find_text(page, "slogan") is not None
    observed = {
        "issuer side": name.align,
        "issuer y": name.y + 0.035 * slogan,
        "issuer size": (name.size - 9) / 5 if slogan else (name.size - 10) / 7,
        "issuer words": page.word_counts["title"][0],
        "issuer suffix": name.text,
        "emblem size": page.emblems["emblem"].radius,
        "slogan": slogan,
        "partner": "partner" in page.emblems,
    }
    tier = find_text(page, *TITLES["bank"])
    observed["tier"] = tier is not None
    if tier is not None:
        # A tier that would cover the issuer is moved down.
        spot = (tier.x, 0.12 if tier.y == 0.72 else tier.y)
        observed |= {"tier title": tier.text, "tier spot": spot, "tier font": tier.font, "tier size": tier.size}
    observed["contactless"] = page.contactless is not None
    if page.contactless is not None and page.contactless.x == 0.92:
        observed["contactless y"] = page.contactless.y
    if "print" in page.word_counts:
        observed["notice words"], observed["notice capitals"] = page.word_counts["print"]
    if find_text(page, "SOLVA", "norda", "ORBIS") and any(box.right == 0.96 for box in page.boxes):
        observed["mark size"] = find_text(page, "SOLVA", "norda", "ORBIS").size
        observed["mark details"] = sum(box.right == 0.96 for box in page.boxes)
    return observed | observe_fields_of_bank_card(page)


def observe_fields_of_bank_card(page):
    dates = find_field(page, "{m}/{s}", "{m}/{s}-{m}/{s}", "{m} / {s}")
    if dates is None:
        return {"number": "none"}
    number = find_field(page, "#### #### #### ####", "#### ###### #####")
    blocks = [field for field in page.text_fields if field.pattern == "####"]
    first = number or blocks[0]
    metal = None if first.colour in READABLE_INKS else first.colour
    observed = {
        "number": len(blocks) if number is None else "line",
        "number script": first.script,
        "embossing": "flat" if first.relief is None else "plain" if metal is None else "metal",
        "metal": metal,
        "dates pattern": dates.pattern,
    }
    if number is not None:
        values = {"x": number.x, "y": number.y, "pattern": number.pattern, "stretch": number.stretch}
        observed |= {f"number {name}": value for name, value in values.items()}
        observed["short number"] = bool(blocks)
    elif page.height > page.width:
        observed |= {"number y": first.y, "number size": first.size}
    if page.width > page.height:
        caption = find_text(page, "VALID THRU", "GOOD THRU", "MONTH/YEAR", " ")
        observed |= {"dates x": caption.x, "dates y": caption.y, "dates caption": caption.text}
    holder = find_field(page, "{U} {U}")
    observed["holder"] = holder is not None
    if holder is not None and page.width > page.height:
        observed["holder size"] = holder.size
    # Where the number is not embossed its font is the body font, too.
    if holder is not None and first.relief is not None:
        observed["holder font"] = holder.font
    return observed


def observe_security_features(page):
    observed = {}
    barcode = next((field for field in page.fields if isinstance(field, Barcode)), None)
    if barcode is not None:
        observed |= {"barcode width": barcode.width, "square": barcode.square}
    if "watermark" in page.emblems:
        observed["watermark size"] = page.emblems["watermark"].radius
        observed["watermark opacity"] = int(page.canvas[-1, -1, 0])
    return observed


def observe_title_band(page):
    emblem = page.emblems["emblem"]
    height = 2 * (emblem.y - 0.01)
    issuer, title = page.texts[:2]
    return observe_security_features(page) | {
        "band height": height,
        "emblem size": emblem.radius - 0.45 * height,
        "issuer size": issuer.size,
        "title size": title.size,
        "title in latin": title.text != "heading",
    }


def observe_driving_licence(page):
    classes = [text for text in page.texts if text.text in set("ABCDEFM")]
    return observe_title_band(page) | {"value size": page.text_fields[0].size, "classes": len(classes)}


def observe_business_card(page):
    emblem = page.emblems["emblem"]
    observed = {
        "emblem x": emblem.x,
        "emblem y": emblem.y,
        "emblem size": emblem.radius,
        "address side": page.text_fields[1].x,
    }
    band = page.boxes[0] if page.boxes else None
    if band is not None and (band.x, band.y) != (0.04, 0.4):
        observed["band side"] = (band.x > 0, band.y > 0, band.bottom < 1)
        observed["band width"] = band.right if band.right < 1 else 1 - band.x if band.x else band.bottom
        if band.y > 0:
            observed["band width"] = 2 * (1 - band.y)
    return observed


def observe_member_card(page):
    observed = {"emblem x": page.emblems["emblem"].x, "emblem size": page.emblems["emblem"].radius}
    columns = page.canvas.any(axis=(0, 2))
    if columns.any():
        observed["figure x"] = int(columns.argmax())
    return observed


OBSERVERS = {
    "bank_card": observe_bank_card,
    "bank_card_upright": observe_bank_card,
    "identity_card": observe_title_band,
    "driving_licence": observe_driving_licence,
    "passport": observe_security_features,
    "business_card": observe_business_card,
    "member_card": observe_member_card,
}


def categories(values):
    """Number the values: by themselves if there are few different ones, else by quartile."""
    distinct = sorted(set(values), key=str)
    if len(distinct) <= 14:
        return np.array([distinct.index(value) for value in values])
    return np.searchsorted(np.quantile(values, (0.25, 0.5, 0.75)), values)


def dependence(pairs):
    """Chi-squared of the contingency table, in standard deviations above what independence leads one to expect."""
    first, second = (categories(values) for values in zip(*pairs, strict=True))
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1)
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    if freedom == 0:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return (((table - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


@pytest.mark.parametrize("name", OBSERVERS)
def test_decisions_are_independent(name, monkeypatch):
    def mark_centre(canvas, _generator, _palette, centre, _radius):
        canvas[centre[1], centre[0]] = 255

    def record_contactless_sign(page, x, y, _size):
        page.contactless = SimpleNamespace(x=x, y=y)

    monkeypatch.setattr(member_cards, "draw_figure", mark_centre)
    monkeypatch.setattr(bank_cards, "draw_contactless_sign", record_contactless_sign)
    kind = next(kind for kind in KINDS if kind.name == name)
    documents = []
    for number in range(DOCUMENTS):
        page = RecordingPage(kind, number)
        kind.compose(page)
        documents.append(OBSERVERS[name](page))
    decisions = sorted({decision for document in documents for decision in document})
    dependent = {}
    for first, second in combinations(decisions, 2):
        pairs = [(each[first], each[second]) for each in documents if None not in (each.get(first), each.get(second))]
        if len(pairs) >= 100 and dependence(pairs) > 30:
            dependent[first, second] = round(dependence(pairs))
    assert not dependent
