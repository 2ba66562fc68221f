"""A published model to a folder on this machine, checked."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.artifacts.layout import PRECISIONS, ArtifactFolder
from zoo.artifacts.precisions import verified_hashes
from zoo.atomic import read_json
from zoo.publish.hub import check_repo_id, hub_errors, open_hub, progress_bars
from zoo_core.errors import RemoteError, UsageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

# The Hub counts a download when config.json is asked for.
_FOR_PREDICTION = ("config.json", "onnx/export.json", "eval/*")


def pull(
    repo_id: str,
    *,
    revision: str | None = None,
    output: Path | None = None,
    precision: str | None = None,
    show: bool = True,
    api: HfApi | None = None,
) -> Path:
    """Download a model that zoo published, and return its folder: in the Hub's cache, or ``output``.

    Args:
        repo_id: ``ORG/NAME``.
        revision: branch, tag or commit; the main branch by default.
        output: a new folder for a copy of the files.
        precision: only what it takes to predict with this one of ``PRECISIONS``; all files by default.
        show: show the client's progress on a terminal.
        api: the Hub; by default the one that HF_ENDPOINT and HF_TOKEN name.

    Raises:
        RemoteError: the Hub refuses, cannot be reached, or holds something else.
        UsageError: ``output`` exists and is not empty, or ``repo_id`` is no valid name.
    """
    check_repo_id(repo_id)
    if output is not None and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output}: exists already", hint="name a new folder")
    api = api or open_hub()
    with hub_errors(api, repo_id), progress_bars(show=show):
        graph = ArtifactFolder(Path()).graph(precision or PRECISIONS[0]).as_posix()
        wanted = None if precision is None else [*_FOR_PREDICTION, graph]
        snapshot = Path(api.snapshot_download(repo_id, revision=revision, allow_patterns=wanted))
    verify(ArtifactFolder(snapshot), repo_id, precision or PRECISIONS[0])
    return snapshot if output is None else _copy(snapshot, output)


def verify(artifact: ArtifactFolder, repo_id: str, precision: str = PRECISIONS[0]) -> None:
    """Check that the graphs are those whose export was verified.

    Raises:
        RemoteError: one is not, or there is none of ``precision``.
    """
    if not artifact.export_report.is_file() or not any(artifact.graph(name).is_file() for name in PRECISIONS):
        raise RemoteError(f"{repo_id}: is no model that zoo published: it holds no onnx/model.onnx with an export.json")
    for name in PRECISIONS:
        graph = artifact.graph(name)
        if not graph.is_file():
            continue
        found = hashlib.sha256(graph.read_bytes()).hexdigest()
        try:
            expected = verified_hashes(read_json(artifact.export_report)).get(name)
        except (UsageError, LookupError, TypeError, AttributeError) as error:
            raise RemoteError(f"{repo_id}: its onnx/export.json does not say which file was verified") from error
        if found != expected:
            message = f"{repo_id}: onnx/{graph.name} is not the verified file (sha256 {found}, verified {expected})"
            raise RemoteError(message)
    if not artifact.graph(precision).is_file():
        raise RemoteError(f"{repo_id}: holds no onnx/{artifact.graph(precision).name}")


def _copy(snapshot: Path, output: Path) -> Path:
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as beside:
        # The cache holds links; a copy of the files stays whole when the cache is emptied.
        whole = Path(beside) / output.name
        shutil.copytree(snapshot, whole)
        whole.replace(output)
    return output
