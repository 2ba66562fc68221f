"""What an author of a plugin wants to know of it before others do: all that listing, loading and building will meet."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from zoo_core.components import WIRED, ComponentFamily
from zoo_core.discovery import normalised, reserved_package
from zoo_core.errors import ComponentError, UsageError
from zoo_core.registry import FIRST_PARTY, Component
from zoo_core.signatures import accepted, option_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zoo_core.registry import Plugin, PluginFailure, Registry

# Listing is instant for all plugins together.
SLOW_SECONDS = 0.1
HEAVY = ("torch", "timm", "lightning", "onnx", "onnxruntime", "huggingface_hub", "pydantic", "cv2", "numpy", "PIL")
_FAMILY_MEMBERS = 3

# Run in a process of its own: this one has imported most of it already.
_IMPORT = """
import contextlib, importlib, io, json, sys, time
import zoo_core.api
before, printed = set(sys.modules), io.StringIO()
with contextlib.redirect_stdout(printed):
    start = time.perf_counter()
    module = importlib.import_module(sys.argv[1])
    seconds = time.perf_counter() - start
new = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
print(json.dumps({"seconds": seconds, "printed": printed.getvalue(), "modules": new, "file": module.__file__}))
"""


@dataclass(frozen=True)
class Finding:
    """What was found: an ``error`` keeps the plugin or a component from working, a ``warning`` does not.

    ``where`` is ``file:line`` of the code, or the name of what has none.
    """

    level: Literal["error", "warning"]
    where: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}"
        return f"{text}; {self.hint}" if self.hint else text


def check_plugins(registry: Registry, distribution: str | None = None) -> dict[str, list[Finding]]:
    """Check all plugins of ``distribution``, or of all but zoo's own; return what was found, by plugin.

    Imports all of their components.

    Raises:
        UsageError: no plugin is of that distribution, nor has that id.
    """

    def chosen(one: Plugin | PluginFailure) -> bool:
        name = normalised(one.provenance.distribution)
        return name != FIRST_PARTY if distribution is None else normalised(distribution) in {name, normalised(one.id)}

    found = {f"{one.id} ({one.provenance})": _of_failure(one) for one in registry.failures if chosen(one)}
    found |= {f"{one.id} ({one.provenance})": [*_of_plugin(one, registry)] for one in registry.plugins if chosen(one)}
    if distribution is not None and not found:
        everybody: tuple[Plugin | PluginFailure, ...] = (*registry.plugins, *registry.failures)
        known = sorted({one.provenance.distribution for one in everybody})
        raise UsageError(f"no plugin is of a distribution {distribution!r}", hint=f"there are: {', '.join(known)}")
    return found


def _of_failure(failure: PluginFailure) -> list[Finding]:
    """Return why a plugin was left out, with the line of its own code that failed."""
    where, trace = failure.provenance.entry_point, failure.exception.__traceback__ if failure.exception else None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith(("<", sys.base_prefix)) and "/zoo_core/" not in file and "/pluggy/" not in file:
            where = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return [Finding("error", where, failure.reason)]


def _of_plugin(plugin: Plugin, registry: Registry) -> Iterator[Finding]:
    module = plugin.provenance.entry_point.rpartition("= ")[2].partition(":")[0]
    yield from _of_import(module)
    if renamed := reserved_package(plugin.provenance):
        yield Finding("warning", module, f"names of zoo_* are reserved: rename {renamed[0]} to {renamed[1]}")
    if not plugin.components:
        yield Finding("warning", module, "it provides no component", "return them from zoo_components, with @hookimpl")
    for spec in plugin.components:
        name = spec.pattern if isinstance(spec, ComponentFamily) else spec.name
        component = Component(spec, name, plugin.id, plugin.provenance)
        yield from _of_clashes(component, registry)
        members = [component]
        if component.is_family:
            try:
                members = registry.members(component)[:_FAMILY_MEMBERS]
            except ComponentError as error:
                yield Finding("error", str(component), error.problems[0].message)
                continue
            if not members:
                yield Finding("error", str(component), f"{spec.names} returned no name", f"one must match {name!r}")  # type: ignore[union-attr] # a family
        for member in members:
            yield from component_findings(member, registry)


def _of_import(module: str) -> Iterator[Finding]:
    command = [sys.executable, "-c", _IMPORT, module]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a module that zoo imports
    try:
        facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = next(iter(done.stderr.strip().splitlines()[-1:]), "it ended without a word")
        yield Finding("error", module, f"its manifest cannot be imported alone: {last}")
        return
    where = f"{facts['file']}:1"
    if heavy := [name for name in HEAVY if name in facts["modules"]]:
        hint = "import the standard library and zoo_core.api only; name all else by 'module:attribute'"
        yield Finding("warning", where, f"its manifest imports {', '.join(heavy)} ({facts['seconds']:.2f} s)", hint)
    elif facts["seconds"] > SLOW_SECONDS:
        yield Finding(
            "warning", where, f"its manifest takes {facts['seconds']:.2f} s to import", "listing must be instant"
        )
    if text := facts["printed"].strip():
        yield Finding("warning", where, f"its manifest prints {text.splitlines()[0]!r}", "print nothing when imported")


def _of_clashes(component: Component, registry: Registry) -> Iterator[Finding]:
    others = [
        other.qualified_name
        for other in registry.components(component.kind)
        if other.name == component.name and other.plugin != component.plugin
    ]
    if others and not component.is_family:
        message = f"{component.kind} {component.name!r} is also {' and '.join(others)}"
        yield Finding("warning", str(component), message, f"recipes must write {component.qualified_name}")


def component_findings(component: Component, registry: Registry) -> Iterator[Finding]:
    """Say what is wrong with a component's factory, config and options; imports them, and builds nothing."""
    try:
        factory = registry.load(component)
        parameters = accepted(component, factory)
        option_schema(component, factory, WIRED[component.kind])
    except ComponentError as error:
        problem = error.problems[0]
        yield Finding("error", str(component), problem.message.removeprefix(f"{component}: "), problem.hint)
        return
    if component.spec.config or (isinstance(component.spec, ComponentFamily) and component.spec.resolves):
        # What a name is resolved to belongs to a library, and so do its options.
        return
    bare = [
        one.name
        for one in parameters.values()
        if one.annotation is one.empty and one.name not in WIRED[component.kind] and not one.name.startswith("_")
    ]
    if bare:
        message = f"{component.kind} {component.name}: {', '.join(bare)} without annotation take any value"
        yield Finding("warning", _place(factory) or str(component), message, "annotate each option: it checks recipes")


def _place(factory: Callable[..., Any]) -> str | None:
    while isinstance(factory, partial):
        factory = factory.func
    try:
        return f"{inspect.getsourcefile(factory)}:{inspect.getsourcelines(factory)[1]}"
    except (TypeError, OSError):
        return None
