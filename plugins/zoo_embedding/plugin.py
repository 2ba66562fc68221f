"""What zoo_embedding provides: heads from the last feature map to an embedding."""

from __future__ import annotations

from zoo_core.api import ComponentSpec, hookimpl

ZOO_API = 1

_SUMMARIES = {
    "attention_ln": "learned attention over positions, two linear layers, each with LayerNorm",
    "flatten_bn": "all positions, two linear layers, each with BatchNorm",
    "flatten_ln": "all positions, two linear layers, each with LayerNorm",
    "gap_ln": "mean over positions, two linear layers, each with LayerNorm",
    "gem_ln": "generalized mean (GeM) over positions, two linear layers, each with LayerNorm",
    "squeeze_ln": "1x1 convolution to a quarter of the channels, then flatten_ln",
    "squeeze_lbn": "as squeeze_ln, with a BatchNorm after each LayerNorm",
}


@hookimpl
def zoo_components() -> list[ComponentSpec]:
    """Return a component for each head."""
    return [
        ComponentSpec(kind="head", name=name, factory=f"zoo_embedding.heads:{name}", summary=summary)
        for name, summary in _SUMMARIES.items()
    ]
