"""A model card with two authors: zoo rewrites its own block, and never a word outside of it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from huggingface_hub import ModelCardData

from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FRONT = re.compile(r"\A\s*---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(r"<!-- zoo: generated .*?(?P<digest>[0-9a-f]{16}) -->\n.*?<!-- zoo: end -->", re.DOTALL)
# What zoo writes into the metadata; all other keys are their author's.
_OWN_KEYS = ("license", "library_name", "pipeline_tag", "base_model", "datasets", "model-index")
# Tags in which zoo writes a value; an old value must not stay beside the new one.
_OWN_TAGS = ("loss:", "embedding-dim:")


@dataclass(frozen=True)
class Card:
    """A card's metadata, and its text around zoo's block; ``digest`` is that of this text when zoo last wrote it."""

    metadata: Mapping[str, Any]
    before: str
    after: str
    digest: str | None

    @property
    def edited(self) -> bool:
        """Whether somebody has written outside the block since zoo has."""
        return self.digest != _digest(self.before, self.after)


def merge(metadata: ModelCardData, block: str, *, local: str | None = None, remote: str | None = None) -> str:
    """Put the generated ``metadata`` and ``block`` into the card that exists, here or on the Hub, or into a new one.

    Text outside the block survives byte for byte, from where it was edited; so do metadata keys that zoo does not
    write, and tags.

    Raises:
        UsageError: the metadata of a card is not YAML, or the text was edited both here and on the Hub.
    """
    here, there = _split(local, "README.md here"), _split(remote, "README.md on the Hub")
    text = _chosen(here, there)
    theirs = {**(here.metadata if here else {}), **(there.metadata if there else {})}
    kept = [tag for tag in theirs.pop("tags", None) or [] if not str(tag).startswith(_OWN_TAGS)]
    tags = [*(metadata.tags or []), *kept]
    extra = {key: value for key, value in theirs.items() if key not in _OWN_KEYS}
    whole = ModelCardData(**{**extra, **_arguments(metadata), "tags": list(dict.fromkeys(tags))})
    digest = _digest(text.before, text.after)
    note = f"<!-- zoo: generated from the run; text outside of this block is kept. {digest} -->"
    return f"---\n{whole.to_yaml()}\n---\n{text.before}{note}\n{block}\n<!-- zoo: end -->{text.after}"


def _arguments(metadata: ModelCardData) -> dict[str, Any]:
    return {key: value for key, value in vars(metadata).items() if value is not None}


def _chosen(here: Card | None, there: Card | None) -> Card:
    if here is None or there is None:
        return here or there or Card({}, "\n", "\n", None)
    if here.edited and there.edited and (here.before, here.after) != (there.before, there.after):
        raise UsageError(
            "README.md was edited both here and on the Hub, outside of the generated block",
            hint="bring your text into the one on the Hub, and delete README.md here",
        )
    return here if here.edited else there


def _split(card: str | None, name: str) -> Card | None:
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
    return Card(metadata or {}, body[: block.start()], body[block.end() :], block["digest"])


def _digest(before: str, after: str) -> str:
    return hashlib.sha256(f"{before}\0{after}".encode()).hexdigest()[:16]
