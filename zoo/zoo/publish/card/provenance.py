"""Where a model comes from: licences, plugins, software, and how to cite it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zoo.publish.card.tables import facts_table, table
from zoo.publish.card.training import hardware

if TYPE_CHECKING:
    from zoo.publish.facts import Facts


def licences(facts: Facts) -> str:
    """Return the licence of the weights, and those of what they are made of."""
    rows = [("The weights", str(facts.license)), *facts.licences]
    if any(terms == "" for _, terms in rows):
        rows = [(what, terms or "not stated") for what, terms in rows]
    return table(("Of", "Licence"), rows)


def plugins(facts: Facts) -> str | None:
    """Return the distributions that the components came from; None where the record names none."""
    components = facts.record.components
    if not components:
        return None
    rows = [
        (
            one.kind,
            f"`{one.name}`",
            f"{one.distribution} {one.version}" + (" (a working tree)" if one.is_editable else ""),
        )
        for one in components
    ]
    return table(("Kind", "Component", "Distribution"), rows)


def environment(facts: Facts) -> str:
    """Return what the model was trained with."""
    record = facts.record
    return facts_table({"python": record.python, **record.versions, "hardware": hardware(facts)})


def citation(facts: Facts, repo_id: str) -> str:
    """Return an entry for BibTeX."""
    organisation, _, name = repo_id.partition("/")
    key = re.sub(r"[^A-Za-z0-9]+", "_", repo_id).strip("_")
    version = facts.record.versions.get("plugzoo", "")
    return (
        f"```bibtex\n@misc{{{key},\n  author = {{{organisation}}},\n  title = {{{name}: an image-embedding model}},\n"
        f"  year = {{{facts.record.created[:4]}}},\n  note = {{trained with zoo (plugzoo {version})}},\n"
        f"  url = {{https://huggingface.co/{repo_id}}}\n}}\n```"
    )
