"""What is tested of a component of any kind."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from zoo.contract_checks.subject import Subject
from zoo.inspection.plugins import component_findings
from zoo_core.building import build
from zoo_core.discovery import discover
from zoo_core.errors import ZooError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo_core.components import Kind
    from zoo_core.registry import Component, Registry


class ComponentSuite:
    """Tests of one component; subclass the suite of its kind, and name it.

    A fixture with ``autouse=True`` may set ``self.options``, to a folder of pictures for example.

    Attributes:
        component: the name with its plugin, ``"swatch/pool"``.
        options: what a recipe would set.
        kind: the component's kind.
        wired: what zoo would pass, where the suite's own values do not fit.
    """

    component: str
    options: Mapping[str, Any] = MappingProxyType({})
    wired: Mapping[str, Any] = MappingProxyType({})
    kind: Kind

    @pytest.fixture
    def registry(self) -> Registry:
        """All installed plugins."""
        return discover()

    @pytest.fixture
    def subject(self, registry: Registry) -> Subject:
        """The component, which faults name."""
        return Subject(registry.find(self.kind, self.component))

    def wiring(self) -> dict[str, Any]:
        """Return what zoo passes to a factory of this kind."""
        return dict(self.wired)

    def make(self, registry: Registry, **changed: object) -> Any:  # noqa: ANN401 - the kind decides
        """Build the component as a recipe would; ``changed`` is wired otherwise."""
        return build(registry, self.kind, self.component, self.options, wired={**self.wiring(), **changed})

    def test_it_is_announced_and_loads(self, registry: Registry) -> None:
        """Its manifest names it, its factory resolves, and each of its options is annotated."""
        found: Component = registry.find(self.kind, self.component)
        assert found.qualified_name == self.component, f"write {found.qualified_name}"
        assert found.spec.summary, "give it a summary: 'zoo list' shows it"
        findings = [str(finding) for finding in component_findings(found, registry)]
        assert not findings, "\n".join(findings)

    def test_an_unknown_option_is_refused(self, registry: Registry) -> None:
        """A misspelled option in a recipe is an error."""
        with pytest.raises(ZooError):
            build(registry, self.kind, self.component, {**self.options, "no_such_option_": 1}, wired=self.wiring())
