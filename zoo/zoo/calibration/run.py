"""One calibration: pictures to a threshold that keeps a promised rate of accepted strangers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.artifacts.digests import sha256
from zoo.calibration.bounds import interval, least_strangers, lowest_rate
from zoo.calibration.comparison import compare
from zoo.calibration.pictures import embed_labelled, refuse_copies
from zoo.calibration.price import price
from zoo.calibration.result import Calibration, Rate
from zoo.calibration.search import estimated_threshold, lowest_threshold
from zoo_core.errors import RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from zoo.calibration.comparison import Compared
    from zoo.calibration.pictures import Embedded, Labelled
    from zoo.calibration.search import Strangers
    from zoo.models.model import Model, Speed
    from zoo_core.errors import ZooError

SIZES = (1, 10, 100, 1000)
_CLOSEST = 3


@dataclass(frozen=True)
class Promise:
    """In a share ``confidence`` of calibrations the FPIR is at most ``fpir``; both 0..1.

    Raises:
        UsageError: one is out of range.
    """

    fpir: float = 0.01
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name in ("fpir", "confidence"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise UsageError(f"{name} has to lie between 0 and 1, and is {value:g}")


def calibrate(
    model: Model,
    pictures: Sequence[Labelled],
    references: Sequence[Labelled] | None,
    promise: Promise,
    *,
    speed: Speed,
    unreadable: Callable[[ZooError], object],
    advance: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Calibration:
    """Find the lowest threshold that keeps ``promise``.

    Args:
        model: the model.
        pictures: label and path of each. Those whose label has references show how many are found again; all others
            are strangers.
        references: label and path of each; None: ``pictures`` are the references, and each class is a stranger to the
            others.
        promise: the rate of accepted strangers, and how sure.
        speed: batches and threads.
        unreadable: told of each picture that cannot be read, which is left out.
        advance: wraps the pictures as they are embedded.

    Raises:
        UsageError: there are no strangers, or the file of one is there under another label.
        RunError: there are too few strangers to promise anything, no picture can be read, or the model cannot run.
    """

    def embed(some: Sequence[Labelled]) -> Embedded:
        return embed_labelled(model, some, speed=speed, unreadable=unreadable, advance=advance)

    gallery = None if references is None else embed(references)
    found = embed(pictures)
    refuse_copies(found, gallery)
    compared = compare(found, gallery)
    threshold = lowest_threshold(compared.strangers, promise.fpir, promise.confidence)
    if threshold is None:
        raise _too_few(compared.strangers, promise)
    data = {"sha256": found.sha256, "gallery_sha256": (gallery or found).sha256, "unreadable": found.unreadable}
    return _calibration(
        compared, found, threshold, promise, {"model": {"graph_sha256": sha256(model.graph.path)}, "data": data}
    )


def _too_few(strangers: Strangers, promise: Promise) -> RunError:
    needed, classes = least_strangers(promise.fpir, promise.confidence), len(strangers.pictures)
    guess = estimated_threshold(strangers, promise.fpir)
    low, high = strangers.bounds(guess, promise.confidence)
    alone = strangers.each == 1
    kind = "strangers" if alone else "classes"
    least = math.ceil(needed / strangers.each)
    why = "" if alone else ", because where one is taken for another, the other is taken for it"
    # Rounded up, so that it can be kept.
    lowest = math.ceil(lowest_rate(classes * strangers.each, promise.confidence) * 1000) / 1000
    return RunError(
        f"{classes:,} {kind} are too few to promise an FPIR of {promise.fpir:g} at a confidence of "
        f"{promise.confidence:g}: it takes {least:,}{why}; the best guess, without a promise, is a threshold of "
        f"{guess:.6f}, whose FPIR lies between {low:.2g} and {high:.2g}",
        hint=f"add {least - classes:,} {kind} (a folder of pictures is one)"
        + (f", or promise an FPIR of {lowest:g}" if lowest < 1 else ""),
    )


def _calibration(
    compared: Compared, found: Embedded, threshold: float, promise: Promise, context: dict[str, Any]
) -> Calibration:
    strangers = compared.strangers
    low, high = strangers.bounds(threshold, promise.confidence)
    fpir = Rate(strangers.rate(threshold), low, high, len(strangers.pictures), len(strangers.scores))
    shares, known = compared.found_again(threshold), int(np.isfinite(compared.own).sum())
    tpir = cost = None
    if shares.size:

        def found_again(at: float) -> float:
            return float(compared.found_again(at).mean())

        cost = price(strangers, found_again, threshold, promise.fpir, promise.confidence)
        tpir = Rate(float(shares.mean()), *interval(shares, promise.confidence), len(shares), known)
    expected = compared.expected_fpir(threshold, SIZES)
    best = np.argsort(-strangers.scores, kind="stable")[:_CLOSEST]
    references = len(compared.gallery.classes)
    document = {
        "schema": 1,
        "kind": "calibration",
        "threshold": threshold,
        "promise": asdict(promise),
        "fpir": asdict(fpir),
        "tpir": None if tpir is None else asdict(tpir),
        "price": None if cost is None else asdict(cost),
        "strangers": "classes of the gallery, to each other" if compared.among_themselves else "not in the gallery",
        "independent_strangers": strangers.independent,
        "gallery": {"classes": compared.gallery.count, "references": references},
        "expected_fpir": [{"classes": size, "fpir": rate} for size, rate in expected.items()],
        **context,
    }
    closest = tuple((found.paths[row], float(compared.other[row])) for row in compared.rows[best])
    return Calibration(threshold, fpir, tpir, cost, expected, closest, document)
