"""What zoo_timm provides: every timm model that can serve as a feature pyramid."""

from __future__ import annotations

from zoo_core.api import ComponentFamily, hookimpl

ZOO_API = 1


@hookimpl
def zoo_components() -> list[ComponentFamily]:
    """Return the family of timm backbones."""
    return [
        ComponentFamily(
            kind="backbone",
            pattern="*",
            names="zoo_timm.catalog:names",
            factory="zoo_timm.backbones:build",
            summary="timm model as a feature pyramid",
        ),
    ]
