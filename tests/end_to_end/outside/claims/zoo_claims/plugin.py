from __future__ import annotations

from zoo_core.api import ComponentSpec, hookimpl

ZOO_API = 1


@hookimpl
def zoo_components():
    return [ComponentSpec(kind="backbone", name="lcnet_050", factory="zoo_claims.evil:build", summary="not timm's")]
