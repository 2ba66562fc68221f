"""What zoo_margin provides: softmax losses over cosines to a class table, with a margin."""

from __future__ import annotations

from zoo_core.api import ComponentSpec, hookimpl

ZOO_API = 1

_LOSSES = {
    "softmax": ("SoftmaxLoss", "scaled softmax over cosines, no margin (NormFace)"),
    "cosface": ("CosFaceLoss", "additive cosine margin: cos(theta) - m"),
    "arcface": ("ArcFaceLoss", "additive angular margin: cos(theta + m), with its exact gradient"),
}


@hookimpl
def zoo_components() -> list[ComponentSpec]:
    """Return one component a loss."""
    return [
        ComponentSpec(kind="loss", name=name, factory=f"zoo_margin.losses:{factory}", summary=summary)
        for name, (factory, summary) in _LOSSES.items()
    ]
