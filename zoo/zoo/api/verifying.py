"""``zoo.verify``."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.api.surroundings import left_as_found, open_registry, shows, warn
from zoo_core.errors import ComponentError, RecipeError, RemoteError, RunError, UsageError, ZooError
from zoo_core.extras import naming_missing_extras

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zoo.artifacts.layout import ArtifactFolder
    from zoo.publish.artifact_facts import ArtifactFacts
    from zoo.recipes.loading import LoadedRecipe
    from zoo.reproduction.check import Check, Reproduction
    from zoo.reproduction.surroundings import Surroundings
    from zoo.validation.embedded_images import EmbeddedImages
    from zoo_core.registry import Registry

# Of a figure that rounding changes once in two, one in four thousand shows in none of them.
_VARIANTS = 12


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
        *files.threshold_checks(artifact, facts.config),
        files.sample_check(artifact, surroundings),
        *_card_checks(artifact, facts),
        *_trained_checks(artifact, facts, given, surroundings),
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


def _trained_checks(
    artifact: ArtifactFolder, facts: ArtifactFacts, data: Path | None, surroundings: Surroundings
) -> Iterator[Check]:
    """Yield the checks that build the recipe's data and model, or name what they would check."""
    from zoo.reproduction import parity

    registry, failures = open_registry()
    warn(failures)
    loaded, unset = _loaded(artifact, data, registry)
    # Unless an evaluation says what they are, nobody knows pictures that were given.
    same_images = data is None
    if facts.metrics is not None:
        checks, same_images = _evaluated(artifact, facts, loaded, unset, registry, surroundings, given=data is not None)
        yield from checks
    try:
        with _needing("comparing graph and weights"):
            from zoo.onnx_export.reproving import prove_again

            proven = prove_again(artifact, loaded, registry)
        yield from parity.parity_checks(facts.export, _plain(proven), same_images=same_images)
    except (ComponentError, RecipeError) as error:
        yield from parity.skipped_parity(facts.export, _line(error))
    except RunError as error:
        yield parity.failed_parity(facts.export, _line(error))


def _evaluated(
    artifact: ArtifactFolder,
    facts: ArtifactFacts,
    loaded: LoadedRecipe,
    unset: str | None,
    registry: Registry,
    surroundings: Surroundings,
    *,
    given: bool,
) -> tuple[list[Check], bool]:
    """Return the checks of evaluation and precisions, and whether the images here are not known to be others."""
    from zoo.artifacts.layout import PRECISIONS
    from zoo.reproduction import figures
    from zoo.validation.protocol import Protocol

    claimed: Mapping[str, Any] = facts.metrics or {}
    try:
        _require_data(unset)
        with _needing("the evaluation"):
            embedded, failed = _embed(artifact, loaded, registry, facts)
    except (ComponentError, RecipeError) as error:
        why = _line(error)
        return [*figures.skipped_figures(claimed, why), *_skipped_precisions(facts, why)], not given
    protocol = _plain(Protocol.of_recipe(loaded.recipe, embedded[PRECISIONS[0]]).to_json())
    others = figures.other_images(claimed, protocol, surroundings, given=given)
    if others is not None:
        why = "here are other images: see protocol.content"
        return [*others, *figures.skipped_figures(claimed, why), *_skipped_precisions(facts, why)], False
    checks = _evaluation_checks(facts, protocol, embedded[PRECISIONS[0]])
    return [*checks, *_precision_checks(facts, embedded, failed, surroundings)], True


def _require_data(missing: str | None) -> None:
    if missing:
        raise ComponentError("needs its data, which are not published", hint=missing)


@contextmanager
def _needing(what: str) -> Iterator[None]:
    with naming_missing_extras(what), left_as_found():
        yield


