"""Whether a run can be resumed as it is now, and what has changed since it was started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.atomic import read_json
from zoo.recipes.schema import Recipe
from zoo.training.fingerprint import class_names, fingerprint
from zoo_core.capabilities import OwnsClassTable
from zoo_core.config import dotted, leaves
from zoo_core.errors import RunError, UsageError
from zoo_core.provenance import installed_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import nn

    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo.training.data.training_data import TrainingData
    from zoo_core.registry import Component

# What may change on --resume: it is still the same model, trained on the same data.
CHANGEABLE = ("trainer.", "data.loader.", "checkpoint.every_", "optimizer.options.lr")
# No part of a training.
_ELSEWHERE = ("onnx.", "card.", "hub.", "metrics")
_SHOWN = 5


@dataclass(frozen=True)
class Resumption:
    """What has changed since the start of a run that is resumed, a line each; nothing of it prevents that.

    Attributes:
        recipe: values of the recipe.
        data: the training data.
        versions: what computes.
    """

    recipe: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it."""
        return self.recipe + self.data + self.versions


def is_changeable(key: str) -> bool:
    """Return whether a value of the recipe may change on ``--resume``."""
    return any(key == name or (name[-1] in "._" and key.startswith(name)) for name in CHANGEABLE)


def require_changeable(keys: Iterable[str]) -> None:
    """Require that what made a run's checkpoint stays when it is resumed, or it would not be the same training.

    Raises:
        UsageError: one of the recipe's ``keys`` cannot change.
    """
    for key in keys:
        if not is_changeable(key):
            hint = "trainer.*, data.loader.*, checkpoint.every_* and optimizer.options.lr can; for all else train anew"
            raise UsageError(f"{key} cannot change when a run is resumed", hint=hint)


def check_recipe(loaded: LoadedRecipe, run: RunFolder) -> tuple[str, ...]:
    """Return which values of the recipe are not those that the run was started with.

    Raises:
        UsageError: one of them cannot change.
    """
    recorded = run.read_record().get("recipe")
    try:
        before = _values(Recipe.model_validate(recorded))
    except ValueError:
        # Of a zoo whose recipes were others.
        return ()
    now = _values(loaded.recipe)
    changed = [
        f"{key}: {before.get(key, 'unset')} became {now.get(key, 'unset')}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and not key.startswith(_ELSEWHERE)
    ]
    refused = [line for line in changed if not is_changeable(line.partition(": ")[0])]
    if refused:
        hint = f"restore {run.recipe}, or train anew with it: zoo train --cfg {run.recipe}"
        raise UsageError(f"{run.recipe} is not what the run was started with: {_some(refused)}", hint=hint)
    return tuple(changed)


def check_data(data: TrainingData, loss: nn.Module, run: RunFolder) -> tuple[str, ...]:
    """Return what has changed in the training data since the run was started.

    Raises:
        RunError: the validation set has changed, or the classes of a loss that cannot follow.
    """
    before = run.read_record().get("data")
    if not isinstance(before, dict):
        return (f"{run.record} does not say what the data were: they are not compared",)
    now = fingerprint(data)
    changed = {place: _differences(before.get(place, {}), now.get(place, {})) for place in {**before, **now}}
    if changed.get("valid"):
        message = f"the validation set is not that of the run: {_some(changed['valid'])}{_named('valid', data, run)}"
        raise RunError(message, hint="restore it, or train anew: figures of two validation sets cannot be compared")
    lines = tuple(f"data.{place}: {line}" for place, found in changed.items() for line in found)
    classes = [line for line in lines if ": classes" in line]
    if classes and not isinstance(loss, OwnsClassTable):
        message = f"the training data have other classes than the run: {_some(classes)}{_named('train', data, run)}"
        hint = "restore them, or train anew; with model.loss.options.class_table.mode=sparse classes may come and go"
        raise RunError(message, hint=hint)
    return lines


def check_versions(components: Sequence[Component], run: RunFolder) -> tuple[str, ...]:
    """Return which distributions have changed since the run was started."""
    record = run.read_record()
    recorded = record.get("components")
    before = dict(record.get("versions") or {})
    before |= {one["distribution"]: one["version"] for one in recorded} if isinstance(recorded, list) else {}
    now = installed_versions() | {one.provenance.distribution: one.provenance.version for one in components}
    return tuple(
        f"{name}: {before.get(name, 'none')} became {now.get(name, 'none')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    )


def _values(recipe: Recipe) -> dict[str, object]:
    return {dotted(path): value for path, value in leaves(recipe.model_dump(mode="json"))}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what of two fingerprints differs, in words."""
    if not before or not now:
        return ["is new" if now else "is gone"]
    counts = [
        f"{name}: {before[name]:,} became {now[name]:,}"
        for name in ("classes", "samples")
        if name in before and name in now and before[name] != now[name]
    ]
    if before["classes"] == now["classes"] and before.get("classes_sha256") != now.get("classes_sha256"):
        counts.append("classes: their names or their order have changed")
    if not counts and before.get("pixels_sha256") != now.get("pixels_sha256"):
        counts.append("pictures have changed")
    return counts


def _named(place: str, data: TrainingData, run: RunFolder) -> str:
    """Name some of the classes that have come and gone."""
    if not run.classes.is_file():
        return ""
    before, now = set(read_json(run.classes).get(place, [])), set(class_names(data).get(place, []))
    new, gone = sorted(now - before), sorted(before - now)
    return "".join(f"; {what}: {_some(names)}" for what, names in (("new", new), ("gone", gone)) if names)


def _some(words: Sequence[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more
