"""The facts of a run that its model card is made of, and what must be true before anything is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.artifacts import transformers_js
from zoo.artifacts.manifest import MANIFEST, Entry, Manifest, check, strangers
from zoo.artifacts.onnx_model import open_graph
from zoo.atomic import as_text, read_json, read_mapping
from zoo.publish.artifact_facts import ArtifactFacts, PublishedFile
from zoo.publish.artifact_json import Config, ExportReport, Metrics, read_document
from zoo.publish.base_weights import base_models
from zoo.publish.licensing import chosen_license
from zoo.publish.private import check_private, private_words
from zoo.recipes.public import published_sha256
from zoo.runs.summary import summarize
from zoo_core.config import dump, load
from zoo_core.errors import RunError, UsageError
from zoo_core.provenance import BuildRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zoo.artifacts.layout import ArtifactFolder
    from zoo.recipes.licences import Licence
    from zoo.recipes.loading import LoadedRecipe
    from zoo.recipes.schema import Recipe
    from zoo.runs.layout import RunFolder

_COUNTS = ("classes", "images_per_step")
_AGAIN = "export it again: zoo export"


@dataclass(frozen=True)
class Facts(ArtifactFacts):
    """All that is known of a model.

    Attributes:
        recipe_name: its recipe's.
        license: of the weights.
        licences: of what they are made of, by name; empty where nothing states one.
        record: what made it.
        data: what the record says of data and steps: ``train`` and ``valid``, ``classes``, ``images_per_step``.
        init_from: what the record says of the trained model that training started from, if it did.
        curves: the last row of its training curves, as text.
        private: what must stand in none of the files.
    """

    recipe_name: str
    license: Licence
    licences: tuple[tuple[str, str], ...]
    record: BuildRecord
    data: Mapping[str, Any]
    init_from: Mapping[str, Any] | None
    curves: Mapping[str, str]
    private: frozenset[bytes]

    @property
    def base_models(self) -> list[str]:
        """The models on the Hub whose weights training started from."""
        return base_models(self.record.weights, self.init_from)

    @property
    def for_transformers_js(self) -> bool:
        """Whether the export has found that Transformers.js can run the graph."""
        return transformers_js.CONFIG_KEY in self.config

    @property
    def has_backbone(self) -> bool:
        """Whether the backbone is published by itself, too."""
        return any(file.name.startswith("backbone/") for file in self.files)

    def _is_drawn(self, name: str) -> bool:
        tagged = {one.name for one in self.record.components if one.kind == "dataset" and "synthetic" in one.tags}
        # Records of before have no tags.
        return name in tagged or super()._is_drawn(name)


def gather(run: RunFolder, loaded: LoadedRecipe, *, evaluated: bool = True) -> Facts:
    """Collect the facts of an exported run.

    Args:
        run: the run folder, with its artifact.
        loaded: the run's recipe.
        evaluated: publish the evaluation too; without it, nothing that tells of one is published.

    Raises:
        UsageError: there is no licence, no artifact or no evaluation, or the licence is unknown.
        RunError: the export is not verified, its files are not all of the same export and evaluation, the licence is
            at odds with another's, or something private is in them.
    """
    artifact = run.artifact
    for path in (artifact.onnx, artifact.export_report, artifact.config, artifact.recipe, artifact.weights):
        if not path.is_file():
            hint = f"export it first: zoo export --run {run.typed}"
            raise UsageError(f"{path}: missing, so there is nothing to publish", hint=hint)
    record = run.read_record()
    built = BuildRecord.from_json(record)
    chosen, sources = chosen_license(run, loaded.recipe.card, built, record.get("init_from"), record.get("teacher"))
    if evaluated and not artifact.metrics.is_file():
        hint = (
            f"run 'zoo eval --run {run.typed}' and 'zoo export --run {run.typed}', "
            "or publish without the evaluation (--no-eval, in Python evaluated=False)"
        )
        raise UsageError(f"{artifact.metrics}: missing: the model was exported without an evaluation", hint=hint)
    manifest = _checked(artifact)
    export, report = read_document(artifact.export_report, ExportReport, hint=_AGAIN)
    config, described = read_document(artifact.config, Config, hint=_AGAIN)
    recipe, changed = _published_recipe(artifact, loaded.recipe, report)
    graph = open_graph(artifact.onnx)
    if graph.metadata.get("zoo.license", loaded.recipe.card.license) != loaded.recipe.card.license:
        said = graph.metadata["zoo.license"]
        raise RunError(f"{artifact.onnx}: says {said} of its licence, the card {chosen}", hint=_AGAIN)
    metrics, left_out = None, frozenset[str]()
    if evaluated:
        metrics, measured = read_document(artifact.metrics, Metrics, hint=_AGAIN)
        _check_evaluation(run, report, measured, described, recipe.validation_protocol())
    else:
        left_out = frozenset({"evaluation", "picture"})
        if described.zoo.threshold:
            # The threshold is a figure of the evaluation too; the file in the run folder keeps it.
            config = {**config, "zoo": {**config["zoo"], "threshold": None}}
            changed[artifact.config] = as_text(config).encode()
    facts = Facts(
        recipe_name=loaded.name,
        recipe=recipe,
        license=chosen,
        licences=sources,
        record=built,
        data={**(record.get("data") or {}), **{key: record[key] for key in _COUNTS if key in record}},
        init_from=record.get("init_from"),
        curves=summarize(run).curves,
        config=config,
        export=export,
        metrics=metrics,
        graph=graph,
        files=_files(artifact, manifest, without=left_out, changed=changed),
        private=private_words(run, record, loaded.recipe, recipe),
    )
    for file in facts.files:
        check_private(str(file.path), file.content or file.path.read_bytes(), facts.private)
    return facts


def _published_recipe(artifact: ArtifactFolder, kept: Recipe, report: ExportReport) -> tuple[Recipe, dict[Path, bytes]]:
    """Return the artifact's recipe with the card that is published, and its file's content where that is another.

    Raises:
        RunError: the recipe is not the one that was exported.
    """
    document = load(artifact.recipe).value
    if report.recipe_sha256 != published_sha256(document):
        raise RunError(f"{artifact.recipe}: is not the published form of the recipe that was exported", hint=_AGAIN)
    recipe = type(kept).model_validate({**document, "card": kept.card.model_dump()})
    if document.get("card") == kept.card.model_dump(mode="json"):
        return recipe, {}
    return recipe, {artifact.recipe: dump(recipe.model_dump(mode="json", exclude={"hub"})).encode()}


def _checked(artifact: ArtifactFolder) -> Manifest:
    """Return the manifest of an artifact that holds what was exported, and nothing else.

    Raises:
        RunError: it does not.
    """
    manifest = check(artifact.path)
    if more := strangers(artifact.path, manifest):
        named = ", ".join(f"{name} ({why})" for name, why in more.items())
        message = f"{artifact.path}: holds what is not published: {named}"
        raise RunError(message, hint="move it elsewhere")
    return manifest


def _check_evaluation(
    run: RunFolder, export: ExportReport, metrics: Metrics, config: Config, protocol: Mapping[str, Any]
) -> None:
    """Refuse figures that are not those of these weights: a card must not promise what another model can do."""
    artifact, newest = run.artifact, run.evaluation / "metrics.json"
    if metrics.weights_sha256 not in {None, export.weights_sha256}:
        raise RunError(f"{artifact.metrics}: is the evaluation of other weights", hint=_AGAIN)
    # What is published of the run's own names its data as the published recipe does.
    if newest.is_file() and {**read_mapping(newest), "data": dict(protocol)} != read_json(artifact.metrics):
        raise RunError(f"{artifact.metrics}: is not the run's evaluation, {newest}", hint=_AGAIN)
    threshold = config.zoo.threshold
    if threshold and (threshold.fpr_target, threshold.value) not in {
        (point.fpr_target, point.threshold) for point in metrics.thresholds
    }:
        message = f"{artifact.config}: its threshold {threshold.value:g} is not that of {artifact.metrics}"
        raise RunError(message, hint=_AGAIN)


def _files(
    artifact: ArtifactFolder, manifest: Manifest, *, without: frozenset[str], changed: Mapping[Path, bytes]
) -> tuple[PublishedFile, ...]:
    """Return the files that the manifest names, and the manifest of those; ``changed`` are sent in their place."""
    files = [
        PublishedFile(name, artifact.path / name, entry.size, entry.sha256)
        for name, entry in sorted(manifest.files.items())
        if entry.role not in without
    ]
    files = [file.saying(changed[file.path]) if file.path in changed else file for file in files]
    sent = Manifest({file.name: Entry(file.sha256, file.size, manifest.files[file.name].role) for file in files})
    path = artifact.path / MANIFEST
    listing = PublishedFile.of(path, MANIFEST)
    return (*files, listing if sent == manifest else listing.saying(as_text(sent.to_json()).encode()))
