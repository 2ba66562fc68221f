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
        provider = known.get(_short(name))
        if provider is None:
            raise UsageError(f"there is no provider {name!r}", hint=f"onnxruntime knows {', '.join(sorted(known))}")
        if provider not in installed:
            raise missing(provider, f"this onnxruntime has {', '.join(_short(one) for one in installed)}")
        providers.append(provider)
    return [*dict.fromkeys([*providers, CPU])]


def missing(provider: str, reason: str) -> ComponentError:
    """Return the error for a provider that is not installed or does not start."""
    package = _PACKAGES.get(_short(provider))
    hint = f"pip uninstall onnxruntime && pip install {package}" if package else "it needs another build of onnxruntime"
    return ComponentError(f"provider {_short(provider)} is not available: {reason}", hint=hint)


def _short(name: str) -> str:
    return name.removesuffix(_SUFFIX).lower()
