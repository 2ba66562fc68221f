"""The proof of an export against the same proof, made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.reproduction.check import Check
from zoo.reproduction.comparing import compare, is_same

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXPORT = "onnx/export.json"
# What decides on which images a graph was compared: other images round otherwise.
_OF_IMAGES = ("files", "batches", "sizes", "spread", "outputs", "second", "alone")
_EXACT = ("embedding_dim", "normalized", "tolerance", "seed", "images", "preprocess", "wrapper", "opset")
_DECIDED = ("images", "tolerance")
_COUNTED = ("params", "flops", "macs")
# Rounding errors of another processor are of the same size, if not the same.
_FACTOR, _FLOOR = 4.0, 1e-7
_COSINE, _SPREAD = 1e-7, 1e-4


def parity_checks(claimed: Mapping[str, Any], found: Mapping[str, Any], *, same_images: bool) -> Iterator[Check]:
    """Compare ``onnx/export.json`` with what comparing graph and weights again has found.

    ``same_images``: whether the validation data here are not known to be others than those of the export.
    """
    verified = claimed.get("verified")
    yield Check.of(EXPORT, "verified", verified, "proven again", holds=verified is True)
    same_images = same_images and claimed.get("images") == found["images"]
    keys = [key for key in (*_EXACT, *_COUNTED) if key in claimed]
    if same_images:
        keys += [key for key in _OF_IMAGES if key in claimed]
    else:
        keys = [key for key in keys if key not in _DECIDED]
        why = f"proven again on other images: here {found['images']}, there {claimed.get('images')}"
        yield Check.skipped(EXPORT, ", ".join(key for key in (*_DECIDED, *_OF_IMAGES) if claimed.get(key)), why)
    yield from compare(EXPORT, {key: claimed[key] for key in keys}, found, _judge)
    nodes = claimed.get("nodes")
    if isinstance(nodes, dict):
        key = "simplified" if nodes.get("simplified") is not None else "exported"
        holds = is_same(nodes.get(key), found["nodes"])
        yield Check.of(EXPORT, f"nodes.{key}", nodes.get(key), found["nodes"], holds=holds)


def failed_parity(claimed: Mapping[str, Any], reason: str) -> Check:
    """Return the check of a proof that fails here."""
    return Check.of(EXPORT, "verified", claimed.get("verified"), "refuted", holds=False, note=reason)


def skipped_parity(claimed: Mapping[str, Any], why: str) -> Iterator[Check]:
    """Name what a report claims of its proof, which is not made again."""
    yield Check.skipped(EXPORT, "verified", why, claimed.get("verified"))
    named = [key for key in (*_OF_IMAGES, *_COUNTED) if claimed.get(key) is not None]
    yield Check.skipped(EXPORT, ", ".join(named), why)


def _judge(path: tuple[str | int, ...], claimed: Any, found: Any) -> tuple[bool, str]:  # noqa: ANN401 - JSON
    if is_same(claimed, found):
        return True, ""
    number = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (claimed, found))
    if not number:
        return False, ""
    if path[-1] in {"max_abs_diff", "second", "alone"}:
        low, high = sorted((claimed, found))
        return high - low <= _FLOOR or high <= _FACTOR * low, "a rounding error, compared by its size"
    if path[-1] == "min_cosine":
        return abs(claimed - found) <= _COSINE, ""
    if path[-1] in {"spread", "tolerance"}:
        return abs(claimed - found) <= _SPREAD * abs(found), ""
    return False, ""