def _loaded(artifact: ArtifactFolder, data: Path | None, registry: Registry) -> tuple[LoadedRecipe, str | None]:
    """Return the recipe, on ``data`` where it names none of its own, and what is missing to evaluate on them."""
    from zoo.recipes.loading import load_run_recipe
    from zoo.recipes.public import unset_keys
    from zoo.runs.layout import RunFolder

    # Laid out like a run's folder, as far as the recipe goes.
    folder, below = RunFolder(artifact.path), ("data", "valid", "options")
    loaded = load_run_recipe(folder)
    keys = [path for path in unset_keys(loaded.document, below) if len(path) == len(below) + 1]
    if data is not None:
        if not keys:
            name = loaded.recipe.data.valid.name
            raise UsageError(f"data: {name} needs none: its options are published", hint="leave it out")
        first, *keys = sorted(keys, key=lambda path: path[-1] != "root")
        loaded = load_run_recipe(folder, {".".join(map(str, first)): str(data)}, registry=registry)
    if not unset_keys(loaded.document, below):
        return loaded, None
    if data is None:
        return loaded, "name their folder: --data DIR (in Python data=)"
    return loaded, f"a folder does not tell {', '.join('.'.join(map(str, path)) for path in keys)}"


def _embed(
    artifact: ArtifactFolder, loaded: LoadedRecipe, registry: Registry, facts: ArtifactFacts
) -> tuple[dict[str, EmbeddedImages], dict[str, str]]:
    from zoo.artifacts.layout import PRECISIONS
    from zoo.assembly import RecipeBuilder
    from zoo.models.model import Model
    from zoo.onnx_export.precision_loss import embed_validation

    files = (facts.export.get("precisions") or {}).get("files") or {}
    names = [name for name in PRECISIONS if name == PRECISIONS[0] or name in files]
    models = {name: Model.open(artifact.path, precision=name) for name in names}
    return embed_validation(models, RecipeBuilder(loaded, registry))


def _evaluation_checks(facts: ArtifactFacts, protocol: Mapping[str, Any], images: EmbeddedImages) -> Iterator[Check]:
    from zoo.evaluation.measurement import measure
    from zoo.reproduction import figures

    claimed: Mapping[str, Any] = facts.metrics or {}

    def measured(images: EmbeddedImages) -> dict[str, Any]:
        return figures.with_all_rates(_plain(measure(images).to_json()))

    found = {**measured(images), "protocol": protocol, "data": facts.recipe.validation_protocol()}
    size = figures.noise(_mapping(claimed.get("model")).get("device"))
    variants = (measured(images.nudged(size, seed)) for seed in range(_VARIANTS))
    yield from figures.figure_checks(claimed, found, variants)


def _precision_checks(
    facts: ArtifactFacts, embedded: Mapping[str, EmbeddedImages], failed: Mapping[str, str], surroundings: Surroundings
) -> Iterator[Check]:
    from zoo.artifacts.layout import PRECISIONS
    from zoo.onnx_export.precision_loss import measure_loss
    from zoo.reproduction import figures
    from zoo.reproduction.check import Check

    reference = embedded[PRECISIONS[0]]
    for name, claimed in ((facts.export.get("precisions") or {}).get("files") or {}).items():
        if name in failed:
            yield Check.of(
                figures.EXPORT, f"precisions.{name}", claimed["sha256"], None, holds=False, note=failed[name]
            )
            continue
        images = embedded[name]
        same = surroundings.differences(("onnxruntime",)) is None
        size = figures.precision_noise(name, same_processor=same)

        def loss(images: EmbeddedImages, of: EmbeddedImages, name: str = name) -> dict[str, Any]:
            found = measure_loss(images, of)
            document: dict[str, Any] = _plain((found.before if name == PRECISIONS[0] else found).to_json())
            return document

        nudged = ((images.nudged(size, seed), reference.nudged(1e-6, _VARIANTS + seed)) for seed in range(_VARIANTS))
        yield from figures.precision_checks(name, claimed, loss(images, reference), (loss(*pair) for pair in nudged))


def _skipped_precisions(facts: ArtifactFacts, why: str) -> Iterator[Check]:
    from zoo.reproduction.check import Check
    from zoo.reproduction.figures import EXPORT

    for name, entry in ((facts.export.get("precisions") or {}).get("files") or {}).items():
        claimed = {key: entry[key] for key in ("mean_cosine", "lowest_cosine", "tpr") if entry.get(key)}
        if claimed:
            yield Check.skipped(EXPORT, f"precisions.{name}.{', '.join(claimed)}", why, claimed)


def _line(error: ZooError) -> str:
    return str(error).replace("\n", "; ")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain(document: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a document as it reads from a file: keys are texts, and tuples lists."""
    return json.loads(json.dumps(document))
