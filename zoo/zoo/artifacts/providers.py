"""The hardware that onnxruntime runs a graph on: providers by their short names, and what to install for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnxruntime

from zoo_core.errors import ComponentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

CPU = "CPUExecutionProvider"
_SUFFIX = "ExecutionProvider"
# Each package stands in place of `onnxruntime`: they share one import name.
_PACKAGES = {
    "cuda": "onnxruntime-gpu",
    "tensorrt": "onnxruntime-gpu",
    "dml": "onnxruntime-directml",
    "migraphx": "onnxruntime-migraphx",
    "openvino": "onnxruntime-openvino",
    "qnn": "onnxruntime-qnn",
}


def resolve(names: str | Sequence[str] | None) -> list[str]:
    """Return onnxruntime's names of providers, in order of preference; the CPU, which takes what is left, comes last.

    Args:
        names: one or several, short (``"cuda"``) or onnxruntime's own (``"CUDAExecutionProvider"``); default: the CPU.

    Raises:
        UsageError: there is no such provider.
        ComponentError: the installed onnxruntime lacks one.
    """
    known = {_short(name): name for name in onnxruntime.get_all_providers()}
    installed = onnxruntime.get_available_providers()
    providers = []
    for name in [names] if isinstance(names, str) else names or []:
        if not isinstance(name, str):
            raise UsageError(f"a provider is named by text, not by {name!r}", hint='such as providers="cuda"')
        provider = known.get(_short(name))
        if provider is None:
            raise UsageError(f"there is no provider {name!r}", hint=f"onnxruntime knows {', '.join(sorted(known))}")
        if provider not in installed:
            raise _missing(provider, installed)
        providers.append(provider)
    return [*dict.fromkeys([*providers, CPU])]


def not_starting(providers: Sequence[str], reason: str) -> ComponentError:
    """Return the error for providers that are installed but do not start."""
    names = ", ".join(_short(provider) for provider in providers if provider != CPU)
    hint = "install what it needs (https://onnxruntime.ai/docs/execution-providers), or take the CPU"
    return ComponentError(f"provider {names} is installed but does not start: {reason}", hint=hint)


def _missing(provider: str, installed: Sequence[str]) -> ComponentError:
    package = _PACKAGES.get(_short(provider))
    hint = f"pip uninstall onnxruntime && pip install {package}" if package else "it needs another build of onnxruntime"
    has = ", ".join(map(_short, installed))
    return ComponentError(f"provider {_short(provider)} is not available: this onnxruntime has {has}", hint=hint)


def _short(name: str) -> str:
    return name.removesuffix(_SUFFIX).lower()
