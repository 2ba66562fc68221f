"""A published model to a folder on this machine, checked."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.artifacts.layout import ArtifactFolder
from zoo.atomic import read_json
from zoo.publish.hub import check_repo_id, hub_errors, open_hub, progress_bars
from zoo_core.errors import RemoteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from huggingface_hub import HfApi

# The Hub counts a download when config.json is asked for.
FOR_PREDICTION = ("config.json", "onnx/*", "eval/*")


def pull(
    repo_id: str,
    *,
    revision: str | None = None,
    output: Path | None = None,
    patterns: Sequence[str] | None = None,
    show: bool = True,
    api: HfApi | None = None,
) -> Path:
    """Download a model that zoo published, and return its folder: in the Hub's cache, or ``output``.

    Args:
        repo_id: ``ORG/NAME``.
        revision: branch, tag or commit; the main branch by default.
        output: a new folder for a copy of the files.
        patterns: which files; all by default.
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
        wanted = None if patterns is None else list(patterns)
        snapshot = Path(api.snapshot_download(repo_id, revision=revision, allow_patterns=wanted))
    verify(ArtifactFolder(snapshot), repo_id)
    return snapshot if output is None else _copy(snapshot, output)


def verify(artifact: ArtifactFolder, repo_id: str) -> None:
    """Check that the graph is the one whose export was verified.

    Raises:
        RemoteError: it is not, or there is no graph.
    """
    if not artifact.onnx.is_file() or not artifact.export_report.is_file():
        raise RemoteError(f"{repo_id}: is no model that zoo published: it holds no onnx/model.onnx with an export.json")
    found = hashlib.sha256(artifact.onnx.read_bytes()).hexdigest()
    try:
        expected = read_json(artifact.export_report)["sha256"]
    except (UsageError, LookupError, TypeError) as error:
        raise RemoteError(f"{repo_id}: its onnx/export.json does not say which file was verified") from error
    if found != expected:
        raise RemoteError(f"{repo_id}: onnx/model.onnx is not the verified file (sha256 {found}, verified {expected})")


def _copy(snapshot: Path, output: Path) -> Path:
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as beside:
        # The cache holds links; a copy of the files stays whole when the cache is emptied.
        whole = Path(beside) / output.name
        shutil.copytree(snapshot, whole)
        whole.replace(output)
    return output
