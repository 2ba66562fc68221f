"""What an evaluation found, as a program reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Mapping[str, float]):
    """The figures of a model on some data, by name: ``evaluation["rank1"]``.

    Names are ``auc``, ``rank1`` and ``tpr_at_fpr_1e-N`` wherever there are pairs enough to know it; with look-alikes
    ``look_alike_auc``, too. All are 0..1. Pairs of look-alikes count in that one alone. ``os.fspath`` returns the path.

    Attributes:
        path: of ``metrics.json``, which holds all of it.
        document: what is in ``metrics.json``.
        written: the files written: figures, thresholds and pictures.
        worse_than_untrained: a sentence where most figures fell below those of the model before training, else None.
        unreadable: a sentence where validation images could not be read and were left out, else None.
    """

    path: Path
    document: Mapping[str, Any]
    written: tuple[Path, ...]
    worse_than_untrained: str | None
    unreadable: str | None

    @property
    def metrics(self) -> dict[str, float]:
        """The figures."""
        return dict(self.document["metrics"])

    @property
    def plugin_metrics(self) -> dict[str, dict[str, float]]:
        """The figures of metrics that the recipe names, by the metric's name and the figure's."""
        return {name: dict(figures) for name, figures in self.document.get("plugin_metrics", {}).items()}

    @property
    def protocol(self) -> dict[str, Any]:
        """What decides the figures but the model; they compare with those whose ``protocol["digest"]`` is the same."""
        return dict(self.document["protocol"])

    @property
    def untrained(self) -> dict[str, float]:
        """The figures of the model before its first step; empty where they are not known."""
        return dict(self.document["untrained"] or {})

    @property
    def thresholds(self) -> dict[float, float]:
        """The score, -1..1, from which on two images are of one class, by the false positive rate it was chosen for."""
        points = self.document["thresholds"]
        return {point["fpr_target"]: point["threshold"] for point in points if point["threshold"] is not None}

    @property
    def counts(self) -> dict[str, int]:
        """How many ``images``, ``classes``, ``genuine_pairs``, ``impostor_pairs``, ``look_alike_pairs`` there are."""
        return dict(self.document["counts"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of it."""
        return tuple(filter(None, (self.unreadable, self.worse_than_untrained)))

    def __getitem__(self, name: str) -> float:
        return self.metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}={value:.4f}" for name, value in self.items())
        return f"Evaluation({figures})"
