"""Describe the synthetic documents."""

from __future__ import annotations

from zoo_core.api import ComponentSpec, hookimpl

ZOO_API = 1


@hookimpl
def zoo_components() -> list[ComponentSpec]:
    """Return the document components."""
    return [
        ComponentSpec(
            kind="dataset",
            name="synthetic",
            factory="zoo_documents.synthetic:SyntheticDocuments",
            summary="drawn cards, letters, forms, receipts and tickets; needs no data",
            tags=("synthetic",),
        ),
    ]
