"""Several models on the same images: which is better, and by how much, with intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.atomic import write_json
from zoo.evaluation.names import LETTERS, metric_name
from zoo.evaluation.writing import can_draw
from zoo.metrics.bootstrap import paired_difference
from zoo.runs.unreadable import UnreadableSamples
from zoo_core.errors import RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from zoo.evaluation.subjects import Advance, EvaluationData, Subject
    from zoo.metrics.bootstrap import Difference
    from zoo.validation.embedded_images import EmbeddedImages
    from zoo.validation.protocol import Protocol

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Comparison:
    """Each model against the first, A, by a bootstrap over classes that draws the same classes for both.

    Attributes:
        names: the models; the first is A.
        identities: what tells them from others, such as hashes.
        protocol: what all were measured by.
        differences: of B, C and so on from A: by figure.
        written: the files, if any were asked for.
    """

    names: tuple[str, ...]
    identities: tuple[Mapping[str, Any], ...]
    protocol: Protocol
    differences: tuple[Mapping[str, Difference], ...]
    written: tuple[Path, ...] = ()

    @property
    def verdicts(self) -> tuple[str, ...]:
        """A sentence for each model after the first, on the rarest false positives that there are pairs enough for."""
        return tuple(_verdict(LETTERS[number], found) for number, found in enumerate(self.differences, 1))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        models = [
            {"letter": letter, **identity, "name": name}
            for letter, name, identity in zip(LETTERS, self.names, self.identities, strict=False)
        ]
        found = [
            {
                "model": LETTERS[number],
                "against": "A",
                "verdict": _verdict(LETTERS[number], differences),
                "figures": {name: {**asdict(one), "shows": one.shows} for name, one in differences.items()},
            }
            for number, differences in enumerate(self.differences, 1)
        ]
        return {"schema": SCHEMA, "protocol": self.protocol.to_json(), "models": models, "comparisons": found}

    def __str__(self) -> str:
        return "\n".join(self.verdicts)


def compare(
    subjects: Sequence[Subject], data: EvaluationData, *, output: Path | None = None, advance: Advance = iter
) -> Comparison:
    """Embed ``data`` by each model and compare them with the first; write ``comparison.json`` and ``.png`` if asked.

    Raises:
        UsageError: there is one model, or more than letters.
        RunError: a model cannot run, or the embeddings cannot be measured.
    """
    if not 2 <= len(subjects) <= len(LETTERS):  # noqa: PLR2004 - a comparison is of two
        raise UsageError(f"two to {len(LETTERS)} models are compared, not {len(subjects)}")
    found = [subject.embed(data, advance=advance, unreadable=UnreadableSamples()) for subject in subjects]
    first = found[0]
    for subject, other in zip(subjects[1:], found[1:], strict=True):
        _require_same_images(first, other, subject.name)
    known = np.isin(first.labels, first.labels[first.is_reference]).all()
    differences = tuple(
        paired_difference(
            first.embeddings,
            other.embeddings,
            first.labels,
            first.groups,
            is_reference=first.is_reference if known else None,
        )
        for other in found[1:]
    )
    comparison = Comparison(
        names=tuple(subject.name for subject in subjects),
        identities=tuple(subject.identity for subject in subjects),
        protocol=data.protocol(first),
        differences=differences,
    )
    return comparison if output is None else _written(comparison, output)


def _verdict(letter: str, differences: Mapping[str, Difference]) -> str:
    name = next((name for name in differences if name.startswith("tpr_at_fpr_")), "auc")
    found = differences[name]
    if not found.shows:
        return (
            f"{letter} against A: no difference shows at {metric_name(name)} "
            f"({found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}])"
        )
    better, sign = (letter, 1) if found.value > 0 else ("A", -1)
    low, high = sorted((sign * found.low, sign * found.high))
    against = "A" if better == letter else letter
    return f"{better} better than {against} at {metric_name(name)} by {sign * found.value:.4f} [{low:.4f}, {high:.4f}]"


def _require_same_images(first: EmbeddedImages, other: EmbeddedImages, name: str) -> None:
    if not np.array_equal(first.items, other.items) or not np.array_equal(first.labels, other.labels):
        raise RunError(f"{name} did not see the images that the first model saw", hint="repair unreadable images")


def _written(comparison: Comparison, folder: Path) -> Comparison:
    paths = [folder / "comparison.json"]
    write_json(paths[0], comparison.to_json())
    if can_draw():
        from zoo.evaluation.comparison_plot import draw_comparison  # noqa: PLC0415 - an extra

        paths.append(folder / "comparison.png")
        draw_comparison(comparison.names, comparison.differences, paths[1])
    return Comparison(
        comparison.names, comparison.identities, comparison.protocol, comparison.differences, tuple(paths)
    )
