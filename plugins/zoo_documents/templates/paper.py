"""Paint the paper of letters, forms and receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_documents.drawing.palettes import WHITE, mix

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page


def paint_paper(page: Page, *, plain: bool) -> None:
    """Paint plain paper, or a calm background."""
    if plain:
        page.canvas[:] = mix(page.palette.paper, WHITE, 0.6)
    else:
        page.paint(calm=True)
