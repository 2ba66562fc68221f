from __future__ import annotations

from zoo_core.api import ComponentSpec, hookimpl

ZOO_API = 99


@hookimpl
def zoo_components():
    return [ComponentSpec(kind="head", name="future", factory="zoo_future.heads:Future", summary="from the future")]
