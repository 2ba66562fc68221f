"""The licence that a model is published under, and those of what it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.publish.base_weights import base_licences, data_licence, weights_licence
from zoo.recipes.licences import LICENSE_KEYS, Licence, conflict, licence, license_problem
from zoo_core.errors import RunError, UsageError
from zoo_core.provenance import distribution_license

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from zoo.recipes.schema import CardSection
    from zoo.runs.layout import RunFolder
    from zoo_core.provenance import BuildRecord


def chosen_license(
    run: RunFolder,
    card: CardSection,
    record: BuildRecord,
    init_from: Mapping[str, Any] | None = None,
    teacher: Mapping[str, str] | None = None,
) -> tuple[Licence, tuple[tuple[str, str], ...]]:
    """Return the licence that a recipe's card names, and by name those of base weights, teacher, data and plugins.

    ``init_from`` is what the record says of the trained model that the training started from, ``teacher`` what it says
    of the teacher's weights.

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
    chosen = licence(card.license, card.license_name, card.license_link)
    sources = _sources(record, init_from, teacher or {})
    if reason := conflict(chosen, sources):
        raise RunError(reason, hint="choose a licence that forbids it, too: card.license=cc-by-nc-4.0")
    return chosen, sources


def _sources(
    record: BuildRecord, init_from: Mapping[str, Any] | None, teacher: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    found = dict(base_licences(record.weights, init_from))
    found |= dict(weights_licence("weights of the teacher", teacher))
    for one in record.components:
        if one.kind == "dataset":
            found[f"data of {one.name}"] = data_licence(vars(one))
        # Records of before name no licences.
        found[f"code of {one.distribution}"] = one.license or distribution_license(one.distribution) or ""
    return tuple((what, "" if said == "unknown" else said) for what, said in found.items())
