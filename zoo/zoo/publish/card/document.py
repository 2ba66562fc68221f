"""The text of a card, section by section."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo.publish.card import evaluation, export, provenance, purpose, training, usage
from zoo_core.events import collect

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from zoo.publish.facts import Facts
    from zoo_core.registry import Registry


def body(facts: Facts, repo_id: str, *, revision: str = "main", more: Iterable[tuple[str, str]] = ()) -> str:
    """Return the card's text in Markdown.

    Args:
        facts: of the model.
        repo_id: ``ORG/NAME``.
        revision: the branch or tag that the examples name.
        more: titles and texts of sections that plugins add.

    Raises:
        RunError: an example of the card fails.
    """
    sections = (
        ("Use", purpose.intended_use(facts)),
        ("How to use", usage.usage(facts, repo_id, revision)),
        ("Evaluation", evaluation.evaluation(facts)),
        ("Training data", training.training_data(facts)),
        ("Training procedure", training.procedure(facts)),
        ("Model", export.model(facts)),
        ("Preprocessing", export.preprocessing(facts)),
        ("Export verification", export.verification(facts)),
        ("Precisions", export.precisions(facts)),
        *more,
        ("Files", export.files(facts)),
        ("Plugins", provenance.plugins(facts)),
        ("Environment", provenance.environment(facts)),
        ("Licence", provenance.licences(facts)),
        ("Citation", provenance.citation(facts, repo_id)),
    )
    texts = [f"## {title}\n\n{text}" for title, text in sections if text]
    return "\n\n".join([f"# {repo_id.rpartition('/')[2]}", purpose.summary(facts), *texts])


def plugin_sections(registry: Registry, artifact: Path) -> list[tuple[str, str]]:
    """Return titles and texts of the sections that plugins add; what is no text is left out, with a warning."""
    found = []
    for plugin, sections in collect(registry, "zoo_card_sections", artifact=artifact):
        if isinstance(sections, Mapping) and all(isinstance(one, str) for pair in sections.items() for one in pair):
            found += [(title.strip(), text.strip()) for title, text in sections.items()]
        elif sections is not None:
            message = f"plugin {plugin}: its zoo_card_sections returns no mapping of titles to texts, and is left out"
            warnings.warn(message, stacklevel=2)
    return found
