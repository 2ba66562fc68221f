"""Names to components: nothing is imported before it is used, and every component knows where it comes from."""

from __future__ import annotations

import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo_core.components import KINDS, ComponentFamily, ComponentSpec
from zoo_core.errors import ComponentError, ZooError
from zoo_core.extras import naming_missing_extras

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pluggy

    from zoo_core.components import Kind


# The distribution of zoo and of the plugins that come with it.
FIRST_PARTY = "plugzoo"


@dataclass(frozen=True)
class Provenance:
    """Where a plugin comes from; ``direct_url`` is PEP 610's, for a distribution that no index served."""

    distribution: str
    version: str
    entry_point: str
    api_version: int | None
    direct_url: Mapping[str, Any] | None = None

    @property
    def is_first_party(self) -> bool:
        """Whether the plugin comes with zoo itself."""
        return self.distribution == FIRST_PARTY

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True, eq=False)
class Plugin:
    """A plugin that loaded, with what it provides."""

    id: str
    provenance: Provenance
    manifest: object
    components: tuple[ComponentSpec | ComponentFamily, ...]


@dataclass(frozen=True, eq=False)
class PluginFailure:
    """A plugin that was left out, and why."""

    id: str
    provenance: Provenance
    reason: str
    exception: BaseException | None = None

    def __str__(self) -> str:
        return f"plugin {self.id} ({self.provenance}) skipped: {self.reason}"


@dataclass(frozen=True)
class Component:
    """One component; ``spec`` is a family both for the family itself and for a member of it."""

    spec: ComponentSpec | ComponentFamily
    name: str
    plugin: str
    provenance: Provenance

    @property
    def kind(self) -> Kind:
        """The component's kind."""
        return self.spec.kind

    @property
    def qualified_name(self) -> str:
        """The name with its plugin: ``timm/lcnet_050``; of a whole family with its pattern: ``timm/*``."""
        return f"{self.plugin}/{self.name}"

    @property
    def is_family(self) -> bool:
        """Whether this is a whole family, not a member of one."""
        return isinstance(self.spec, ComponentFamily) and self.name == self.spec.pattern

    def __str__(self) -> str:
        return f"{self.kind} {self.qualified_name} ({self.provenance})"


