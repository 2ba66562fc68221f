"""Entry points to plugins: one that fails is left out and named, and stops nobody else."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import defaultdict
from contextlib import redirect_stdout
from dataclasses import replace
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from zoo_core import hooks
from zoo_core.errors import ComponentError, UsageError
from zoo_core.manifest import ManifestError, api_version, check_hooks, check_id, check_is_manifest, components
from zoo_core.registry import FIRST_PARTY, Plugin, PluginFailure, Provenance, Registry, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.requirements import Requirement

GROUP = "zoo.plugins"
# Ids that this distribution ships belong to it, and so do import packages that start like its own: two packages of one
# name would overwrite each other's files. Everybody else's are called plugzoo_NAME, or whatever they like.
RESERVED_PREFIX = "zoo_"
_OWN_PACKAGES = frozenset({"zoo", "zoo_core", "zoo_models", "zoo_testing"})


def discover(environment: Mapping[str, str] | None = None) -> Registry:
    """Load the manifest of every installed plugin, each on its own.

    Args:
        environment: in place of ``os.environ``. ``ZOO_DISABLE_PLUGINS=a,b`` leaves plugins out,
            ``ZOO_ONLY_PLUGINS=a,b`` all others, ``ZOO_PLUGINS_ALLOW=distribution,...`` all of distributions that are
            neither named nor zoo's own, whose code is then not imported, ``ZOO_PLUGINS_PREFER=id=distribution,...``
            says whose plugin is meant where two distributions claim an id, and ``ZOO_PLUGINS_STRICT=1`` makes any
            failure an error.

    Raises:
        ComponentError: a plugin failed and ``ZOO_PLUGINS_STRICT`` is set.
        UsageError: ``ZOO_PLUGINS_PREFER`` cannot be read.
    """
    choice = _Choice(os.environ if environment is None else environment)
    found, failures = _find()
    claims, disabled, refused = _claims(found, choice)
    failures += refused
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    plugins: list[Plugin] = []
    for name, everybody in claims.items():
        claimants = [claim for claim in everybody if choice.prefers(name, claim[1])] or everybody
        if len(claimants) > 1:
            failures += _collisions(name, [source for _, source in claimants])
            continue
        [(point, source)] = claimants
        loaded = _load(point, source, manager)
        if isinstance(loaded, Plugin):
            plugins.append(loaded)
        else:
            failures.append(loaded)
    # The order of folders on disk is no order to show.
    failures.sort(key=lambda failure: (failure.id, failure.provenance.distribution))
    plugins.sort(key=lambda plugin: plugin.id)
    if failures and choice.strict:
        raise ComponentError(str(failures[0]), hint="ZOO_PLUGINS_STRICT is set") from failures[0].exception
    return Registry(tuple(plugins), tuple(failures), disabled, manager)


def _claims(
    found: list[tuple[EntryPoint, Provenance]], choice: _Choice
) -> tuple[dict[str, list[tuple[EntryPoint, Provenance]]], dict[str, str], list[PluginFailure]]:
    """Sort entry points: who claims which id, which ids the environment leaves out, and whose names are zoo's own.

    Reserved ids come first: nobody else's entry point may take the manifest of one.
    """
    own = [point for point, source in found if normalised(source.distribution) == FIRST_PARTY]
    reserved = {point.name for point in own}
    packages = _OWN_PACKAGES | {_package(point.value) for point in own}
    claims: dict[str, list[tuple[EntryPoint, Provenance]]] = defaultdict(list)
    disabled: dict[str, str] = {}
    refused: list[PluginFailure] = []
    for point, source in found:
        package = _package(point.value)
        if variable := choice.leaves_out(point.name, source):
            disabled[point.name] = variable
        elif normalised(source.distribution) == FIRST_PARTY:
            claims[point.name].append((point, source))
        elif point.name in reserved:
            reason = f"the id {point.name!r} is reserved for {FIRST_PARTY}"
            refused.append(PluginFailure(point.name, source, reason))
        elif package in packages:
            reason = f"the import package {package!r} is {FIRST_PARTY}'s own; rename it to {_proposed(package)!r}"
            refused.append(PluginFailure(point.name, source, reason))
        else:
            claims[point.name].append((point, source))
    in_order = sorted(claims.items(), key=lambda claim: (claim[0] not in reserved, claim[0]))
    return dict(in_order), disabled, refused


def normalised(distribution: str) -> str:
    """Return the name by which indexes compare distributions (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def reserved_package(source: Provenance) -> tuple[str, str] | None:
    """Return a plugin's import package whose name zoo reserves for packages to come, and a better name for it."""
    package = _package(source.entry_point.rpartition("= ")[2])
    if normalised(source.distribution) == FIRST_PARTY or not package.startswith(RESERVED_PREFIX):
        return None
    return package, _proposed(package)


def _package(value: str) -> str:
    """Return the import package of an entry point's value ``package.module:attribute``."""
    return re.split(r"[.:]", value.strip(), maxsplit=1)[0]


def _proposed(package: str) -> str:
    return f"{FIRST_PARTY}_{package.removeprefix(RESERVED_PREFIX)}"


class _Choice:
    """What the environment says about which plugins are wanted."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.strict = environment.get("ZOO_PLUGINS_STRICT", "") not in {"", "0"}
        self._without = _listed(environment.get("ZOO_DISABLE_PLUGINS", ""))
        self._only = _listed(environment.get("ZOO_ONLY_PLUGINS", ""))
        # Set and empty, it allows nobody.
        allowed = environment.get("ZOO_PLUGINS_ALLOW")
        self._allowed = None if allowed is None else {FIRST_PARTY, *map(normalised, _listed(allowed))}
        self._preferred: dict[str, str] = {}
        for pair in _listed(environment.get("ZOO_PLUGINS_PREFER", "")):
            name, equals, distribution = (side.strip() for side in pair.partition("="))
            if not (name and equals and distribution):
                msg = f"ZOO_PLUGINS_PREFER: {pair!r} is not of the form id=distribution"
                raise UsageError(msg)
            self._preferred[name] = normalised(distribution)

    def leaves_out(self, name: str, source: Provenance) -> str | None:
        """Return the variable that leaves this plugin out, if one does."""
        if self._allowed is not None and normalised(source.distribution) not in self._allowed:
            return "ZOO_PLUGINS_ALLOW"
        if name in self._without:
            return "ZOO_DISABLE_PLUGINS"
        if self._only and name not in self._only:
            return "ZOO_ONLY_PLUGINS"
        return None

    def prefers(self, name: str, source: Provenance) -> bool:
        """Whether this distribution's claim to an id is the one that is wanted."""
        return self._preferred.get(name) == normalised(source.distribution)


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _find() -> tuple[list[tuple[EntryPoint, Provenance]], list[PluginFailure]]:
    """Return all entry points of the group; a distribution whose metadata cannot be read is a failure."""
    found: list[tuple[EntryPoint, Provenance]] = []
    failures: list[PluginFailure] = []
    names: set[str] = set()
    for candidate in distributions():
        try:
            owner = _owner(candidate, names)
            if owner is None:
                continue
            points = owner.entry_points.select(group=GROUP)
            # Read once: each look at `metadata` parses the whole file anew.
            metadata = owner.metadata
            found += [(point, _provenance(point, metadata["Name"], metadata["Version"])) for point in points]
        except (ValueError, TypeError, OSError) as error:
            source = _unreadable(candidate)
            # A folder may be on the path twice.
            if source in [failure.provenance for failure in failures]:
                continue
            reason = f"its metadata cannot be read: {describe(error)}"
            failures.append(PluginFailure(source.distribution, source, reason, error))
    return found, failures


def _owner(candidate: Distribution, names: set[str]) -> Distribution | None:
    """Return the distribution if it has plugins and its name is not yet among ``names``, where it is added.

    The first of a name on ``sys.path`` is meant: that is the one that imports find.

    Raises:
        ValueError: its metadata are not text, or name another distribution than their folder does.
    """
    try:
        text = candidate.read_text("entry_points.txt")
    except UnicodeDecodeError as error:
        # Of distributions without plugins it is not zoo's business.
        if f"[{GROUP}]".encode() not in error.object:
            return None
        raise
    # Without a name it is what a broken uninstall left behind.
    if not text or f"[{GROUP}]" not in text or not candidate.name or normalised(candidate.name) in names:
        return None
    try:
        owner = distribution(candidate.name)
    except PackageNotFoundError as error:
        msg = f"it is called {candidate.name!r}, but its folder is not"
        raise ValueError(msg) from error
    names.add(normalised(candidate.name))
    return owner


def _unreadable(candidate: Distribution) -> Provenance:
    """Return what can be told of a distribution whose metadata cannot be read: its folder's name at the least."""
    try:
        name, version = candidate.name, candidate.version
    except (ValueError, TypeError, OSError):
        name, _, version = Path(str(getattr(candidate, "_path", "unknown"))).stem.partition("-")
    return Provenance(name, version, "", None)


def _provenance(point: EntryPoint, name: str, version: str) -> Provenance:
    direct_url = point.dist.read_text("direct_url.json") if point.dist else None
    return Provenance(
        distribution=name,
        version=version,
        entry_point=f"{point.name} = {point.value}",
        api_version=None,
        direct_url=json.loads(direct_url) if direct_url else None,
    )


def _collisions(name: str, sources: list[Provenance]) -> list[PluginFailure]:
    if len({normalised(source.distribution) for source in sources}) == 1:
        reason = f"its distribution declares the id {name!r} more than once"
        return [PluginFailure(name, sources[0], reason)]
    failures = []
    for source in sources:
        others = " and ".join(sorted(str(other) for other in sources if other != source))
        verb = "claim" if len(sources) > 2 else "claims"  # noqa: PLR2004 - this one and one other
        reason = f"{others} {verb} the id {name!r} too; choose by ZOO_PLUGINS_PREFER={name}={source.distribution}"
        failures.append(PluginFailure(name, source, reason))
    return failures


def _load(point: EntryPoint, source: Provenance, manager: pluggy.PluginManager) -> Plugin | PluginFailure:
    manifest: object = None
    try:
        check_id(point.name)
        # What a manifest prints must not get into the product of a command.
        with redirect_stdout(sys.stderr):
            manifest = point.load()
            if owner := manager.get_name(manifest):
                msg = f"its manifest {point.value} is that of plugin {owner!r}"
                raise ManifestError(msg)  # noqa: TRY301 - told as any other breach of the contract
            check_is_manifest(manifest, point)
            source = replace(source, api_version=api_version(manifest))
            check_hooks(manifest, manager)
            manager.register(manifest, name=point.name)
            manager.check_pending()
            specs = components(manifest, manager)
        return Plugin(point.name, source, manifest, specs)
    except KeyboardInterrupt:
        raise
    # A plugin may raise anything, an attempt to exit too; it must not take zoo or its neighbours with it.
    except BaseException as error:  # noqa: BLE001 - see above
        # Not by the manifest, which may be another plugin's.
        if manager.has_plugin(point.name):
            manager.unregister(name=point.name)
        reason = describe(error)
        if isinstance(error, ManifestError):
            reason = str(error)
        elif requirement := _unmet_requirement(point):
            reason = f"it requires {requirement} ({reason})"
        elif isinstance(error, ModuleNotFoundError):
            reason += f"; {_missing(error, point, source)}"
        return PluginFailure(point.name, source, reason, error)


def _requirements(point: EntryPoint) -> Iterator[Requirement]:
    """Yield what the plugin's distribution requires here; what cannot be read is left out."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - only a failure needs it

    for text in (point.dist.requires if point.dist else None) or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if not requirement.marker or requirement.marker.evaluate():
            yield requirement


def _missing(error: ModuleNotFoundError, point: EntryPoint, source: Provenance) -> str:
    """Say what to install for a module that a manifest imports and that is not there."""
    module = normalised((error.name or "").partition(".")[0])
    for requirement in _requirements(point):
        if normalised(requirement.name) == module:
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            return f"pip install '{requirement.name}{extras}{requirement.specifier}'"
    return f"{source.distribution} does not require a distribution of that name: tell its author"


def _unmet_requirement(point: EntryPoint) -> str | None:
    """Return what the plugin's distribution asks of zoo, if the installed zoo does not fit."""
    for requirement in _requirements(point):
        if normalised(requirement.name) != FIRST_PARTY:
            continue
        try:
            installed = distribution(FIRST_PARTY).version
        except PackageNotFoundError:
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            return f"{FIRST_PARTY}{requirement.specifier}, installed is {installed}"
    return None
