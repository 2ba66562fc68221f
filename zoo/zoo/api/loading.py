"""A model by its name: on this machine or on the Hub."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.artifacts.layout import PRECISIONS
from zoo.models.model import Model
from zoo.runs.layout import RunFolder
from zoo_core.errors import RemoteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def load(
    name_or_path: str | os.PathLike[str],
    *,
    precision: str | None = None,
    providers: str | Sequence[str] | None = None,
    threads: int | None = None,
    revision: str | None = None,
) -> Model:
    """Open a model, ready to embed images.

    Args:
        name_or_path: an artifact folder, a run folder that holds one, an ``.onnx`` file, or ``ORG/NAME`` on the Hugging
            Face Hub, which is downloaded unless the cache has it. A path that exists wins.
        precision: which of the model's files: ``"fp32"`` (the default), ``"fp16"`` or ``"int8"``, if it has them.
        providers: the hardware to run on, one or several in order of preference: short (``"cuda"``) or onnxruntime's
            own names; default: the CPU.
        threads: how many one image's inference takes on the CPU; default: 1, because several images are embedded at
            once. More answer sooner for a single image of a large model.
        revision: branch, tag or commit of a model on the Hub; default: the main branch.

    Raises:
        UsageError: there is no such model, precision or provider, or ``threads`` is out of range.
        ComponentError: a provider is not installed; the message names the package to install.
        RemoteError: the Hub refuses, cannot be reached, or holds something else.
        RunError: the file is no ONNX file, or does not say which pixels it takes.
    """
    path = locate(os.fspath(name_or_path), revision, precision=precision)
    return Model.open(path, precision=precision, providers=providers, threads=threads)


def locate(name: str, revision: str | None = None, *, precision: str | None = None) -> Path:
    """Return where a model is on this machine: an artifact folder or an ``.onnx`` file, downloaded if need be.

    Of a model on the Hub only the file of one ``precision`` is downloaded, by default that of float32.

    Raises:
        UsageError: it is neither a path that exists nor a name on the Hub.
        RemoteError: the Hub refuses, cannot be reached, or holds something else.
    """
    path = Path(name)
    if os.path.exists(path):  # noqa: PTH110 - of a name that is too long, Path's own raises
        run = RunFolder(path)
        return run.artifact.path if run.artifact.onnx.is_file() else path
    if name.count("/") != 1 or name.startswith((".", "~", "/")) or path.suffix == ".onnx":
        msg = f"{name}: no such folder or file"
        raise UsageError(msg, hint="give a folder, an .onnx file, or a model on the Hub as ORG/NAME")
    from zoo.publish.pull import pull

    try:
        return pull(name, revision=revision, precision=precision or PRECISIONS[0])
    except RemoteError as error:
        # ORG/NAME may as well have been meant as a path.
        here = f"nor is there a folder {path} in {Path.cwd()}"
        raise error.with_problems(replace(one, message=f"{one.message}; {here}") for one in error.problems) from None


def fetch_whole(name: str) -> Path:
    """Return the artifact folder of the model ``ORG/NAME`` or ``ORG/NAME@REVISION`` on the Hub, with all its files.

    Raises:
        UsageError: it is no name on the Hub.
        RemoteError: the Hub refuses, cannot be reached, or holds something else.
    """
    repo_id, _, revision = name.partition("@")
    if repo_id.count("/") != 1:
        hint = "give a run, an artifact folder, a .safetensors or .ckpt file, or a model on the Hub as ORG/NAME"
        raise UsageError(f"there is no model {name}", hint=hint)
    from zoo.publish.pull import pull

    return pull(repo_id, revision=revision or None)
