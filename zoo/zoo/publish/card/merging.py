"""A model card with two authors: zoo rewrites its own block and metadata, and nothing that a person has written."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from huggingface_hub import ModelCardData

from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FRONT = re.compile(r"\A\s*---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(
    r"<!-- zoo: generated [^\n]*? (?:\((?P<keys>[^()\n]*)\) )?(?P<digest>[0-9a-f]{16}) -->\n.*?<!-- zoo: end -->",
    re.DOTALL,
)
# What zoo writes into the metadata; all other keys are their author's.
_OWN_KEYS = (
    "license",
    "license_name",
    "license_link",
    "library_name",
    "pipeline_tag",
    "base_model",
    "datasets",
    "model-index",
)
# Figures are those of the files: an edit of them is undone, and said to be.
_FIGURES = "model-index"
_LICENSE = frozenset({"license", "license_name", "license_link"})
# Tags in which zoo writes a fact of the model; an old one must not stay beside the new one.
_OWN_TAGS = ("loss:", "embedding-dim:", "transformers.js")


@dataclass(frozen=True)
class Card:
    """A card's metadata, and its text around zoo's block.

    ``digest`` is that of this text when zoo last wrote it; ``keys`` those of the metadata that zoo wrote, by key;
    ``block`` is what zoo has written, None where the card has no such block.
    """

    metadata: Mapping[str, Any]
    before: str
    after: str
    digest: str | None
    keys: Mapping[str, str] = field(default_factory=dict)
    block: str | None = None

    @property
    def edited(self) -> bool:
        """Whether somebody has written outside the block since zoo has."""
        return self.digest != _digest(self.before, self.after)

    def has_edited(self, key: str) -> bool:
        """Return whether somebody has set, changed or removed a key of the metadata since zoo wrote the card."""
        if key not in self.metadata:
            return key in self.keys
        return self.keys.get(key) != _key_digest(self.metadata[key])


def merge(metadata: ModelCardData, block: str, *, local: str | None = None, remote: str | None = None) -> str:
    """Put the generated ``metadata`` and ``block`` into the card that exists, here or on the Hub, or into a new one.

    Text outside the block survives byte for byte, from where it was edited. So do metadata keys and tags that zoo does
    not write, and those that a person has changed since zoo wrote them; a warning names what stays other than this push
    has it, and figures that are set back.

    Raises:
        UsageError: the metadata of a card is not YAML, the text was edited both here and on the Hub, or the card names
            another licence than this push.
    """
    here, there = read_card(local, "README.md here"), read_card(remote, "README.md on the Hub")
    text = _chosen(here, there)
    ours: dict[str, Any] = yaml.safe_load(metadata.to_yaml())
    cards = [card for card in (there, here) if card is not None]
    theirs = {key: value for card in reversed(cards) for key, value in card.metadata.items()}
    whole = {key: value for key, value in theirs.items() if key not in _OWN_KEYS and key != "tags"}
    for key in _OWN_KEYS:
        value = _kept(key, ours, next((card for card in cards if card.has_edited(key)), None))
        if value is not None:
            whole[key] = value
    whole["tags"] = _tags(ours["tags"], cards)
    digest = _digest(text.before, text.after)
    written = " ".join(f"{key}:{_key_digest(ours[key])}" for key in (*_OWN_KEYS, "tags") if key in ours)
    note = f"<!-- zoo: generated from the run; text outside of this block is kept. ({written}) {digest} -->"
    front = ModelCardData(**whole).to_yaml()
    return f"---\n{front}\n---\n{text.before}{note}\n{block}\n<!-- zoo: end -->{text.after}"


def _kept(key: str, ours: Mapping[str, Any], edited: Card | None) -> Any:  # noqa: ANN401 - YAML
    """Return the value of a key that zoo writes: a person's where it is one, else zoo's."""
    own = ours.get(key)
    theirs = None if edited is None else edited.metadata.get(key)
    if edited is None or theirs == own:
        return own
    if key in _LICENSE:
        if theirs is None:
            return own
        message = f"README.md: somebody has set {key} to {theirs!r}, and this push has {own!r}"
        raise UsageError(message, hint=f"push with card.{key}={theirs}, or change it in README.md")
    if key == _FIGURES:
        warnings.warn("README.md: its model-index was edited, and is set back to this model's figures", stacklevel=3)
        return own
    warnings.warn(
        f"README.md: keeps {key}: {theirs!r}, which somebody has written; this push has {own!r}", stacklevel=3
    )
    return theirs


def _tags(ours: list[str], cards: list[Card]) -> list[str]:
    """Return the tags: a person's as they are, and those with a fact as zoo has them today."""
    tagged = next((card for card in cards if card.has_edited("tags")), None)
    if tagged is None:
        return ours
    theirs = tagged.metadata.get("tags") or []
    kept = [tag for tag in theirs if tag in ours or not str(tag).startswith(_OWN_TAGS)]
    # Of a card that zoo has not written before, nobody has removed a tag of zoo's.
    both = [*kept, *(tag for tag in ours if tag.startswith(_OWN_TAGS))] if tagged.keys else [*ours, *kept]
    return list(dict.fromkeys(both))


def _chosen(here: Card | None, there: Card | None) -> Card:
    if here is None or there is None:
        return here or there or Card({}, "\n", "\n", None)
    if here.edited and there.edited and (here.before, here.after) != (there.before, there.after):
        raise UsageError(
            "README.md was edited both here and on the Hub, outside of the generated block",
            hint="bring your text into the one on the Hub, and delete README.md here",
        )
    return here if here.edited else there


def read_card(card: str | None, name: str) -> Card | None:
    """Take a card apart; ``name`` is what an error calls it.

    Raises:
        UsageError: its metadata is no YAML, or no mapping.
    """
    if card is None:
        return None
    front = _FRONT.match(card)
    try:
        metadata = yaml.safe_load(front["yaml"]) if front else None
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: its metadata is not YAML: {' '.join(str(error).split())}") from error
    if metadata is not None and not isinstance(metadata, dict):
        raise UsageError(f"{name}: its metadata is not a mapping")
    body = card[front.end() :] if front else card
    block = _BLOCK.search(body)
    if block is None:
        return Card(metadata or {}, "\n", "\n\n" + body if body.strip() else "\n", None)
    pairs = (word.rpartition(":") for word in (block["keys"] or "").split())
    keys = {key: digest for key, _, digest in pairs}
    return Card(metadata or {}, body[: block.start()], body[block.end() :], block["digest"], keys, block[0])


def _digest(before: str, after: str) -> str:
    return hashlib.sha256(f"{before}\0{after}".encode()).hexdigest()[:16]


def _key_digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]
