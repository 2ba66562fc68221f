"""Do calibrated thresholds hold? Galleries and strangers drawn 500 times, as JSON.

``python benchmarks/calibration.py`` draws embeddings of a known distribution: Gaussian pictures around classes, classes
around families, all on the sphere. 100,000 strangers, each of a class of its own, tell the realised rate. With
``--model MODEL`` the classes are documents/synthetic (``--templates``, without look-alikes) or class folders
(``--data``), embedded once. Each time gallery, strangers to calibrate with and strangers to test with have no class in
common; in the mode "themselves" the gallery's classes calibrate, and others test.

For each setting: the share of times that the realised FPIR is at most the target, the median of realised FPIR over
target, and how much TPIR the oracle, who sees the test strangers, is ahead.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import zoo
from zoo.calibration.comparison import compare
from zoo.calibration.pictures import Embedded
from zoo.calibration.search import estimated_threshold, just_above, lowest_threshold
from zoo_documents.synthetic import SyntheticDocuments
from zoo_documents.templates.composing import original_of
from zoo_images.capture.augmentation import Capture

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    # Some classes, each with the same number of pictures: `float32 [classes, pictures, D]`.
    Classes = npt.NDArray[np.float32]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Setting:
    """How many classes a gallery has, with how many references each, and by whom it is calibrated."""

    mode: str
    gallery: int
    references: int
    strangers: int
    pictures: int
    fpir: float


def drawn(generator: np.random.Generator, classes: int, pictures: int, dim: int = 64) -> Classes:
    """Draw classes of a known distribution: some lie in families, some have pictures that differ more than others'."""
    families = np.random.default_rng(0).standard_normal((200, dim), np.float32) / np.sqrt(dim)
    own = generator.standard_normal((classes, dim), np.float32) / np.sqrt(dim)
    # The share that a class has from its family, mostly little.
    share = generator.beta(1, 2, (classes, 1))
    centres = np.sqrt(share) * families[generator.integers(len(families), size=classes)] + np.sqrt(1 - share) * own
    spread = 0.35 * np.exp(0.3 * generator.standard_normal((classes, 1, 1)))
    around = centres[:, None] + spread / np.sqrt(dim) * generator.standard_normal((classes, pictures, dim), np.float32)
    return (around / np.linalg.norm(around, axis=-1, keepdims=True)).astype(np.float32)


def synthetic(model: zoo.Model, templates: int, pictures: int, seed: int) -> Classes:
    """Embed synthetic documents, of which none is the look-alike of another: flat, then augmented views."""
    size = model.graph.pixels.size or (96, 96)
    documents = SyntheticDocuments(templates, pictures, split="unseen", seed=seed)
    chosen = [number for number in range(templates) if original_of(number) is None]
    capture = Capture(size)

    def view(number: int, picture: int) -> npt.NDArray[np.uint8]:
        sample = documents[number * pictures + picture]
        return capture(sample, np.random.default_rng([seed, number, picture])) if picture else sample.image

    found = model.embed(view(number, picture) for number in chosen for picture in range(pictures))
    return found.reshape(len(chosen), pictures, -1)


def folders(model: zoo.Model, data: Path) -> Classes:
    """Embed class folders; of each class as many pictures as the smallest has."""
    classes = [sorted(path for path in folder.iterdir()) for folder in sorted(data.iterdir()) if folder.is_dir()]
    least = min(map(len, classes))
    return model.embed(path for one in classes for path in one[:least]).reshape(len(classes), least, -1)


def measure(
    setting: Setting, draw: Callable[[np.random.Generator], Classes], tests: Classes | None, trials: int
) -> dict[str, object]:
    """Calibrate and test ``trials`` times."""
    rows = [_trial(setting, draw(np.random.default_rng([1, trial])), tests, trial) for trial in range(trials)]
    realised, behind, oracle, guessed = np.array(rows).T
    return {
        **setting.__dict__,
        "trials": trials,
        "kept": round(float((realised <= setting.fpir).mean()), 4),
        "median_over_target": round(float(np.median(realised) / setting.fpir), 3),
        "tpir_of_oracle": round(float(oracle.mean()), 4),
        "tpir_behind_oracle": {
            "mean": round(float(behind.mean()), 4),
            "p95": round(float(np.quantile(behind, 0.95)), 4),
        },
        "kept_without_bound": round(float((guessed <= setting.fpir).mean()), 4),
    }


