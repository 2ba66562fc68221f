"""The trained models that a model started from, link by link: their names, hashes and licences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo_core.provenance import distribution_license

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HASH = 12


def base_models(weights: Mapping[str, str], init_from: Mapping[str, Any] | None) -> list[str]:
    """Return the models on the Hub whose weights a training started from; none whose weights it only looked at.

    Args:
        weights: the record's, of what the backbone itself started from.
        init_from: the record's.
    """
    found = [weights["weights"]] if "revision" in weights else []
    if init_from and "revision" in init_from:
        # What that one started from stands in its own card.
        found.append(init_from["name"])
    elif init_from:
        made_of = init_from.get("made_of") or {}
        found += base_models(made_of.get("weights") or {}, made_of.get("init_from"))
    return list(dict.fromkeys(found))


def base_licences(weights: Mapping[str, str], init_from: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Yield what the initial weights are, and the licence that is stated for it, if any; data that made them too."""
    yield from weights_licence("base weights", weights)
    if not init_from:
        return
    named = called(init_from)
    yield f"initial weights, {named}", init_from.get("license", "")
    made_of = init_from.get("made_of") or {}
    for one in made_of.get("components") or []:
        yield f"data of {one['name']}, for {named}", data_licence(one)
    yield from base_licences(made_of.get("weights") or {}, made_of.get("init_from"))


def weights_licence(what: str, weights: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what weights of the Hub or of a file are, and the licence that is stated for them; nothing of random ones.

    ``what`` says what they were used for.
    """
    if "revision" in weights:
        yield f"{what} {weights['weights']}", weights.get("license", "")
    elif "sha256" in weights:
        yield f"{what}, a file", weights.get("license", "")


def called(init_from: Mapping[str, Any]) -> str:
    """Return the model's name on the Hub, else its hash: a path is nobody else's business."""
    return str(init_from["name"]) if "revision" in init_from else f"a model with sha256 {init_from['sha256'][:_HASH]}"


def data_licence(component: Mapping[str, Any]) -> str:
    """Return the licence of what a data set shows: what it draws is its own, what it reads is somebody's."""
    if "synthetic" not in (component.get("tags") or ()):
        return ""
    return component.get("license") or distribution_license(str(component.get("distribution"))) or ""
