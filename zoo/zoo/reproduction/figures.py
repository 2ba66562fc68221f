"""The figures of an evaluation against those of the same images, embedded again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.metrics.summary import tpr_key
from zoo.reproduction.check import Check
from zoo.reproduction.comparing import WithinRounding, compare, is_same, same

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from zoo.reproduction.surroundings import Surroundings

METRICS, EXPORT = "eval/metrics.json", "onnx/export.json"
FIGURES = ("metrics", "intervals", "thresholds", "look_alikes", "open_set", "docclassifier", "counts")
# What decides the pixels of images that are drawn and resized.
_DRAWING = ("plugzoo", "numpy", "pillow", "opencv-python-headless")
_UNTRAINED = "the weights before training are not published"
_UNSEEN = "needs the training data"


def noise(device: object) -> float:
    """Return how far rounding moves each number of an embedding that an evaluation on a ``device`` was made of.

    A GPU multiplies in fewer digits, unless it is told not to.
    """
    return 1e-6 if device == "cpu" else 3e-4


def figure_checks(
    claimed: Mapping[str, Any], found: Mapping[str, Any], variants: Iterable[Mapping[str, Any]]
) -> Iterator[Check]:
    """Compare all figures of an evaluation.

    Args:
        claimed: ``eval/metrics.json``.
        found: the same, measured here on the same images.
        variants: what rounding makes of them, measured when it is asked for.
    """
    parts = {key: claimed[key] for key in FIGURES if claimed.get(key) is not None}
    yield from compare(METRICS, parts, found, WithinRounding(variants))
    parts = {key: claimed[key] for key in ("protocol", "data") if claimed.get(key) is not None}
    yield from compare(METRICS, parts, found, same)
    yield from untold_checks(claimed)


def with_all_rates(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an evaluation whose metrics have the rates of too few pairs, too, which an older zoo has published."""
    rates = {tpr_key(point["fpr_target"]): point["tpr"] for point in document["thresholds"]}
    return {**document, "metrics": {**rates, **document["metrics"]}}


def untold_checks(claimed: Mapping[str, Any]) -> Iterator[Check]:
    """Name what an evaluation claims and nothing that is published can show."""
    for name, value in (claimed.get("untrained") or {}).items():
        yield Check.skipped(METRICS, f"untrained.{name}", _UNTRAINED, value)
    if claimed.get("unseen") is True:
        yield Check.skipped(METRICS, "unseen", _UNSEEN, claimed["unseen"])


def skipped_figures(claimed: Mapping[str, Any], why: str) -> Iterator[Check]:
    """Name the figures of an evaluation that is not re-run."""
    for name, value in claimed["metrics"].items():
        yield Check.skipped(METRICS, f"metrics.{name}", why, value)
    for point in claimed["thresholds"]:
        name = f"thresholds[fpr_target={point['fpr_target']:g}]"
        yield Check.skipped(METRICS, name, why, {key: point.get(key) for key in ("fpr", "tpr", "threshold")})
    rest = [key for key in FIGURES if key not in {"metrics", "thresholds"} and claimed.get(key)]
    yield Check.skipped(METRICS, ", ".join(rest), why)
    yield from untold_checks(claimed)


def other_images(
    claimed: Mapping[str, Any], found: Mapping[str, Any], surroundings: Surroundings, *, given: bool
) -> list[Check] | None:
    """Return the checks of an evaluation whose images here are others; None where they are the same.

    Images are the same by hash and counts; an evaluation that names no hash is held to its counts.

    Args:
        claimed: ``eval/metrics.json``.
        found: the protocol of the images here.
        surroundings: what is otherwise here.
        given: whether a person has named the images, who may have named the wrong ones.
    """
    protocol = claimed.get("protocol")
    source = protocol if isinstance(protocol, dict) and "content" in protocol else claimed["counts"]
    said = {key: source.get(key) for key in ("images", "classes", *(["content"] if "content" in source else []))}
    if all(is_same(value, found[key]) for key, value in said.items()):
        return None
    told = (
        f"{found['images']:,} images of {found['classes']:,} classes here, {said['images']} of {said['classes']} there"
    )
    content, here = said.get("content"), found["content"]
    if given:
        why = f"the data given are not those of the evaluation: {told}"
        return [Check.skipped(METRICS, "protocol.content", why, content)]
    if other := surroundings.differences(_DRAWING):
        return [Check.skipped(METRICS, "protocol.content", f"other images are drawn here: {other}", content)]
    note = f"the recipe draws other images: {told}"
    return [Check.of(METRICS, "protocol.content", content, here, holds=False, note=note)]


def precision_checks(
    name: str,
    claimed: Mapping[str, Any],
    found: Mapping[str, Any],
    variants: Iterable[Mapping[str, Any]],
) -> list[Check]:
    """Compare what a smaller file is said to lose, or what the float32 file recognises, with what is found here."""
    parts = {key: value for key, value in claimed.items() if key in found and value is not None}
    judge = WithinRounding({"precisions": {name: one}} for one in variants)
    return compare(EXPORT, {"precisions": {name: parts}}, {"precisions": {name: found}}, judge)


def precision_noise(name: str, *, same_processor: bool) -> float:
    """Return how far rounding moves each number of an embedding of a precision."""
    if same_processor or name == "fp32":
        return 1e-6
    # Where a processor lacks their instructions, products are rounded or saturated otherwise.
    return 1e-3 if name == "fp16" else 1e-2
