"""What zoo_torch provides of Lightning: callbacks and loggers."""

from __future__ import annotations

from zoo_core.api import ComponentFamily, hookimpl

ZOO_API = 1


@hookimpl
def zoo_components() -> list[ComponentFamily]:
    """Return the families of Lightning's callbacks and loggers."""
    return [
        ComponentFamily(
            kind="callback",
            pattern="*",
            names="zoo_torch.catalog:callbacks",
            factory="zoo_torch.classes:callback",
            resolves=True,
            summary="callback of Lightning, beside zoo's own",
            license="Apache-2.0",
        ),
        ComponentFamily(
            kind="logger",
            pattern="*",
            names="zoo_torch.catalog:loggers",
            factory="zoo_torch.classes:logger",
            resolves=True,
            summary="logger of Lightning, beside zoo's TensorBoard",
            license="Apache-2.0",
        ),
    ]
