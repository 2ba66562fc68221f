"""Tell plugins what happened, one after the other."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from zoo_core.errors import RunError, ZooError
from zoo_core.registry import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pluggy

    from zoo_core.registry import Registry

# A plugin that raises here means to stop what is about to happen; elsewhere it is too late, and only worth a warning.
STOPPING_HOOKS = frozenset({"zoo_before_push"})


def notify(registry: Registry, hook: str, /, **arguments: object) -> None:
    """Call ``hook`` of each plugin that has it; one that fails is warned about, unless it means to stop a push.

    Args:
        registry: the plugins.
        hook: name of a hook in `zoo_core.hooks`.
        arguments: what the hook declares.

    Raises:
        RunError: a plugin stopped the push.
    """
    for plugin in registry.plugins:
        try:
            call_alone(registry.hooks, plugin.manifest, hook, arguments)
        except (Exception, SystemExit) as error:
            if hook not in STOPPING_HOOKS:
                message = f"plugin {plugin.id} ({plugin.provenance}) failed in {hook}: {describe(error)}"
                warnings.warn(message, stacklevel=2)
                continue
            if isinstance(error, ZooError):
                raise
            msg = f"plugin {plugin.id} ({plugin.provenance}) stopped the push: {describe(error)}"
            raise RunError(msg) from error


def collect(registry: Registry, hook: str, /, **arguments: object) -> Iterator[tuple[str, Any]]:
    """Yield each plugin's id and what its ``hook`` returns; one that fails is left out, with a warning."""
    for plugin in registry.plugins:
        if not hasattr(plugin.manifest, hook):
            continue
        try:
            yield plugin.id, call_alone(registry.hooks, plugin.manifest, hook, arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises
            message = f"plugin {plugin.id} ({plugin.provenance}) failed in {hook}: {describe(error)}"
            warnings.warn(message, stacklevel=2)


def call_alone(manager: pluggy.PluginManager, manifest: object, hook: str, arguments: Mapping[str, object]) -> object:
    """Call the hook of one plugin; pluggy's call of all would end at the first that raises."""
    others = [plugin for plugin in manager.get_plugins() if plugin is not manifest]
    results: list[object] = manager.subset_hook_caller(hook, others)(**arguments)
    return results[0] if results else None
