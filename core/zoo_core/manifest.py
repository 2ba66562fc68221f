"""What a manifest must fulfil before its plugin is taken in."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, cast

from zoo_core import hooks
from zoo_core.components import KINDS, ComponentFamily, ComponentSpec
from zoo_core.events import call_alone

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import pluggy

API_VERSION = 1
# The current version and the one before it.
SUPPORTED_API_VERSIONS = range(max(1, API_VERSION - 1), API_VERSION + 1)
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_HOOKS = tuple(name for name in vars(hooks) if name.startswith(hooks.PROJECT + "_"))


class ManifestError(Exception):
    """A manifest breaks the contract for plugins."""


def check_id(plugin: str) -> None:
    """Refuse an id that could not stand before the '/' of a name."""
    if not IDENTIFIER.fullmatch(plugin):
        msg = f"{plugin!r} is no plugin id: letters, digits, '.', '_' and '-' make one"
        raise ManifestError(msg)


def hook_names(manifest: object) -> list[str]:
    """Return the hooks that a manifest implements, in zoo's order."""
    return [name for name in _HOOKS if hasattr(manifest, name)]


def check_is_manifest(manifest: object, point: EntryPoint) -> None:
    """Refuse an attribute of a manifest in the manifest's place: ``acme = "acme.plugin:zoo_components"``."""
    if point.attr and not hasattr(manifest, "ZOO_API") and hasattr(sys.modules.get(point.module), "ZOO_API"):
        msg = f"its entry point names {point.attr} of its manifest: write {point.name} = {point.module!r}"
        raise ManifestError(msg)


def api_version(manifest: object) -> int:
    """Return the API version that the manifest is made for; refuse one that this zoo does not support."""
    version = getattr(manifest, "ZOO_API", None)
    if not isinstance(version, int) or isinstance(version, bool):
        msg = f"its manifest says no ZOO_API = {API_VERSION}"
        raise ManifestError(msg)
    if version not in SUPPORTED_API_VERSIONS:
        supported = " and ".join(map(str, SUPPORTED_API_VERSIONS))
        msg = f"it is made for plugin API {version}, this zoo supports {supported}"
        raise ManifestError(msg)
    return version


def check_hooks(manifest: object, manager: pluggy.PluginManager) -> None:
    """Refuse a hook of unknown name; pluggy's own message shows the module's repr and no near name."""
    for attribute in dir(manifest):
        options = manager.parse_hookimpl_opts(manifest, attribute)
        if options is None and attribute in _HOOKS and callable(getattr(manifest, attribute)):
            msg = f"{attribute} has no @hookimpl: nothing would call it"
            raise ManifestError(msg)
        if options is None or options["optionalhook"]:
            continue
        name = options["specname"] or attribute
        if not hasattr(manager.hook, name):
            from zoo_core.config.suggestions import did_you_mean  # noqa: PLC0415 - reads YAML, which listing does not

            hint = did_you_mean(name, _HOOKS)
            msg = f"there is no hook {name!r}" + (f"; {hint}" if hint else "")
            raise ManifestError(msg)


def components(manifest: object, manager: pluggy.PluginManager) -> tuple[ComponentSpec | ComponentFamily, ...]:
    """Ask a registered manifest for its components, and check each."""
    specs = call_alone(manager, manifest, "zoo_components", {})
    if specs is None and not hasattr(manifest, "zoo_components"):
        return ()
    if specs is None:
        raise ManifestError("zoo_components returned None: is its return missing?")
    if not isinstance(specs, list | tuple):
        msg = f"zoo_components returned {type(specs).__name__}, not a list of ComponentSpec"
        raise ManifestError(msg)
    seen: set[tuple[str, str]] = set()
    for spec in specs:
        if not isinstance(spec, ComponentSpec | ComponentFamily):
            msg = f"zoo_components returned a {type(spec).__name__} among its components"
            raise ManifestError(msg)
        name = _checked_name(spec)
        if (spec.kind, name) in seen:
            msg = f"it has {spec.kind} {name!r} more than once"
            raise ManifestError(msg)
        seen.add((spec.kind, name))
    return tuple(specs)


def _checked_name(spec: ComponentSpec | ComponentFamily) -> str:
    name = spec.pattern if isinstance(spec, ComponentFamily) else spec.name
    if spec.kind not in KINDS:
        msg = f"component {name!r} is of unknown kind {spec.kind!r}; the kinds are {', '.join(KINDS)}"
        raise ManifestError(msg)
    if not isinstance(name, str) or not name or "/" in name or any(character.isspace() for character in name):
        msg = f"{name!r} is no name for a {spec.kind}: it must not be empty nor hold '/' or spaces"
        raise ManifestError(msg)
    targets = {"factory": spec.factory, "config": spec.config or "no:config", "check": spec.check or "no:check"}
    if isinstance(spec, ComponentFamily):
        targets["names"] = spec.names
    for field, target in targets.items():
        if not isinstance(target, str) or not TARGET.fullmatch(target):
            msg = f"the {field} of {spec.kind} {name!r} is {target!r}, not 'module:attribute'"
            raise ManifestError(msg)
    _check_words(spec, name)
    return name


def _check_words(spec: ComponentSpec | ComponentFamily, name: str) -> None:
    """Refuse what listings and model cards could not show."""
    # What a plugin passes to a dataclass is not held to the annotations.
    summary, licence, tags = cast("tuple[object, object, object]", (spec.summary, spec.license, spec.tags))
    if not isinstance(summary, str):
        msg = f"the summary of {spec.kind} {name!r} is {summary!r}, not a text"
        raise ManifestError(msg)
    if licence is not None and not isinstance(licence, str):
        msg = f"the license of {spec.kind} {name!r} is {licence!r}, neither a text nor None"
        raise ManifestError(msg)
    pairs = spec.restoring
    if not isinstance(pairs, tuple) or not all(
        isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)  # noqa: PLR2004 - option and value
        for pair in cast("tuple[object, ...]", pairs)
    ):
        msg = f"the restoring of {spec.kind} {name!r} is {pairs!r}, not a tuple of (option, value)"
        raise ManifestError(msg)
    if not isinstance(tags, tuple) or not all(isinstance(tag, str) for tag in tags):
        msg = f"the tags of {spec.kind} {name!r} are {tags!r}, not a tuple of texts"
        raise ManifestError(msg)
