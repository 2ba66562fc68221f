"""``zoo.verify``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.api.surroundings import shows
from zoo_core.errors import RemoteError, RunError, UsageError, ZooError
from zoo_core.extras import naming_missing_extras

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.artifacts.layout import ArtifactFolder
    from zoo.publish.artifact_facts import ArtifactFacts
    from zoo.reproduction.check import Check, Reproduction


@naming_missing_extras("zoo.verify")
def verify(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    data: str | os.PathLike[str] | None = None,
    latency: bool = True,
    quiet: bool = False,
) -> Reproduction:
    """Make every figure of a published model again that can be made here, and compare it with what its files claim.

    First the files are compared with the manifest. Then figures of the evaluation, losses of the smaller files, the
    comparison of graph and weights, the sample's embedding, sizes and times are made anew, and the card is compared
    with the files. What cannot be made here is named with the reason: without ``plugzoo[train]`` that is evaluation and
    comparison.

    Args:
        model: an artifact folder, a run folder that holds one, or ``ORG/NAME`` on the Hub, of which all files are
            downloaded.
        revision: branch, tag or commit of a model on the Hub.
        data: the folder of the validation data, of a model whose recipe does not draw them. They have to be those of
            the evaluation, by hash and counts.
        latency: time the files, too.
        quiet: show no progress of a download; without a terminal there is none.

    Returns:
        The claims, each with what was found and a verdict.

    Raises:
        UsageError: there is no such model, or ``data`` does not fit its recipe.
        RemoteError: the Hub refuses or cannot be reached.
        RunError: the files are not those that the manifest names, or do not belong to each other.
    """
    from zoo.api.reproducing import trained_checks
    from zoo.artifacts.layout import ArtifactFolder
    from zoo.artifacts.manifest import check
    from zoo.publish.artifact_facts import ArtifactFacts
    from zoo.reproduction import files
    from zoo.reproduction.check import Reproduction
    from zoo.reproduction.surroundings import Surroundings

    name = os.fspath(model)
    artifact = ArtifactFolder(_folder(name, revision, show=shows(quiet=quiet)))
    given = None if data is None else Path(data).absolute()
    if given is not None and not given.exists():
        raise UsageError(f"{given}: no such folder or file")
    manifest = check(artifact.path)
    facts = ArtifactFacts.read(artifact, manifest)
    surroundings = Surroundings(facts.export)
    checks = [
        *files.size_checks(artifact, manifest, facts.export),
        *files.binding_checks(artifact, manifest, facts.export, facts.metrics),
        *files.graph_checks(facts.graph, facts.config, facts.export),
        *files.preprocessor_checks(artifact, facts.graph),
        *files.picture_checks(manifest),
        *files.backbone_checks(artifact, manifest),
        *files.threshold_checks(artifact, facts.config),
        files.sample_check(artifact, surroundings),
        *_card_checks(artifact, facts),
        *trained_checks(artifact, facts, given, surroundings),
        *files.calibration_checks(artifact),
    ]
    if latency:
        checks += files.latency_checks(artifact, facts.export, surroundings)
    return Reproduction(name, artifact.path, tuple(sorted(checks, key=lambda check: check.place)))


def _folder(name: str, revision: str | None, *, show: bool) -> Path:
    """Return the artifact folder of a model, with all of its files; from the Hub they are downloaded."""
    from zoo.runs.layout import RunFolder

    path = Path(name)
    if path.exists():
        run = RunFolder(path)
        found = run.artifact.path if run.artifact.onnx.is_file() else path
        if found.is_dir():
            return found
        raise UsageError(f"{path}: is one file, and claims nothing", hint="give the folder of the artifact")
    if name.count("/") != 1 or name.startswith((".", "~", "/")):
        hint = "give an artifact folder, or a model on the Hub as ORG/NAME"
        raise UsageError(f"{name}: no such folder", hint=hint)
    from zoo.publish.pull import pull

    try:
        # The sample is one of the claims.
        return pull(name, revision=revision, sampled=False, show=show)
    except RemoteError as error:
        if isinstance(error.__cause__, RunError):  # the Hub is all right, the model is not
            raise RunError(str(error)).with_problems(error.problems) from error
        raise


def _card_checks(artifact: ArtifactFolder, facts: ArtifactFacts) -> Iterator[Check]:
    from zoo.atomic import read_mapping
    from zoo.publish.card.checking import card_claims
    from zoo.reproduction.check import Check

    if not artifact.card.is_file():
        return
    place, sample = artifact.card.name, artifact.sample_embedding
    embedding = read_mapping(sample).get("embedding") if sample.is_file() else None
    try:
        text = artifact.card.read_text(encoding="utf-8")
        claims, unknown = card_claims(text, facts, embedding or ())
    except (ZooError, UnicodeDecodeError) as error:
        yield Check.of(place, "metadata", None, None, holds=False, note=str(error))
        return
    for claim in claims:
        note = "" if claim.meant is not None else "no file of the model says so"
        yield Check.of(place, claim.where, claim.said, claim.meant, holds=claim.holds, note=note)
    if unknown:
        yield Check.skipped(place, ", ".join(unknown), "the files do not tell: the words of its author")
