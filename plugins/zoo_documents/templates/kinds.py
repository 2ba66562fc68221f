"""List the kinds of documents with their shares and shapes."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - a field's type
from dataclasses import dataclass

from zoo_documents.drawing.choices import choose_by_share
from zoo_documents.drawing.pages import Page  # noqa: TC001 - a field's type
from zoo_documents.templates.bank_cards import compose_bank_card
from zoo_documents.templates.banknotes import compose_banknote
from zoo_documents.templates.business_cards import compose_business_card
from zoo_documents.templates.card_backs import compose_card_back
from zoo_documents.templates.driving_licences import compose_driving_licence
from zoo_documents.templates.forms import compose_form
from zoo_documents.templates.identity_cards import compose_identity_card
from zoo_documents.templates.letters import compose_letter
from zoo_documents.templates.member_cards import compose_member_card
from zoo_documents.templates.passports import compose_passport
from zoo_documents.templates.receipts import compose_receipt
from zoo_documents.templates.tickets import compose_ticket


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of document: its share of all templates, and width / height from ``narrowest`` to ``widest``.

    ``changes`` are the elements of the design of which a variant changes one; ``rounded``: half of the templates have
    round corners.
    """

    name: str
    compose: Callable[[Page], None]
    share: float
    narrowest: float
    widest: float
    calm: bool
    changes: tuple[str, ...]
    rounded: bool = False


_CARD = ("colour", "emblem", "title")
_BANK_CARD = (*_CARD, "mark")
KINDS = (
    Kind("bank_card", compose_bank_card, 0.52, 1.585, 1.585, calm=False, changes=_BANK_CARD, rounded=True),
    Kind("bank_card_upright", compose_bank_card, 0.06, 0.63, 0.63, calm=False, changes=_BANK_CARD, rounded=True),
    Kind("card_back", compose_card_back, 0.02, 1.585, 1.585, calm=False, changes=_CARD, rounded=True),
    Kind("member_card", compose_member_card, 0.05, 1.4, 1.7, calm=False, changes=_CARD, rounded=True),
    Kind("identity_card", compose_identity_card, 0.11, 1.42, 1.65, calm=True, changes=_CARD, rounded=True),
    Kind("driving_licence", compose_driving_licence, 0.05, 1.5, 1.6, calm=True, changes=_CARD),
    Kind("passport", compose_passport, 0.06, 1.3, 1.46, calm=True, changes=("colour", "title")),
    Kind("banknote", compose_banknote, 0.02, 1.7, 2.4, calm=True, changes=("colour", "emblem")),
    Kind("business_card", compose_business_card, 0.03, 1.5, 1.8, calm=False, changes=_CARD),
    Kind("letter", compose_letter, 0.02, 0.707, 0.773, calm=True, changes=_CARD),
    Kind("form", compose_form, 0.02, 0.707, 1.414, calm=True, changes=("colour", "emblem")),
    Kind("receipt", compose_receipt, 0.02, 0.4, 0.6, calm=True, changes=("title",)),
    Kind("ticket", compose_ticket, 0.02, 1.9, 2.7, calm=False, changes=("colour", "emblem")),
)


def choose_kind(number: float) -> Kind:
    """Choose a kind of document by a uniform random number in 0..1."""
    return choose_by_share(number, ((kind, kind.share) for kind in KINDS))