@dataclass(frozen=True, eq=False)
class Registry:
    """All plugins of this process; ``disabled`` says of plugins that were not asked for who left them out."""

    plugins: tuple[Plugin, ...]
    failures: tuple[PluginFailure, ...]
    disabled: Mapping[str, str]
    hooks: pluggy.PluginManager
    _names: dict[tuple[str, ComponentFamily], tuple[str, ...]] = field(default_factory=dict, repr=False)

    def components(self, kind: Kind | None = None) -> list[Component]:
        """Return what the plugins provide, sorted by kind and name; a family is one entry."""
        found = [
            Component(
                spec, spec.pattern if isinstance(spec, ComponentFamily) else spec.name, plugin.id, plugin.provenance
            )
            for plugin in self.plugins
            for spec in plugin.components
            if kind is None or spec.kind == kind
        ]
        return sorted(found, key=lambda component: (KINDS.index(component.kind), component.qualified_name))

    def members(self, family: Component) -> list[Component]:
        """Return all components of ``family``; imports what the family needs.

        Raises:
            ComponentError: the family's names cannot be had.
        """
        return [Component(family.spec, name, family.plugin, family.provenance) for name in self._family_names(family)]

    def find(self, kind: Kind, name: str) -> Component:
        """Return the component called ``name``, with its plugin or without.

        Without, one that comes with zoo is meant before all others: what is installed beside it changes no recipe.

        Raises:
            ComponentError: there is none, there are several, or its plugin failed to load.
        """
        plugin, slash, rest = name.partition("/")
        if slash:
            self.require_plugin(plugin, f"{kind} {name!r}")
            candidates = [component for component in self.components(kind) if component.plugin == plugin]
        else:
            candidates, rest = self.components(kind), name
        found, unreadable = self._matches(candidates, rest)
        if len(found) > 1:
            found = [component for component in found if component.provenance.is_first_party] or found
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(component.qualified_name for component in found)
            msg = f"{kind} {name!r} is ambiguous: {names}"
            raise ComponentError(msg, hint="write the name with its plugin")
        if unreadable:
            raise unreadable[0]
        raise self._unknown(kind, name, candidates)

    def load(self, component: Component) -> Callable[..., Any]:
        """Import the component's factory; that of a family already has the component's name.

        Raises:
            ComponentError: it cannot be imported.
        """
        factory: Callable[..., Any] = load_target(component, component.spec.factory)
        if isinstance(component.spec, ComponentFamily):
            if component.spec.resolves:
                with blaming(component, component.spec.factory):
                    resolved: Callable[..., Any] = factory(component.name)
                return resolved
            return partial(factory, component.name)
        return factory

    def require_plugin(self, plugin: str, wanted: str) -> None:
        """Refuse a plugin that is not there, in the words of what ``wanted`` it.

        Raises:
            ComponentError: it failed to load, was left out, or is not installed.
        """
        ids = {loaded.id for loaded in self.plugins}
        if plugin in ids:
            return
        failures = [failure for failure in self.failures if failure.id == plugin]
        if failures:
            reasons = "; ".join(f"{failure.provenance}: {failure.reason}" for failure in failures)
            msg = f"{wanted} is from plugin {plugin!r}, which failed to load: {reasons}"
            raise ComponentError(msg)
        if plugin in self.disabled:
            msg = f"{wanted} is from plugin {plugin!r}, which is left out by {self.disabled[plugin]}"
            raise ComponentError(msg)
        msg = f"{wanted}: there is no plugin {plugin!r}"
        from zoo_core.config.suggestions import suggest  # noqa: PLC0415 - its package reads YAML, which listing does not

        raise ComponentError(msg, hint=suggest(plugin, ids, "plugins"))

    def _matches(self, candidates: Iterable[Component], name: str) -> tuple[list[Component], list[ComponentError]]:
        found: list[Component] = []
        # A family that cannot be read is no reason to refuse a name that another plugin has.
        unreadable: list[ComponentError] = []
        for component in candidates:
            if not component.is_family:
                matches = component.name == name
            else:
                try:
                    matches = fnmatchcase(name, component.name) and name in self._family_names(component)
                except ComponentError as error:
                    unreadable.append(error)
                    continue
            if matches:
                found.append(Component(component.spec, name, component.plugin, component.provenance))
        return found, unreadable

    def _family_names(self, component: Component) -> tuple[str, ...]:
        spec = component.spec
        if not isinstance(spec, ComponentFamily):
            return (component.name,)
        key = (component.plugin, spec)
        if key not in self._names:
            names = load_target(component, spec.names)
            with blaming(component, spec.names):
                self._names[key] = tuple(name for name in names() if fnmatchcase(name, spec.pattern))
        return self._names[key]

    def _unknown(self, kind: Kind, name: str, candidates: Iterable[Component]) -> ComponentError:
        from zoo_core.config.suggestions import suggest  # noqa: PLC0415 - its package reads YAML, which listing does not

        msg = f"there is no {kind} {name!r}"
        for other in self.components():
            if name in {other.name, other.qualified_name}:
                return ComponentError(msg, hint=f"{other.qualified_name!r} is of kind {other.kind}")
        known: list[str] = []
        for component in candidates:
            prefix = f"{component.plugin}/" if "/" in name else ""
            known += (prefix + member for member in self._family_names(component))
        hints = [self._tagged(name, candidates) or suggest(name, known, "known")]
        if self.failures:
            hints.append(f"plugins that failed to load: {', '.join(failure.id for failure in self.failures)}")
        return ComponentError(msg, hint="; ".join(filter(None, hints)) or None)

    def _tagged(self, name: str, candidates: Iterable[Component]) -> str | None:
        """Say how to write ``timm/resnet50.a1_in1k``, as others name a model of a family and its weights."""
        model, dot, tag = name.partition(".")
        families = [one for one in candidates if dot and one.is_family]
        if any(model.rpartition("/")[2] in self._family_names(family) for family in families):
            return f"what follows the dot is an option: {{name: {model}, options: {{tag: {tag}}}}}"
        return None


def load_target(component: Component, target: str) -> Any:  # noqa: ANN401 - whatever the plugin named
    """Import ``target``, a ``"module:attribute"`` of the component.

    Raises:
        ComponentError: it cannot be imported; names the plugin, or the extra that is missing.
    """
    module, _, attribute = target.partition(":")
    with blaming(component, target):
        found: Any = import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
        return found


@contextmanager
def blaming(component: Component, target: str) -> Iterator[None]:
    """Turn any failure of a plugin's code into an error that names the component and what was called.

    What the code prints goes to stderr: it is no product of a command.

    Raises:
        ComponentError: the code failed.
    """
    try:
        with redirect_stdout(sys.stderr), naming_missing_extras(f"{component.kind} {component.qualified_name}"):
            yield
    except (ComponentError, KeyboardInterrupt):
        raise
    # Whatever a plugin raises, an attempt to exit too, is that plugin's failure and not zoo's.
    except BaseException as error:
        msg = f"{component}: {target} failed: {describe(error)}"
        raise ComponentError(msg) from error


def describe(error: BaseException) -> str:
    """Return the error on one line; with its type, except where the message says it all."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - an error of a plugin may fail to say what it is
        text = ""
    if isinstance(error, ImportError | ValueError | ZooError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