def _trial(setting: Setting, classes: Classes, tests: Classes | None, trial: int) -> tuple[float, float, float, float]:
    order = np.random.default_rng([2, trial]).permutation(len(classes))
    known, others = order[: setting.gallery], order[setting.gallery :]
    calibrating, testing = others[: setting.strangers], others[setting.strangers :]
    references, queries = classes[known, : setting.references], classes[known, setting.references :]
    gallery = _embedded(references, "known")
    # Of strangers the same pictures in calibration and test: the first one may be of another kind, flat.
    themselves = setting.mode == "themselves"
    pictures = slice(setting.references) if themselves else slice(1, 1 + setting.pictures)
    found = (
        compare(gallery, None) if themselves else compare(_embedded(classes[calibrating, pictures], "other"), gallery)
    )
    threshold = lowest_threshold(found.strangers, setting.fpir, CONFIDENCE)
    if threshold is None:
        raise SystemExit(f"{len(found.strangers.pictures)} classes are too few")
    # The test compares for itself.
    if tests is None:
        tests = classes[testing, pictures if themselves else slice(1, None)]
    realised = _closest(tests, references)[0]
    own = np.repeat(np.arange(setting.gallery), queries.shape[1])
    scores, nearest = _closest(queries, references)
    right = np.where(nearest == own, scores, -1)
    oracle = just_above(float(np.sort(realised)[-1 - int(setting.fpir * len(realised))]))
    guess = estimated_threshold(found.strangers, setting.fpir)
    rates = [float((realised >= one).mean()) for one in (threshold, guess)]
    tpir, best = (float((right >= one).mean()) for one in (threshold, oracle))
    return rates[0], best - tpir, best, rates[1]


def _closest(pictures: Classes, references: Classes) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return for each picture the score with the closest class, and which that is."""
    flat = references.reshape(-1, references.shape[-1]).T
    found: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]] = []
    for block in np.array_split(
        pictures.reshape(-1, pictures.shape[-1]), 1 + pictures[..., 0].size * flat.shape[1] // 2**22
    ):
        scores = block @ flat
        best = scores.argmax(axis=1)
        found.append((scores[np.arange(len(block)), best], best // references.shape[1]))
    all_scores, nearest = zip(*found, strict=True)
    return np.concatenate(all_scores), np.concatenate(nearest)


def _embedded(classes: Classes, name: str) -> Embedded:
    labels = tuple(f"{name} {number}" for number in range(len(classes)) for _ in range(classes.shape[1]))
    return Embedded(labels, (), (), classes.reshape(len(labels), -1), 0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--model", help="what embeds; default: a known distribution")
    parser.add_argument("--data", type=Path, help="class folders; default: documents/synthetic")
    parser.add_argument("--templates", type=int, default=20_000)
    parser.add_argument("--pool", type=int, default=100_000, help="strangers of the known distribution to test with")
    parser.add_argument("--gallery", type=int, default=100)
    parser.add_argument("--strangers", type=int, default=3000)
    parser.add_argument("--themselves", type=int, default=2000, help="classes that are strangers to each other")
    parser.add_argument("--row", type=int, choices=[0, 1, 2], help="one setting alone")
    parser.add_argument("--fpir", type=float, default=0.01)
    parser.add_argument("--embeddings", type=Path, help="file to keep embeddings in")
    options = parser.parse_args()
    draw, tests, population = _population(options)
    settings = [
        Setting("strangers", options.gallery, 1, options.strangers, 1, options.fpir),
        Setting("strangers", options.gallery, 2, options.strangers, 2, options.fpir),
        Setting("themselves", options.themselves, 2, 0, 0, options.fpir),
    ]
    chosen = settings if options.row is None else settings[options.row : options.row + 1]
    rows = [{"population": population, **measure(one, draw, tests, options.trials)} for one in chosen]
    print(json.dumps({"schema": 1, "confidence": CONFIDENCE, "rows": rows}, indent=2))


def _population(
    options: argparse.Namespace,
) -> tuple[Callable[[np.random.Generator], Classes], Classes | None, str]:
    """Return what draws classes, strangers that test in every trial (None: classes that are left), and a name."""
    if not options.model:
        classes = max(options.gallery + options.strangers, options.themselves)
        tests = drawn(np.random.default_rng(3), options.pool, 1)
        return lambda generator: drawn(generator, classes, 4), tests, "Gaussian, known"
    model = zoo.load(options.model)
    if options.embeddings and options.embeddings.exists():
        embeddings = np.load(options.embeddings)
    elif options.data:
        embeddings = folders(model, options.data)
    else:
        embeddings = synthetic(model, options.templates, 4, seed=1)
    if options.embeddings and not options.embeddings.exists():
        np.save(options.embeddings, embeddings)
    name = "class folders" if options.data else "documents/synthetic"
    return lambda _: embeddings, None, f"{name}, {len(embeddings):,} classes"


if __name__ == "__main__":
    main()
