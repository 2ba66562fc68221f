"""Where an artifact was made, and what is otherwise here: what rounds otherwise, draws otherwise, or is slower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo_core.provenance import cpu_kind, installed_versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Surroundings:
    """What an export report says of its machine and of its libraries."""

    report: Mapping[str, Any]

    @property
    def another_processor(self) -> str | None:
        """A few words where the processor here is another one, or that there is not known."""
        there, here = self.report.get("machine"), cpu_kind()
        if not isinstance(there, dict):
            return "on which processor it was made is not recorded"
        if there == here:
            return None
        if there.get("cpu") == here["cpu"]:
            return f"the processor, {here['cpu']}, has other instructions than that there"
        return f"made on {there.get('cpu')}, and this is {here['cpu']}"

    def other_versions(self, names: Sequence[str]) -> str | None:
        """Return a few words where libraries are of other versions here, or those there are not known."""
        there, here = self.report.get("versions"), installed_versions(names)
        there = there if isinstance(there, dict) else {}
        other = [
            f"{name} {there.get(name, 'of an unknown version')} there, {here.get(name, 'none')} here"
            for name in names
            if there.get(name) != here.get(name)
        ]
        return "; ".join(other) or None

    def differences(self, names: Sequence[str]) -> str | None:
        """Return what is otherwise here, processor and libraries; None where nothing is."""
        return "; ".join(filter(None, (self.another_processor, self.other_versions(names)))) or None
