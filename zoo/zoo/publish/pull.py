"""A published model to a folder on this machine, checked."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub.errors import (  # type: ignore[attr-defined]  # of HTTPError, which is httpx's or httpx2's
    EntryNotFoundError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)

from zoo.artifacts.layout import ArtifactFolder
from zoo.artifacts.manifest import CARD, MANIFEST, check, read_manifest
from zoo.models.sample import check_sample
from zoo.publish.hub import check_repo_id, hub_errors, open_hub, progress_bars
from zoo.publish.retry import retrying
from zoo_core.errors import RemoteError, RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from huggingface_hub import HfApi

    from zoo.artifacts.manifest import Manifest

# The Hub counts a download when config.json is asked for.
_FOR_PREDICTION = frozenset({"config", "export report", "evaluation", "calibration"})


def pull(
    repo_id: str,
    *,
    revision: str | None = None,
    output: Path | None = None,
    precision: str | None = None,
    sampled: bool = True,
    show: bool = True,
    api: HfApi | None = None,
) -> Path:
    """Download a model that zoo published, and return its folder: in the Hub's cache, or ``output``.

    Args:
        repo_id: ``ORG/NAME``.
        revision: branch, tag or commit; the main branch by default.
        output: a new folder for a copy of the files.
        precision: only what it takes to predict with this one of ``PRECISIONS``; all files by default.
        sampled: of all files, embed the sample picture again, too.
        show: show the client's progress on a terminal, and print a line on stderr for each wait for the Hub.
        api: the Hub; by default the one that HF_ENDPOINT and HF_TOKEN name.

    Raises:
        RemoteError: the Hub refuses, cannot be reached, or holds something else.
        UsageError: ``output`` exists and is not empty, or ``repo_id`` is no valid name.
    """
    check_repo_id(repo_id)
    if output is not None and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output}: exists already", hint="name a new folder")
    api = api or open_hub()
    with hub_errors(api, repo_id), retrying(show=show), progress_bars(show=show):
        listing = _listing(api, repo_id, revision)
        try:
            manifest = read_manifest(listing.parent)
            wanted = _wanted(manifest, precision)
            # The folder is named after its commit, so that all files are of the manifest's.
            commit = listing.parent.name
            _compare_with_hub(api, repo_id, commit, manifest)
            snapshot = Path(api.snapshot_download(repo_id, revision=commit, allow_patterns=[*wanted, MANIFEST, CARD]))
            check(snapshot, needed=wanted)
            if precision is None and sampled:
                check_sample(snapshot)
        except RunError as error:
            raise RemoteError(f"{repo_id}: {error}", hint="do not use this model; tell its owner") from error
    return snapshot if output is None else _copy(snapshot, [*wanted, MANIFEST, CARD], output)


def _wanted(manifest: Manifest, precision: str | None) -> list[str]:
    if precision is None:
        return list(manifest.files)
    graph = ArtifactFolder(Path()).graph(precision).as_posix()
    if graph not in manifest:
        raise RunError(f"holds no {graph}")
    return [graph, *(name for name, entry in manifest.files.items() if entry.role in _FOR_PREDICTION)]


def _listing(api: HfApi, repo_id: str, revision: str | None) -> Path:
    try:
        return Path(api.hf_hub_download(repo_id, MANIFEST, revision=revision))
    except LocalEntryNotFoundError:
        raise
    except EntryNotFoundError as error:
        raise RemoteError(f"{repo_id}: is no model that zoo published: it holds no {MANIFEST}") from error


def _compare_with_hub(api: HfApi, repo_id: str, commit: str, manifest: Manifest) -> None:
    """Refuse files of another size before they are downloaded, and warn of files that the manifest does not name.

    Without a Hub there is nothing to compare, which is said where nobody has asked for that; hashes are compared later.
    """
    try:
        siblings = api.model_info(repo_id, revision=commit, files_metadata=True).siblings or []
    except OfflineModeIsEnabled:
        return
    except (HTTPError, OSError):
        warnings.warn(f"{repo_id}: sizes were not compared: the Hub did not answer", stacklevel=4)
        return
    sizes = {sibling.rfilename: sibling.size for sibling in siblings}
    for name, entry in manifest.files.items():
        if sizes.get(name, entry.size) not in {None, entry.size}:
            raise RunError(f"{name}: has {sizes[name]:,} bytes, the manifest says {entry.size:,}")
    more = sorted(name for name in sizes if name not in manifest and name not in {MANIFEST, CARD, ".gitattributes"})
    if more:
        warnings.warn(f"{repo_id}: left behind, for the manifest does not name them: {', '.join(more)}", stacklevel=4)


def _copy(snapshot: Path, names: Iterable[str], output: Path) -> Path:
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as beside:
        # The cache holds links, and what others have downloaded there; a copy stays whole when the cache is emptied.
        whole = Path(beside) / output.name
        for name in names:
            if (snapshot / name).is_file():
                (whole / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(snapshot / name, whole / name)
        whole.replace(output)
    return output
