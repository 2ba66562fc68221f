"""The manifest of an artifact: each published file with its hash; nothing else is sent, pulled or used."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from zoo.artifacts.digests import digests
from zoo.artifacts.layout import PRECISIONS, ArtifactFolder
from zoo.artifacts.precisions import verified_hashes
from zoo.atomic import read_json, read_mapping, write_json
from zoo_core.errors import RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

MANIFEST = "manifest.json"
# People edit it on the Hub, so that the manifest does not bind it.
CARD = "README.md"
SCHEMA = 1
# What an artifact needs to embed images, beside a graph.
FOR_INFERENCE = ("config.json", "onnx/export.json")
# What an artifact may hold, by name: nothing in it is a program, a pickle or a file that no part of zoo reads.
_ROLES = tuple(
    (re.compile(pattern), role)
    for pattern, role in (
        (r"config\.json", "config"),
        (r"recipe\.yaml", "recipe"),
        (r"preprocessor_config\.json", "preprocessing"),
        (r"model\.safetensors", "weights"),
        (r"onnx/model(_[a-z0-9]+)?\.onnx", "graph"),
        (r"onnx/export\.json", "export report"),
        (r"eval/metrics\.json", "evaluation"),
        (r"calibration\.json", "calibration"),
        (r"assets/[A-Za-z0-9_-]+\.png", "picture"),
        (r"sample/(image\.png|embedding\.json)", "sample"),
        (r"backbone/(config\.json|model\.safetensors)", "backbone"),
    )
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One file: its SHA-256 in hexadecimal, its size in bytes, and what it is."""

    sha256: str
    size: int
    role: str


