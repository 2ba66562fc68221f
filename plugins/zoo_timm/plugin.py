"""What zoo_timm provides: every timm model, as a feature pyramid or a teacher, and timm's optimizers."""

from __future__ import annotations

from zoo_core.api import ComponentFamily, hookimpl

ZOO_API = 1


@hookimpl
def zoo_components() -> list[ComponentFamily]:
    """Return the families of timm backbones, teachers and optimizers."""
    return [
        ComponentFamily(
            kind="backbone",
            pattern="*",
            names="zoo_timm.catalog:names",
            factory="zoo_timm.backbones:build",
            check="zoo_timm.options:check",
            restoring=(("pretrained", False),),
            summary="timm model as a feature pyramid",
        ),
        ComponentFamily(
            kind="teacher",
            pattern="*",
            names="zoo_timm.catalog:names",
            factory="zoo_timm.teachers:build",
            check="zoo_timm.options:check",
            summary="timm model whose features a student's embeddings follow",
        ),
        ComponentFamily(
            kind="optimizer",
            pattern="*",
            names="zoo_timm.catalog:optimizer_names",
            factory="zoo_timm.optimizers:optimizer",
            resolves=True,
            summary="any optimizer of timm.optim",
            license="Apache-2.0",
        ),
    ]
