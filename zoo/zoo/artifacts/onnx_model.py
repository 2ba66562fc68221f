"""An exported graph and what it says about itself: which pixels it takes, which embeddings it gives."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import onnxruntime

from zoo.artifacts.providers import CPU, not_starting, resolve
from zoo_core.errors import RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ERRORS_ONLY = 3


@dataclass(frozen=True)
class PixelFormat:
    """The pixels that a graph takes: RGB, normalised inside the graph.

    ``size``: height and width, or None when the graph takes any. ``maximum``: what white is, 1 or 255.
    """

    layout: str
    dtype: str
    size: tuple[int, int] | None
    maximum: float


@dataclass(frozen=True)
class Graph:
    """An opened ONNX file that zoo has written."""

    path: Path
    session: onnxruntime.InferenceSession
    metadata: Mapping[str, str]
    pixels: PixelFormat

    @property
    def input_name(self) -> str:
        """The name of the one input."""
        return str(self.session.get_inputs()[0].name)

    @property
    def embedding_dim(self) -> int:
        """How many numbers an embedding has.

        Raises:
            RunError: the graph does not say.
        """
        said = self.metadata.get("zoo.embedding_dim", "")
        size = int(said) if said.isdecimal() else self.session.get_outputs()[0].shape[-1]
        if not isinstance(size, int):
            msg = f"{self.path}: does not say how long its embeddings are (no zoo.embedding_dim in its metadata)"
            raise RunError(msg, hint="export it with 'zoo export'")
        return size

    @property
    def on_cpu(self) -> bool:
        """Whether nothing but the CPU runs it."""
        return bool(self.session.get_providers()[0] == CPU)

    @property
    def fixed_batch(self) -> int | None:
        """How many images the graph takes at once, or None when it takes any number."""
        batch = self.session.get_inputs()[0].shape[0]
        return batch if isinstance(batch, int) else None


def open_graph(path: Path, *, providers: str | Sequence[str] | None = None, threads: int = 0) -> Graph:
    """Open the ONNX file at ``path``.

    Args:
        path: the file.
        providers: the hardware it runs on, as ``resolve`` takes it; default: the CPU.
        threads: how many an image's inference takes on the CPU; 0: as many as there are cores.

    Raises:
        UsageError: there is no file at ``path``, or no such provider.
        ComponentError: a provider is not installed, or does not start.
        RunError: it is no ONNX file, or does not say which pixels it takes.
    """
    if not path.is_file():
        msg = f"{path}: no such file"
        raise UsageError(msg)
    wanted = resolve(providers)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    session = _open_session(path, wanted, options)
    metadata = session.get_modelmeta().custom_metadata_map
    if "zoo.preprocess" not in metadata:
        msg = f"{path}: does not say how to prepare images (no zoo.preprocess in its metadata)"
        raise RunError(msg, hint="export it with 'zoo export'")
    if len(session.get_inputs()) != 1:
        msg = f"{path}: takes {len(session.get_inputs())} inputs instead of one image"
        raise RunError(msg)
    return Graph(path, session, metadata, _pixel_format(path, metadata["zoo.preprocess"]))


def _open_session(path: Path, wanted: list[str], options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """Open the file on all of the providers, or on none: never in silence on the CPU instead."""

    def opened(providers: list[str]) -> onnxruntime.InferenceSession:
        # Else onnxruntime prints on stdout that a provider fails, now or in a later run, and goes on on the CPU.
        return onnxruntime.InferenceSession(str(path), options, providers=providers, enable_fallback=False)

    try:
        session = opened(wanted)
    except Exception as error:  # onnxruntime's exceptions share no base
        reason = " ".join(str(error).split())
        try:
            # Is it the file, or what shall run it?
            opened([CPU])
        except Exception:  # noqa: BLE001 - as above
            raise RunError(f"{path}: onnxruntime cannot open it: {reason}") from error
        raise not_starting(wanted, reason) from error
    # Where a provider's libraries are missing, onnxruntime takes the CPU and says so in a log alone.
    if lost := [provider for provider in wanted if provider not in session.get_providers()]:
        raise not_starting(lost, "its own libraries are missing or do not fit")
    return session


def _pixel_format(path: Path, text: str) -> PixelFormat:
    """Read ``zoo.preprocess``; what this zoo does not know would silently give other embeddings."""
    hint = "a newer zoo may have written it: pip install --upgrade plugzoo"
    try:
        said: dict[str, Any] = json.loads(text)
        known: dict[str, tuple[Any, ...]] = {
            "layout": ("NCHW", "NHWC"),
            "dtype": ("float32", "uint8"),
            "color": ("RGB",),
            "range": ([0, 1], [0, 255]),
            "resample": ("bilinear",),
            "antialias": (True,),
            "normalization": ("in graph",),
        }
        wrong = [f"{key}={said[key]!r}" for key, values in known.items() if said[key] not in values]
        size = None if said["size"] is None else (int(said["size"][0]), int(said["size"][1]))
    except (ValueError, TypeError, LookupError) as error:
        msg = f"{path}: its metadata zoo.preprocess cannot be read: {error!r}"
        raise RunError(msg, hint=hint) from error
    if wrong:
        msg = f"{path}: wants images prepared in a way that this zoo does not know: {', '.join(wrong)}"
        raise RunError(msg, hint=hint)
    return PixelFormat(said["layout"], said["dtype"], size, float(said["range"][1]))
