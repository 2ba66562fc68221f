"""Labelled pictures, embedded, and what cannot be true of strangers."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from zoo.artifacts.digests import sha256
from zoo_core.errors import RunError, UsageError, ZooError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from zoo.models.graph_runs import Embeddings
    from zoo.models.model import Model, Speed

Labelled: TypeAlias = "tuple[str, Path]"


@dataclass(frozen=True, eq=False)
class Embedded:
    """Pictures that could be read: label, path and SHA-256 of each, and ``embeddings float32 [N, D]``."""

    labels: tuple[str, ...]
    paths: tuple[Path, ...]
    digests: tuple[str, ...]
    embeddings: Embeddings
    unreadable: int

    @property
    def sha256(self) -> str:
        """The hash of all labels and contents, whatever their order and folder."""
        lines = sorted(f"{digest} {label}\n" for digest, label in zip(self.digests, self.labels, strict=True))
        return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def embed_labelled(
    model: Model,
    pictures: Sequence[Labelled],
    *,
    speed: Speed,
    unreadable: Callable[[ZooError], object],
    advance: Callable[[Iterable[Any]], Iterable[Any]],
) -> Embedded:
    """Embed ``pictures``; those that cannot be read are told to ``unreadable`` and left out.

    Raises:
        RunError: none can be read.
    """
    kept: list[tuple[str, Path, str]] = []
    embeddings: list[Embeddings] = []
    each = model.embed_each((path for _, path in pictures), speed=speed)
    with closing(each):
        for (label, path), (_, found) in zip(pictures, advance(each), strict=True):
            if isinstance(found, ZooError):
                unreadable(found)
                continue
            kept.append((label, path, sha256(path)))
            embeddings.append(found)
    if not kept:
        raise RunError(f"none of {len(pictures):,} pictures can be read")
    labels, paths, digests = zip(*kept, strict=True)
    return Embedded(labels, paths, digests, np.stack(embeddings), len(pictures) - len(kept))


def refuse_copies(found: Embedded, gallery: Embedded | None) -> None:
    """Refuse a file that is there twice under two labels: no stranger, it would lift the threshold above all scores.

    Raises:
        UsageError: there is one.
    """
    known: dict[str, tuple[str, Path]] = {}
    for one in (gallery, found):
        if one is None:
            continue
        for label, path, digest in zip(one.labels, one.paths, one.digests, strict=True):
            other, where = known.setdefault(digest, (label, path))
            if other != label:
                raise UsageError(
                    f"{path}: is the same file as {where}, and so no stranger to {other!r}",
                    hint="remove one of them, or put both under one name",
                )
