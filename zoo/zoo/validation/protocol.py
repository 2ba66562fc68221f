"""What decides the figures of an evaluation, as a value with a hash: figures of other protocols do not compare."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from zoo.recipes.schema import Recipe
    from zoo.validation.embedded_images import EmbeddedImages

# Another one whenever the same data give figures of another meaning.
VERSION = 1
FIRST, APART = "first plain image of each class", "references/"
_SHORT = 12


@dataclass(frozen=True)
class Protocol:
    """All that decides the figures of a model but the model.

    Attributes:
        name: of the data, for people; not part of the hash.
        content: the SHA-256 of the images and their classes.
        images: how many were measured.
        classes: how many they have.
        look_alikes: how many of these have a look-alike among the others.
        groups: the SHA-256 of the groups of look-alikes; None without any.
        references: which images the others are identified by.
        captures: augmented views of each image, beside the plain one.
        augmentation: what made these: name and options as JSON; None without any.
        seed: of these; None without any.
        pairs: which pairs are verified.
        version: of the meaning of the figures.
    """

    name: str
    content: str
    images: int
    classes: int
    look_alikes: int
    groups: str | None
    references: str = FIRST
    captures: int = 0
    augmentation: str | None = None
    seed: int | None = None
    pairs: str = "all"
    version: int = VERSION

    @classmethod
    def of(cls, embedded: EmbeddedImages, name: str, *, content: str | None = None, **more: Any) -> Protocol:  # noqa: ANN401 - the fields
        """Describe what was embedded; ``content`` where files tell it better than the pixels made of them."""
        groups, counts = _groups(embedded)
        return cls(
            name=name,
            content=content or embedded.content,
            images=len(embedded.labels),
            classes=int(np.unique(embedded.labels).size),
            look_alikes=counts,
            groups=groups,
            **more,
        )

    @classmethod
    def of_recipe(cls, recipe: Recipe, embedded: EmbeddedImages) -> Protocol:
        """Describe the validation of a recipe."""
        data = recipe.data
        augmented: dict[str, Any] = {}
        if data.valid_captures:
            augmentation = data.augmentation.model_dump(mode="json")
            augmented = {
                "captures": data.valid_captures,
                "augmentation": _canonical(_without_folders(augmentation)),
                "seed": recipe.seed,
            }
        return cls.of(embedded, data.valid.name, **augmented)

    @property
    def digest(self) -> str:
        """The SHA-256 of everything but the name, shortened: 12 hexadecimal digits."""
        hashed = {key: value for key, value in asdict(self).items() if key != "name"}
        return hashlib.sha256(_canonical(hashed).encode()).hexdigest()[:_SHORT]

    def to_json(self) -> dict[str, Any]:
        """Return it with its hash as plain values; no path is in it."""
        return {"digest": self.digest, **asdict(self)}

    def __str__(self) -> str:
        return f"{self.name}, {self.images:,} images of {self.classes:,} classes (protocol {self.digest})"


def _groups(embedded: EmbeddedImages) -> tuple[str | None, int]:
    """Return the hash of the groups of look-alikes, and how many classes have one."""
    if embedded.groups is None:
        return None, 0
    labels, first = np.unique(embedded.labels, return_index=True)
    # Whatever number a group has: that of its first class.
    _, of_group, members = np.unique(embedded.groups[first], return_index=True, return_inverse=True)[:3]
    named = labels[of_group][members]
    count = int((np.bincount(members)[members] > 1).sum())
    return (hashlib.sha256(named.astype("<i8").tobytes()).hexdigest(), count) if count else (None, 0)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _without_folders(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return options without the folders of paths: where data lie does not change them."""
    if isinstance(value, Mapping):
        return {key: _without_folders(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_folders(one) for one in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
