"""How a model was trained: from which data and weights, for how long, and on what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.publish.base_weights import called
from zoo.publish.card.tables import options, percent, table
from zoo.recipes.public import OWN_DATA, is_unset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.publish.facts import Facts
    from zoo.recipes.schema import ComponentReference

_HASH = 12


def training_data(facts: Facts) -> str:
    """Return what was trained and validated on; data that nobody else has by their hash and counts."""
    data = facts.recipe.data
    rest = 1 - sum(one.share for one in data.train_also)
    rows = [
        ("Training" if rest == 1 else f"Training, share {rest:g}", *_component(data.train)),
        *((f"Training, share {one.share:g}", *_component(one)) for one in data.train_also),
        ("Validation", *_component(data.valid)),
        ("Augmentation", *_component(data.augmentation)),
    ]
    said = [table(("", "Component", "Options"), rows)]
    for part, reference in (("train", data.train), ("valid", data.valid)):
        if counted := _counted(facts.data.get(part), own=is_unset(reference.options)):
            said.append(f"{'Training' if part == 'train' else 'Validation'} data: {counted}.")
    synthetic = facts.is_synthetic("train")
    if synthetic == 1:
        said.append("All images that it was trained on are synthetic: drawn, not photographed.")
    elif synthetic:
        said.append(
            f"{percent(synthetic)} of the images that it was trained on are synthetic: drawn, not photographed."
        )
    if data.augmentation.name.endswith("capture"):
        said.append("Training saw simulated photographs of its images: warped, lit, blurred and compressed.")
    return "\n\n".join(said)


def procedure(facts: Facts) -> str:
    """Return steps, time, images, initial weights, hardware, and the recipe's own words."""
    recipe, record = facts.recipe, facts.record
    rows = {
        "Loss": (recipe.model.loss.name, recipe.model.loss.options),
        "Optimizer": (recipe.optimizer.name, recipe.optimizer.options),
        "Learning rate": (recipe.lr_scheduler.name, recipe.lr_scheduler.options),
        "Trainer": ("lightning.Trainer", recipe.trainer),
        "Batch size": (str(recipe.data.loader.batch_size), {}),
        "Seed": (str(recipe.seed), {}),
    }
    settings = table(("", "", "Options"), ((key, f"`{name}`", options(more)) for key, (name, more) in rows.items()))
    commit = f", at commit `{record.git.revision}`" if record.git else ""
    if record.git and record.git.dirty:
        commit += " with uncommitted changes"
    return "\n\n".join(
        part
        for part in (
            _origin(facts),
            _length(facts),
            f"The published checkpoint is the one with the best `{recipe.checkpoint.monitor}` on the validation data.",
            settings,
            f"All of it is in [recipe.yaml](recipe.yaml) (`{facts.recipe_name}`){commit}.{_placeholders(facts)}",
        )
        if part
    )


def _origin(facts: Facts) -> str:
    found = [_backbone(facts), _initial(facts.init_from) if facts.init_from else ""]
    return " ".join(filter(None, found))


def _initial(init_from: Mapping[str, Any]) -> str:
    revision = f"revision `{init_from['revision']}`, " if "revision" in init_from else ""
    terms = init_from.get("license") or "not stated"
    return (
        f"Training started from the weights of {called(init_from)} ({revision}sha256 of the file "
        f"`{init_from['sha256']}`, licence: {terms}): {percent(init_from['share'])} of the parameters come from it."
    )


def _backbone(facts: Facts) -> str:
    weights = facts.record.weights
    if "revision" in weights:
        name, revision, terms = weights["weights"], weights["revision"], weights.get("license", "unknown")
        return f"The backbone started as `{name}` (revision `{revision}`, licence: {terms})."
    if "sha256" in weights:
        return f"The backbone started from a file of weights (sha256 `{weights['sha256']}`)."
    if weights.get("weights") != "random":
        return ""
    wanted = facts.recipe.model.backbone.options.get("pretrained") not in {False, None}
    why = ", because pretrained ones were not at hand" if wanted else ""
    return f"The backbone started from random weights{why}."


def _length(facts: Facts) -> str:
    """Return how long the training was, as far as its curves tell."""
    curves = facts.curves
    if not curves.get("step"):
        return ""
    steps = int(float(curves["step"]))
    text = f"It was trained for {steps:,} steps"
    if each := facts.data.get("images_per_step"):
        text += f" of {each:,} images, {steps * each:,} images in all"
        if classes := facts.data.get("classes"):
            text += f" ({steps * each / classes:,.0f} for each of {classes:,} classes)"
    if seconds := float(curves.get("seconds") or 0):
        text += f", in {_duration(seconds)}"
    return f"{text}, on {hardware(facts)}." if hardware(facts) else f"{text}."


def hardware(facts: Facts) -> str:
    """Return the processor and the devices of the training."""
    found = facts.record.hardware
    cores = f" ({found['cores']} cores)" if found.get("cores") else ""
    names = [f"{found['cpu']}{cores}" if found.get("cpu") else None, *found.get("devices", [])]
    return ", ".join(dict.fromkeys(name for name in names if name))


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if not minutes:
        return f"{seconds:.0f} seconds"
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"  # noqa: PLR2004 - two hours


def _component(reference: ComponentReference) -> tuple[str, str]:
    return f"`{reference.name}`", options(reference.options)


def _counted(data: Mapping[str, Any] | None, *, own: bool) -> str:
    if not data:
        return ""
    text = f"{data['samples']:,} images of {data['classes']:,} classes"
    return (
        f"{text}, sha256 of the pixels `{data['pixels_sha256'][:_HASH]}`" if own and "pixels_sha256" in data else text
    )


def _placeholders(facts: Facts) -> str:
    return f" `{OWN_DATA}` stands for data that are not published." if is_unset(facts.recipe.data.model_dump()) else ""
