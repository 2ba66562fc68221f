"""The trained model that ``init_from`` names: its file of weights, and what is known of its licence and origin."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.artifacts.digests import sha256
from zoo.artifacts.layout import ArtifactFolder
from zoo.artifacts.manifest import MANIFEST, check
from zoo.runs.catalog import find
from zoo.runs.layout import RunFolder
from zoo_core.config import load
from zoo_core.errors import RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    # From a name such as ORG/NAME to the whole artifact on this machine.
    Fetch = Callable[[str], Path]

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth")
_HINT = "give a run, an artifact folder, a model's name, or a .safetensors or .ckpt file"


@dataclass(frozen=True)
class InitialSource:
    """A file of weights, and the model that it belongs to.

    Attributes:
        name: as a recipe keeps it: a model's name, or the absolute path of a run, an artifact folder or a file.
        file: of weights.
        sha256: of the file.
        revision: the commit, of a model on the Hub; else empty.
        license: of the model; empty where nothing says.
        made_of: what the model itself was made of, of a run: ``weights``, ``components`` (data sets), ``init_from``.
    """

    name: str
    file: Path
    sha256: str
    revision: str = ""
    license: str = ""
    made_of: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it for a run's record."""
        known = {"revision": self.revision, "license": self.license, "made_of": self.made_of}
        present = {key: value for key, value in known.items() if value}
        return {"name": self.name, "file": self.file.name, "sha256": self.sha256, **present}


def find_source(said: str, fetch: Fetch) -> InitialSource:
    """Return the model that ``said`` names: a path that exists, a run's name or tag, else what ``fetch`` finds.

    Raises:
        UsageError: there is no such model, or it holds no weights to train on.
        RunError: an artifact folder holds another file than the one that was exported.
        RemoteError: the Hub refuses, cannot be reached, or holds something else.
    """
    path = Path(said).expanduser()
    if path.exists():
        return _at(path.absolute(), said)
    try:
        run = find(said)
    except UsageError:
        if said.startswith((".", "~", "/")) or path.suffix in SUFFIXES:
            raise UsageError(f"there is no {said}", hint=_HINT) from None
    else:
        return _of_run(RunFolder(run.path.absolute()))
    folder = fetch(said)
    # The Hub's cache names a snapshot after its commit.
    revision = folder.name if folder.parent.name == "snapshots" else ""
    return _of_artifact(folder, said.partition("@")[0], revision)


def _at(path: Path, said: str) -> InitialSource:
    if path.is_dir():
        if (path / MANIFEST).is_file():
            return _of_artifact(path, str(path))
        if RunFolder(path).recipe.is_file():
            return _of_run(RunFolder(path))
        raise UsageError(f"{said} is neither a run nor an artifact folder", hint=_HINT)
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{said} is no file of weights that can be trained on", hint=_HINT)
    if path.parent.name == "checkpoints" and RunFolder(path.parent.parent).recipe.is_file():
        return _of_run(RunFolder(path.parent.parent), path)
    if path == ArtifactFolder(path.parent).weights and (path.parent / MANIFEST).is_file():
        return _of_artifact(path.parent, str(path))
    return InitialSource(str(path), path, sha256(path))


def _of_run(run: RunFolder, checkpoint: Path | None = None) -> InitialSource:
    file = checkpoint or next((one for one in (run.best, run.last) if one.is_file()), None)
    if file is None:
        raise UsageError(f"{run.path} has no checkpoint to start from", hint="train it first, or name another run")
    record = run.read_record() if run.record.is_file() else {}
    found = {key: record[key] for key in ("weights", "init_from") if record.get(key)}
    if data := [_licence_facts(one) for one in record.get("components") or [] if one.get("kind") == "dataset"]:
        found["components"] = data
    return InitialSource(str(checkpoint or run.path), file, sha256(file), license=_license(run.recipe), made_of=found)


def _of_artifact(folder: Path, name: str, revision: str = "") -> InitialSource:
    artifact = ArtifactFolder(folder)
    if not artifact.weights.is_file():
        hint = "it was pulled to predict alone: pull all of it by zoo pull"
        raise UsageError(f"{folder} holds no {artifact.weights.name}", hint=hint)
    try:
        manifest = check(folder, needed=[artifact.weights.name])
    except RunError as error:
        raise RunError(f"{name}: {error}") from error
    digest = manifest.files[artifact.weights.name].sha256
    return InitialSource(name, artifact.weights, digest, revision, _license(artifact.recipe))


def _licence_facts(component: dict[str, Any]) -> dict[str, Any]:
    return {key: component.get(key) for key in ("kind", "name", "distribution", "license", "tags")}


def _license(recipe: Path) -> str:
    card = load(recipe).get(("card",), {}) if recipe.is_file() else {}
    found = card.get("license") if isinstance(card, dict) else None
    return str(found or "")
