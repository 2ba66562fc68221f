"""The licence that a model is published under, and those of what it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.recipes.licences import LICENSE_KEYS, Licence, conflict, licence, license_problem
from zoo_core.errors import RunError, UsageError
from zoo_core.provenance import distribution_license

if TYPE_CHECKING:
    from zoo.recipes.schema import CardSection
    from zoo.runs.layout import RunFolder
    from zoo_core.provenance import BuildRecord


def chosen_license(
    run: RunFolder, card: CardSection, record: BuildRecord
) -> tuple[Licence, tuple[tuple[str, str], ...]]:
    """Return the licence that a recipe's card names, and by name those of base weights, data and plugins.

    Raises:
        UsageError: it names none, or one that nobody knows.
        RunError: something that the model is made of forbids what it allows.
    """
    if not card.license:
        raise UsageError(
            f"{run.recipe}: card.license is not set, and a model is not published without a licence",
            hint="add card.license=... to the command: the licence that data and initial weights let you give",
        )
    if problem := license_problem(*(getattr(card, key) for key in LICENSE_KEYS)):
        raise UsageError(problem[0], hint=problem[1])
    chosen, sources = licence(card.license, card.license_name, card.license_link), _sources(record)
    if reason := conflict(chosen, sources):
        raise RunError(reason, hint="choose a licence that forbids it, too: card.license=cc-by-nc-4.0")
    return chosen, sources


def _sources(record: BuildRecord) -> tuple[tuple[str, str], ...]:
    weights, found = record.weights, {}
    if "revision" in weights:
        found[f"base weights {weights['weights']}"] = weights.get("license", "")
    elif "sha256" in weights:
        found["base weights, a file"] = weights.get("license", "")
    for one in record.components:
        # Records of before name no licences.
        code = one.license or distribution_license(one.distribution) or ""
        if one.kind == "dataset":
            # What it draws is its own; what it reads is somebody's.
            found[f"data of {one.name}"] = code if "synthetic" in one.tags else ""
        found[f"code of {one.distribution}"] = code
    return tuple((what, "" if said == "unknown" else said) for what, said in found.items())
