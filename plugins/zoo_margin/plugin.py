"""What zoo_margin provides: softmax losses over cosines to a class table, with a margin."""

from __future__ import annotations

from zoo_core.api import ComponentSpec, hookimpl

ZOO_API = 1

_LOSSES = {
    "softmax": ("Softmax", "scaled softmax over cosines, no margin (NormFace)"),
    "cosface": ("CosFace", "additive cosine margin: cos(theta) - m"),
    "arcface": ("ArcFace", "additive angular margin: cos(theta + m), with its exact gradient"),
    "subcenter": ("SubCenter", "ArcFace with several centers a class: for noisy or varied classes"),
    "combined": ("Combined", "all three margins: cos(m1 theta + m2) - m3"),
    "elasticface": ("ElasticFace", "a margin sampled at random for each image"),
    "adaface": ("AdaFace", "weights hard images by their quality, measured by the length of the embedding"),
    "magface": ("MagFace", "the longer the embedding, the larger the margin"),
    "curricularface": ("CurricularFace", "ArcFace that gives hard negatives more weight as training progresses"),
}


@hookimpl
def zoo_components() -> list[ComponentSpec]:
    """Return a component for each loss."""
    return [
        ComponentSpec(
            kind="loss",
            name=name,
            factory=f"zoo_margin.factories:{name}",
            config=f"zoo_margin.options:{options}Options",
            summary=summary,
        )
        for name, (options, summary) in _LOSSES.items()
    ]
