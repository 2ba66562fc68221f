"""What a training says about its data and weights before it starts: what is left out, leaked, dropped or replaced."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.atomic import write_text
from zoo.validation.leak import Leak, measure_leak
from zoo.validation.left_out import LeftOut
from zoo_core.capabilities import HasProvenance
from zoo_core.errors import Problem, RunError
from zoo_core.escaping import escaped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from zoo.recipes.loading import LoadedRecipe
    from zoo.training.init_from.weights import InitialWeights
    from zoo_core.contracts import Dataset, StreamingDataset


@dataclass(frozen=True)
class StartReport:
    """What a person should know before hours of training.

    Attributes:
        left_out: of each data set.
        leak: what validation shows of what is trained on.
        recipe: warnings of the recipe, printed when it was loaded.
        fallback: why the backbone starts from random weights though the recipe wants pretrained ones; else empty.
        initial: what the model has of the one that ``init_from`` names.
    """

    left_out: tuple[LeftOut, ...]
    leak: Leak
    recipe: tuple[Problem, ...]
    fallback: str
    initial: InitialWeights | None = None

    @classmethod
    def of(
        cls,
        loaded: LoadedRecipe,
        train: Sequence[Dataset | StreamingDataset],
        valid: Dataset,
        backbone: nn.Module,
        initial: InitialWeights | None = None,
    ) -> StartReport:
        """Look at what has been built.

        Raises:
            RunError: more than ``data.unreadable_share`` of a data set is left out.
        """
        names = ["train", *(f"train_also.{number}" for number in range(len(train) - 1)), "valid"]
        left_out = tuple(LeftOut.of(name, dataset) for name, dataset in zip(names, [*train, valid], strict=True))
        for one in left_out:
            one.require_little(loaded.recipe.data.unreadable_share)
        wanted = loaded.recipe.model.backbone.options.get("pretrained")
        has_own = initial is None or not initial.whole("backbone")
        fallback = _fallback(backbone) if wanted is not False and has_own else ""
        return cls(left_out, measure_leak(train, valid), loaded.warnings, fallback, initial)

    @property
    def side(self) -> str:
        """What the validation data are called: ``unseen``, where no leak was found."""
        return "validation" if self.leak else "unseen"

    @property
    def lines(self) -> list[str]:
        """What has not been printed yet: a few lines."""
        lines = [line for one in self.left_out for line in one.lines]
        lines += self.initial.lines if self.initial else []
        return [*lines, str(self.leak)] if self.leak else lines

    def require_nothing(self, more: Sequence[str] = ()) -> None:
        """Make each line, and each of ``more``, an error, as ``--strict`` asks.

        Raises:
            RunError: there is something to report.
        """
        fallback = [f"model.backbone starts from random weights: {self.fallback}"] if self.fallback else []
        problems = [*self.recipe, *map(Problem, [*self.lines, *fallback, *more])]
        if problems:
            raise RunError(problems[0].message).with_problems(problems)

    def to_json(self) -> dict[str, Any]:
        """Return it for a run's record; the names of all that is left out are a list of their own."""
        counts = {
            one.part: {"classes": len(one.classes), "files": len(one.files), "notes": len(one.notes)}
            for one in self.left_out
        }
        warnings = list(map(str, self.recipe))
        return {"left_out": counts, "leak": self.leak.to_json(), "warnings": warnings, "fallback": self.fallback}

    def write_left_out(self, path: Path) -> None:
        """Write all that is left out as CSV, a line each, where there is anything."""
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("part", "kind", "path", "reason"))
        rows = [
            (one.part, skipped.kind, escaped(skipped.source), escaped(skipped.reason))
            for one in self.left_out
            for skipped in (*one.classes, *one.files, *one.notes)
        ]
        writer.writerows(rows)
        if rows:
            write_text(path, table.getvalue())


def _fallback(backbone: nn.Module) -> str:
    provenance: Mapping[str, str] = backbone.provenance if isinstance(backbone, HasProvenance) else {}
    return provenance.get("reason", "no reason is given") if provenance.get("weights") == "random" else ""
