"""The numbers of a card against those of the files beside it: whoever edits one is found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from zoo.publish.card import evaluation, export, purpose
from zoo.publish.card.merging import read_card
from zoo.recipes.licences import licence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zoo.publish.artifact_facts import ArtifactFacts

# A hash, or a number with its separators and its unit.
_NUMBER = re.compile(r"[0-9a-f]{12,}|-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?: (?:%|(?:[kKMGT]?B|[mµn]?s)\b))?")
# Of any level below the model's name, underlined ones too: a line of code may begin with one '#'.
_HEADING = re.compile(r"^(?:#{2,6} +(?=\S)|(?=[^|\n]+\n(?:=+|-+)[ \t]*$))([^|\n]+?)(?:\n[=-]+)?[ \t]*$", re.MULTILINE)
_GRAPH_HASH = re.compile(r'"([0-9a-f]{64})"')
_PRINTED = re.compile(r"^\d+ \[.*\]$", re.MULTILINE)
_USAGE = "How to use"


@dataclass(frozen=True)
class CardClaim:
    """A line of a card with numbers: where, what it says, and what the files say; None where they say nothing."""

    where: str
    said: str
    meant: str | None

    @property
    def holds(self) -> bool:
        """Whether the numbers are the same."""
        return self.said == self.meant or bool(
            self.meant is not None and numbers(self.said) == numbers(self.meant) and numbers(self.said)
        )


def card_claims(text: str, facts: ArtifactFacts, sample: Sequence[float]) -> tuple[list[CardClaim], list[str]]:
    """Compare the numbers of a card with those that zoo would write of the same files.

    Args:
        text: the card.
        facts: what the files beside it say.
        sample: the published embedding of the sample picture; empty without one.

    Returns:
        The claims, and the titles of sections with numbers that the files do not tell.

    Raises:
        UsageError: the card's metadata is no YAML, or no mapping.
    """
    card = read_card(text, "README.md")
    if card is None:
        return [], []
    claims = list(_metadata_claims(card.metadata, facts))
    written = _sections(card.block or card.after)
    meant = {
        "": purpose.summary(facts),
        "Evaluation": evaluation.evaluation(facts),
        "Model": export.model(facts),
        "Preprocessing": export.preprocessing(facts),
        "Export verification": export.verification(facts),
        "Precisions": export.precisions(facts),
        "Files": export.files(facts),
    }
    unknown = []
    if (own := facts.recipe.card.summary or "") and own in written[""] and numbers(own):
        # That the recipe repeats its author's words proves nothing.
        unknown.append("card.summary")
        written[""], meant[""] = (text.replace(own, "") for text in (written[""], meant[""] or ""))
    for title, section in written.items():
        if title == _USAGE:
            claims += _usage_claims(section, facts, sample)
        elif title in meant:
            claims += _line_claims(title, section, meant[title] or "")
        elif numbers(section):
            unknown.append(title)
    if card.block and numbers(card.before + card.after):
        unknown.append("what stands outside of zoo's block")
    return claims, unknown


def numbers(text: str) -> list[str]:
    """Return the numbers and hashes in a text."""
    return _NUMBER.findall(text)


def _sections(block: str) -> dict[str, str]:
    """Return the texts of a block by title; the first has none, and begins after the model's name."""
    first, *rest = _HEADING.split(block)
    sections = {"": "\n".join(line for line in first.splitlines() if not line.startswith(("#", "<!--")))}
    for title, text in zip(rest[::2], rest[1::2], strict=True):
        sections[title] = sections.get(title, "") + text.partition("<!-- zoo: end")[0]
    return sections


def _line_claims(title: str, section: str, meant: str) -> Iterator[CardClaim]:
    lines = [line for line in meant.splitlines() if numbers(line)]
    for line in section.splitlines():
        if not numbers(line):
            continue
        row = [other for other in lines if line.startswith("|") and _key(other) == _key(line)]
        near = [line] if line in lines else get_close_matches(line, row or lines, n=1, cutoff=0.0 if row else 0.6)
        name = _key(line) if line.startswith("|") else " ".join(line.split()[:4])
        yield CardClaim(f"{title or 'first lines'}: {name}", _plain(line), _plain(near[0]) if near else None)


def _usage_claims(section: str, facts: ArtifactFacts, sample: Sequence[float]) -> Iterator[CardClaim]:
    for digest in _GRAPH_HASH.findall(section):
        yield CardClaim(f"{_USAGE}: sha256 of the graph", digest, facts.export["sha256"])
    for line in _PRINTED.findall(section) if sample else ():
        yield CardClaim(f"{_USAGE}: embedding", line, f"{len(sample)} {[f'{one:.3f}' for one in sample[:4]]}")


def _metadata_claims(metadata: Mapping[str, object], facts: ArtifactFacts) -> Iterator[CardClaim]:
    card, said = facts.recipe.card, metadata.get("license")
    if said is not None and card.license:
        meant = licence(card.license, card.license_name, card.license_link).id
        yield CardClaim("license", str(said), meant)
    figures = (facts.metrics or {}).get("metrics", {})
    for model in _mappings(metadata.get("model-index")):
        for result in _mappings(model.get("results")):
            for metric in _mappings(result.get("metrics")):
                name, value = str(metric.get("type")), metric.get("value")
                meant = figures.get(name)
                yield CardClaim(f"model-index: {name}", f"{value!r}", None if meant is None else f"{meant!r}")
    tags = metadata.get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if str(tag).startswith("embedding-dim:"):
            yield CardClaim("tags: embedding-dim", str(tag), f"embedding-dim:{facts.config['zoo']['embedding_dim']}")


def _mappings(value: object) -> list[Mapping[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _key(row: str) -> str:
    return row.strip("| ").split(" | ")[0].strip()


def _plain(line: str) -> str:
    return line.strip("| ").replace(" | ", ", ") if line.startswith("|") else line