@dataclass(frozen=True)
class Manifest:
    """All files of an artifact but its card and the manifest itself, by their names with ``/``."""

    files: Mapping[str, Entry]

    @classmethod
    def of(cls, artifact: Path) -> Manifest:
        """Describe the files that are an artifact's own; others in the folder are left out (see ``strangers``)."""
        names = sorted(name for name in _names(artifact) if role_of(name))
        found = digests(artifact, names)
        return cls({name: Entry(found[name], (artifact / name).stat().st_size, role_of(name) or "") for name in names})

    @classmethod
    def from_json(cls, document: object, path: Path | str) -> Manifest:
        """Read what ``to_json`` returned; ``path`` is where it stands.

        Raises:
            RunError: it is something else, or names a file that no artifact holds.
        """
        try:
            if document["schema"] != SCHEMA:  # type: ignore[index]
                msg = f"{path}: is of schema {document['schema']!r}, this zoo reads {SCHEMA}"  # type: ignore[index]
                raise RunError(msg, hint="pip install --upgrade plugzoo")
            files = {
                name: Entry(entry["sha256"], entry["size"], entry["role"])
                for name, entry in document["files"].items()  # type: ignore[index]
            }
            whole = all(_SHA256.fullmatch(e.sha256) and type(e.size) is int and e.size >= 0 for e in files.values())
        except (LookupError, TypeError, AttributeError) as error:
            raise RunError(f"{path}: is no manifest", hint="export the model again") from error
        if not whole:
            raise RunError(f"{path}: holds a file without a size or a sha256", hint="export the model again")
        unknown = sorted(name for name, entry in files.items() if role_of(name) != entry.role)
        if unknown:
            raise RunError(f"{path}: names {unknown[0]!r}, which is no file of a model", hint="do not use this model")
        return cls(files)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON, with their schema."""
        return {"schema": SCHEMA, "files": {name: asdict(self.files[name]) for name in sorted(self.files)}}

    def __contains__(self, name: str) -> bool:
        return name in self.files


def role_of(name: str) -> str | None:
    """Return what the file of an artifact called ``name`` is, None where no artifact holds such a file."""
    return next((role for pattern, role in _ROLES if pattern.fullmatch(name)), None)


def keep_only(artifact: Path, written: Iterable[Path]) -> None:
    """Remove files of an earlier export that this one has not written; what zoo does not write stays."""
    new = {path.relative_to(artifact).as_posix() for path in written}
    for name in _names(artifact):
        if role_of(name) and name not in new:
            (artifact / name).unlink()


def write_manifest(artifact: Path) -> Path:
    """Write the manifest of the files that lie in the folder; return its path."""
    path = artifact / MANIFEST
    write_json(path, Manifest.of(artifact).to_json())
    return path


def read_manifest(artifact: Path) -> Manifest:
    """Read the manifest of an artifact folder.

    Raises:
        RunError: there is none, or it is damaged.
    """
    path = artifact / MANIFEST
    try:
        return Manifest.from_json(read_json(path), path)
    except UsageError as error:
        hint = "an older zoo wrote the folder, or somebody removed it: run 'zoo export' again, or pull it again"
        raise RunError(str(error), hint=hint) from error


def check(artifact: Path, *, needed: Iterable[str] | None = None) -> Manifest:
    """Compare the files of an artifact folder with its manifest.

    Args:
        artifact: the folder.
        needed: the files that have to be there; by default all that the manifest names. Those that are there are
            compared in any case.

    Returns:
        The manifest.

    Raises:
        RunError: there is no manifest, or a file is missing, damaged, changed or swapped; one line for each.
    """
    manifest = read_manifest(artifact)
    wanted = manifest.files if needed is None else needed
    problems = [f"{artifact / name}: missing" for name in wanted if not (artifact / name).is_file()]
    problems += [
        f"{artifact / name}: is in no manifest" for name in wanted if name not in manifest and name not in _BESIDES
    ]
    there = [name for name in manifest.files if (artifact / name).is_file()]
    found = digests(artifact, there)
    problems += [
        f"{artifact / name}: is not the file that was exported (sha256 {found[name][:12]}, "
        f"the manifest says {manifest.files[name].sha256[:12]})"
        for name in there
        if found[name] != manifest.files[name].sha256
    ]
    sizes = {name: (artifact / name).stat().st_size for name in there}
    problems += [
        f"{artifact / name}: has {sizes[name]:,} bytes, the manifest says {manifest.files[name].size:,}"
        for name in there
        if found[name] == manifest.files[name].sha256 and sizes[name] != manifest.files[name].size
    ]
    problems = problems or list(_torn(artifact, manifest))
    if problems:
        hint = "run 'zoo export' again, or pull the model again"
        raise RunError("; ".join(dict.fromkeys(problems)), hint=hint)
    return manifest


def _torn(artifact: Path, manifest: Manifest) -> Iterator[str]:
    """Find files that say of what other files they are, and are not: each was exported, but not with the others."""
    folder = ArtifactFolder(artifact)
    for path in (folder.export_report, folder.metrics):
        if not path.is_file():
            continue
        try:
            said = read_mapping(path)
            expected = {folder.weights: said.get("weights_sha256")}
            if path == folder.export_report:
                if said.get("verified") is not True:
                    yield f"{path}: the export was not verified"
                    continue
                expected |= {folder.graph(name): None for name in PRECISIONS}
                expected |= {folder.graph(name): digest for name, digest in verified_hashes(said).items()}
                expected |= {folder.backbone / name: digest for name, digest in said.get("backbone", {}).items()}
        except (UsageError, LookupError, TypeError, AttributeError) as error:
            yield str(error) if isinstance(error, UsageError) else f"{path}: does not say which files were verified"
            continue
        for file, digest in expected.items():
            entry = manifest.files.get(file.relative_to(artifact).as_posix())
            # An evaluation of before weights had a hash says nothing of them.
            if entry and entry.sha256 != digest and (digest or entry.role == "graph"):
                yield f"{path}: is of another {file.relative_to(artifact).as_posix()} than the one beside it"


_BESIDES = frozenset({MANIFEST, CARD})


def strangers(artifact: Path, manifest: Manifest) -> dict[str, str]:
    """Return what lies in the folder but is no published file: why, by name. Links count, wherever they lead."""
    found = {}
    for name in sorted(_names(artifact)):
        if (artifact / name).is_symlink() or any(parent.is_symlink() for parent in _parents(artifact, name)):
            found[name] = "a link"
        elif name not in manifest and name not in _BESIDES:
            found[name] = "not in the manifest" if role_of(name) else "no file of a model"
    return found


def _parents(artifact: Path, name: str) -> list[Path]:
    parts = name.split("/")[:-1]
    return [artifact.joinpath(*parts[: count + 1]) for count in range(len(parts))]


def _names(artifact: Path) -> list[str]:
    """Return all files and links below the folder, and what is neither; not what a link to a folder leads to."""
    return [
        path.relative_to(artifact).as_posix() for path in artifact.rglob("*") if path.is_symlink() or not path.is_dir()
    ]
