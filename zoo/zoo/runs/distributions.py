"""The distributions whose components made a run or an artifact, against what is installed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo.atomic import read_json
from zoo_core.errors import ComponentError, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.runs.layout import RunFolder
    from zoo_core.registry import Registry


@dataclass(frozen=True)
class RecordedPlugin:
    """A plugin that a run needs, as its record tells; ``source`` is PEP 610's, where no index served it."""

    id: str
    distribution: str
    version: str
    source: Mapping[str, Any] | None = None

    @property
    def requirement(self) -> str:
        """What to give to ``pip install``."""
        match self.source:
            case {"url": str(url), "vcs_info": {"vcs": str(vcs), "commit_id": str(commit)}}:
                return f"{self.distribution} @ {vcs}+{url}@{commit}"
            case {"url": str(url)} if url.startswith("file://"):
                return url.removeprefix("file://")
            case {"url": str(url)}:
                return f"{self.distribution} @ {url}"
        return f"{self.distribution}=={self.version}"


def recorded_plugins(run: RunFolder) -> tuple[RecordedPlugin, ...]:
    """Return the plugins that ``run`` needs, from its record, else from the ``config.json`` of an artifact folder.

    What cannot be read is left out: it is no reason to refuse a run.
    """
    found: dict[str, RecordedPlugin] = {}
    try:
        components = run.read_record().get("components")
    except (OSError, UsageError):
        components = None
    for one in components if isinstance(components, list) else ():
        match one:
            case {"plugin": str(plugin), "distribution": str(distribution), "version": str(version)}:
                source = one.get("direct_url")
                kept = source if isinstance(source, dict) else None
                found[plugin] = RecordedPlugin(plugin, distribution, version, kept)
    config = run.path / "config.json"
    if not found and config.is_file():
        match read_json(config):
            case {"zoo": {"plugins": dict(plugins)}}:
                for plugin, one in plugins.items():
                    match one:
                        case {"distribution": str(distribution), "version": str(version)}:
                            found[plugin] = RecordedPlugin(plugin, distribution, version)
    return tuple(found.values())


def require_plugins(run: RunFolder, registry: Registry) -> None:
    """Refuse a run whose plugins are not installed, and say how to install all of them.

    One that is left out or fails to load has its own error, where it is used.

    Raises:
        ComponentError: one is not there.
    """
    there = {one.id for one in registry.plugins} | {one.id for one in registry.failures} | set(registry.disabled)
    missing = [one for one in recorded_plugins(run) if one.id not in there]
    if not missing:
        return
    line = " ".join(shlex.quote(requirement) for requirement in dict.fromkeys(one.requirement for one in missing))
    problems = [
        Problem(f"{run.path}: plugin {one.id!r} of {one.distribution} {one.version} is not installed")
        for one in missing
    ]
    problems[-1] = replace(problems[-1], hint=f"pip install {line}")
    raise ComponentError(problems[0].message).with_problems(problems)


def changed_versions(run: RunFolder, registry: Registry) -> tuple[Problem, ...]:
    """Return a problem for each distribution that is another version now than when ``run`` was trained."""
    installed = {plugin.id: plugin.provenance for plugin in registry.plugins}
    changed = {
        one.distribution: f"{one.distribution}: trained with {one.version}, {source.version} is installed"
        for one in recorded_plugins(run)
        if (source := installed.get(one.id))
        and (source.distribution, source.version) != (one.distribution, one.version)
    }
    return tuple(Problem(f"{run.path}: {text}", None, "figures may differ") for text in changed.values())
