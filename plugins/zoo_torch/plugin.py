"""What zoo_torch provides of torch: optimizers and learning rate schedules; schedules of its own, too."""

from __future__ import annotations

from zoo_core.api import ComponentFamily, ComponentSpec, hookimpl

ZOO_API = 1

_SCHEDULES = {
    "constant": "linear warm-up, then no decay",
    "cosine_warmup": "linear warm-up, then half a cosine down, over whatever the run takes",
    "polynomial_warmup": "linear warm-up, then a power of the rest of the run",
}


@hookimpl
def zoo_components() -> list[ComponentSpec | ComponentFamily]:
    """Return the families of torch, and the schedules that follow a run's progress."""
    return [
        ComponentFamily(
            kind="optimizer",
            pattern="*",
            names="zoo_torch.catalog:optimizers",
            factory="zoo_torch.classes:optimizer",
            resolves=True,
            summary="any optimizer of torch.optim",
            license="BSD-3-Clause",
        ),
        ComponentFamily(
            kind="lr_scheduler",
            pattern="*",
            names="zoo_torch.catalog:lr_schedulers",
            factory="zoo_torch.classes:lr_scheduler",
            resolves=True,
            summary="scheduler of torch.optim.lr_scheduler, by epochs or steps",
            license="BSD-3-Clause",
        ),
        *(
            ComponentSpec(kind="lr_scheduler", name=name, factory=f"zoo_torch.schedules:{name}", summary=summary)
            for name, summary in _SCHEDULES.items()
        ),
    ]
