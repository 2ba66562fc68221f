"""Figures beside zoo's own: metrics of plugins, which a recipe names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING

from zoo_core.building import build
from zoo_core.errors import RunError
from zoo_core.registry import blaming

if TYPE_CHECKING:
    from zoo.recipes.loading import LoadedRecipe
    from zoo.validation.embedded_images import EmbeddedImages
    from zoo_core.config import KeyPath
    from zoo_core.errors import Location
    from zoo_core.registry import Registry


def measure_by_plugins(
    loaded: LoadedRecipe, registry: Registry, embedded: EmbeddedImages
) -> dict[str, dict[str, float]]:
    """Return the figures of each metric that the recipe names, by the metric's qualified name.

    Raises:
        RecipeError: a metric refuses its options.
        ComponentError: a metric is not available, or fails.
        RunError: a metric returns something else than finite numbers by name.
    """
    found: dict[str, dict[str, float]] = {}
    for index, reference in enumerate(loaded.recipe.metrics):
        path: KeyPath = ("metrics", index)

        def locate(below: KeyPath, path: KeyPath = path) -> Location | None:
            return loaded.document.locate((*path, *below))

        metric = build(registry, "metric", reference.name, reference.options, wired={}, locate=locate)
        component = registry.find("metric", reference.name)
        with blaming(component, "__call__"):
            # Copies: what one metric does to them is nobody else's business.
            figures = metric(embedded.embeddings.copy(), embedded.labels.copy())
        name = component.qualified_name
        if not isinstance(figures, Mapping) or not all(map(_is_figure, figures.items())):
            raise RunError(f"{component}: returned {figures!r}", hint="a metric returns finite numbers by name")
        if name in found:
            raise RunError(f"metrics.{index}: {name} is named twice", hint="name each metric once")
        found[name] = {key: float(value) for key, value in figures.items()}
    return found


def _is_figure(item: tuple[object, object]) -> bool:
    key, value = item
    return isinstance(key, str) and isinstance(value, Real) and math.isfinite(value)
