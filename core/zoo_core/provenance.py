"""The BuildRecord: what exactly made a model."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zoo_core.registry import Component

SCHEMA = 1
# What computes, and so may change a model's numbers.
DISTRIBUTIONS = (
    "plugzoo",
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "onnx",
    "onnxruntime",
    "onnxsim",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "pydantic",
)
GIT_TIMEOUT_SECONDS = 10
# By these libraries choose their code, and so in which order they add.
_INSTRUCTIONS = frozenset({"avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve"})


@dataclass(frozen=True)
class ComponentRecord:
    """One component of a model and the distribution it came from.

    ``direct_url`` is PEP 610's; ``license`` the component's own, else its distribution's; ``tags`` its manifest's.
    """

    kind: str
    name: str
    plugin: str
    distribution: str
    version: str
    entry_point: str
    api_version: int | None
    direct_url: Mapping[str, Any] | None = None
    license: str | None = None
    tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, component: Component) -> ComponentRecord:
        """Record ``component``."""
        source = component.provenance
        return cls(
            kind=component.kind,
            name=component.qualified_name,
            plugin=component.plugin,
            distribution=source.distribution,
            version=source.version,
            entry_point=source.entry_point,
            api_version=source.api_version,
            direct_url=source.direct_url,
            license=component.spec.license or distribution_license(source.distribution),
            tags=tuple(component.spec.tags),
        )

    @property
    def is_editable(self) -> bool:
        """Whether the code was a working tree, which the version alone does not tell."""
        return bool(((self.direct_url or {}).get("dir_info") or {}).get("editable"))


@dataclass(frozen=True)
class GitState:
    """The commit that was checked out, and whether files differed from it."""

    revision: str
    dirty: bool


@dataclass(frozen=True)
class BuildRecord:
    """What made a model: code, recipe, random seed and machine.

    ``versions`` are of installed distributions; ``git`` is the checkout that the command ran in; ``recipe`` is
    resolved, and ``recipe_sha256`` its hash; ``hardware`` holds ``cpu``, ``cores``, ``devices``; ``weights`` says
    where the backbone's initial weights came from.
    """

    created: str
    python: str
    platform: str
    versions: Mapping[str, str]
    git: GitState | None
    recipe: Mapping[str, Any]
    recipe_sha256: str
    seed: int
    hardware: Mapping[str, Any]
    components: tuple[ComponentRecord, ...]
    weights: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def capture(
        cls,
        *,
        recipe: Mapping[str, Any],
        seed: int,
        components: Iterable[Component],
        devices: Iterable[str] = (),
        weights: Mapping[str, str] | None = None,
    ) -> BuildRecord:
        """Record the current state of this machine.

        Args:
            recipe: the resolved recipe, plain values.
            seed: the random seed of the training.
            components: all that the recipe names.
            devices: those in use, such as ``cuda:0``.
            weights: the backbone's ``provenance``, where its initial weights came from.
        """
        return cls(
            created=timestamp(),
            python=platform.python_version(),
            platform=platform.platform(),
            versions=installed_versions(),
            git=git_state(),
            recipe=recipe,
            recipe_sha256=recipe_sha256(recipe),
            seed=seed,
            hardware={"cpu": cpu_model(), "cores": os.cpu_count(), "devices": list(devices)},
            components=tuple(map(ComponentRecord.of, components)),
            weights=dict(weights or {}),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON, with their schema."""
        return {"schema": SCHEMA, **asdict(self), "components": [asdict(component) for component in self.components]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> BuildRecord:
        """Read what `to_json` returned.

        Raises:
            UsageError: it is something else, or of a newer zoo.
        """
        if document.get("schema") != SCHEMA:
            msg = f"a build record of schema {document.get('schema')!r}, this zoo reads {SCHEMA}"
            raise UsageError(msg)
        try:
            values = {one.name: document[one.name] for one in fields(cls)}
            values["git"] = GitState(**values["git"]) if values["git"] else None
            values["components"] = tuple(
                ComponentRecord(**{**component, "tags": tuple(component.get("tags", ()))})
                for component in values["components"]
            )
        except (KeyError, TypeError) as error:
            msg = f"not a build record: {error}"
            raise UsageError(msg) from error
        return cls(**values)


def timestamp(default: float | None = None) -> str:
    """Return the time ``default`` (now) in UTC as ISO 8601.

    ``SOURCE_DATE_EPOCH`` is stronger, where a build is to be repeatable.

    Raises:
        UsageError: ``SOURCE_DATE_EPOCH`` is no time.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        seconds = int(epoch) if epoch else time.time() if default is None else default
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError) as error:
        msg = f"SOURCE_DATE_EPOCH={epoch!r} is no time"
        raise UsageError(msg, hint="give whole seconds since 1970, or unset it") from error


def recipe_sha256(recipe: Mapping[str, Any]) -> str:
    """Return the hash of a resolved recipe; the order of keys does not count."""
    canonical = json.dumps(recipe, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def installed_versions(distributions: Iterable[str] = DISTRIBUTIONS) -> dict[str, str]:
    """Return the versions of those distributions that are installed, without importing any."""
    versions = {}
    for name in distributions:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def distribution_license(distribution: str) -> str | None:
    """Return the licence that an installed distribution names; None where it names none."""
    try:
        found = metadata(distribution)
    except PackageNotFoundError:
        return None
    said = next((found[key] for key in ("License-Expression", "License") if key in found), None)
    # Some hold the whole text there.
    return said if said and "\n" not in said else None


def git_state(folder: Path | None = None) -> GitState | None:
    """Return the state of the git checkout around ``folder`` (here); ``None`` without git or outside a checkout."""
    revision = _git("rev-parse", "HEAD", folder=folder)
    status = _git("status", "--porcelain", "--untracked-files=no", folder=folder)
    if revision is None or status is None:
        return None
    return GitState(revision, dirty=bool(status))


def _git(*arguments: str, folder: Path | None) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", *arguments],  # noqa: S607 - the user's own git
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=GIT_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def cpu_model() -> str:
    """Return the name of the processor."""
    return _cpu_info().get("model name") or platform.processor() or platform.machine()


def cpu_kind() -> dict[str, Any]:
    """Return what decides how a processor rounds: its name, and those of its vector instructions that are known."""
    info = _cpu_info()
    flags = (info.get("flags") or info.get("Features") or "").split()
    return {"cpu": cpu_model(), "instructions": sorted(_INSTRUCTIONS.intersection(flags))}


def _cpu_info() -> dict[str, str]:
    """Return what Linux says of the first core; nothing elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
