"""The checks of ``zoo.verify`` that take the recipe's data and model."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zoo.api.surroundings import left_as_found, open_registry, warn
from zoo_core.errors import ComponentError, RecipeError, RunError, UsageError, ZooError
from zoo_core.extras import naming_missing_extras

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from zoo.artifacts.layout import ArtifactFolder
    from zoo.models.model import Model
    from zoo.publish.artifact_facts import ArtifactFacts
    from zoo.recipes.loading import LoadedRecipe
    from zoo.reproduction.check import Check
    from zoo.reproduction.surroundings import Surroundings
    from zoo.validation.embedded_images import EmbeddedImages
    from zoo_core.registry import Registry

# Of a figure that rounding changes once in two, one in four thousand shows in none of them.
_VARIANTS = 12


def trained_checks(
    artifact: ArtifactFolder, facts: ArtifactFacts, data: Path | None, surroundings: Surroundings
) -> Iterator[Check]:
    """Yield the checks that build the recipe's data and model, or name what they would check."""
    from zoo.reproduction import parity

    registry, failures = open_registry()
    warn(failures)
    loaded, unset = _loaded(artifact, data)
    # Unless an evaluation says what they are, nobody knows pictures that were given.
    same_images = data is None
    if facts.metrics is not None:
        checks, same_images = _evaluated(artifact, facts, loaded, unset, registry, surroundings, data)
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
    data: Path | None,
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
        plainly = _embed_plainly(artifact, loaded, facts, data)
        if plainly is None:
            why = _line(error)
            return [*figures.skipped_figures(claimed, why), *_skipped_precisions(facts, why)], data is None
        embedded, failed = plainly, {}
    protocol = _plain(Protocol.of_recipe(loaded.recipe, embedded[PRECISIONS[0]]).to_json())
    others = figures.other_images(claimed, protocol, surroundings, given=data is not None)
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


def _loaded(artifact: ArtifactFolder, data: Path | None) -> tuple[LoadedRecipe, str | None]:
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
        loaded = load_run_recipe(folder, {".".join(map(str, first)): str(data)})
    if not unset_keys(loaded.document, below):
        return loaded, None
    if data is None:
        return loaded, "name their folder: --data DIR (in Python data=)"
    return loaded, f"a folder does not tell {', '.join('.'.join(map(str, path)) for path in keys)}"


def _embed(
    artifact: ArtifactFolder, loaded: LoadedRecipe, registry: Registry, facts: ArtifactFacts
) -> tuple[dict[str, EmbeddedImages], dict[str, str]]:
    from zoo.assembly import RecipeBuilder
    from zoo.onnx_export.validation_embeddings import embed_validation

    return embed_validation(_models(artifact, facts), RecipeBuilder(loaded, registry))


def _embed_plainly(
    artifact: ArtifactFolder, loaded: LoadedRecipe, facts: ArtifactFacts, data: Path | None
) -> dict[str, EmbeddedImages] | None:
    """Embed a folder of class folders without what the recipe's data set needs.

    None where the evaluation was of augmented views, or of other images than this way finds.
    """
    from zoo.evaluation.files import LabelledFiles
    from zoo.evaluation.subjects import GraphSubject
    from zoo.runs.unreadable import UnreadableSamples

    protocol = _mapping((facts.metrics or {}).get("protocol"))
    if data is None or loaded.recipe.data.valid_captures or "content" not in protocol:
        return None
    files, embedded = LabelledFiles.find(data), {}
    for name, model in _models(artifact, facts).items():
        subject = GraphSubject(name, model)
        embedded[name] = subject.embed_items(files.items(subject.image_size, UnreadableSamples()))
        if embedded[name].content != protocol["content"]:
            return None
    return embedded


def _models(artifact: ArtifactFolder, facts: ArtifactFacts) -> dict[str, Model]:
    from zoo.artifacts.layout import PRECISIONS
    from zoo.models.model import Model

    files = (facts.export.get("precisions") or {}).get("files") or {}
    names = [name for name in PRECISIONS if name == PRECISIONS[0] or name in files]
    return {name: Model.open(artifact.path, precision=name) for name in names}


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
