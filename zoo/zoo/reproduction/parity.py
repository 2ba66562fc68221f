"""The proof of an export against the same proof, made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.reproduction.check import Check
from zoo.reproduction.comparing import compare, is_same

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXPORT = "onnx/export.json"
# What decides on which images a graph was compared: other images round otherwise.
_OF_IMAGES = ("batches", "sizes", "spread", "outputs", "second", "alone")
_EXACT = ("embedding_dim", "normalized", "tolerance", "seed", "images", "preprocess", "wrapper", "opset")
_COUNTED = ("params", "flops", "macs")
# Rounding errors of another processor are of the same size, if not the same.
_FACTOR, _FLOOR = 4.0, 1e-7
_COSINE, _SPREAD = 1e-7, 1e-4


def parity_checks(claimed: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Check]:
    """Compare ``onnx/export.json`` with what comparing graph and weights again has found."""
    verified = claimed.get("verified")
    yield Check.of(EXPORT, "verified", verified, "proven again", holds=verified is True)
    same_images = claimed.get("images") == found["images"]
    keys = [key for key in (*_EXACT, "files", *_COUNTED) if key in claimed and (same_images or key != "images")]
    if not same_images:
        why = f"there on {claimed.get('images')}, here on {found['images']}"
        yield Check.skipped(EXPORT, ", ".join(key for key in _OF_IMAGES if claimed.get(key)), why)
        # Odd files are among the files: they were compared, too.
        keys = [key for key in keys if key not in {"files", "tolerance"}]
    else:
        keys += [key for key in _OF_IMAGES if key in claimed]
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
    named = [key for key in ("files", *_OF_IMAGES, *_COUNTED) if claimed.get(key) is not None]
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
