"""Do calibrated thresholds hold? Galleries and strangers drawn 500 times, as JSON.

``python benchmarks/calibration.py`` draws embeddings of a known distribution: Gaussian pictures around classes, classes
around families, all on the sphere. 100,000 strangers, each of a class of its own, tell the realised rate. With
``--model MODEL`` the classes are documents/synthetic (``--templates``, without look-alikes) or class folders
(``--data``), embedded once. Each time gallery, strangers to calibrate with and strangers to test with have no class in
common; in the mode "themselves" the gallery's classes calibrate, and others test.

Of so many classes and no more, the test is a sample too, and what is drawn for one is lacking in the other: chance in
the test makes a promise that is kept look broken. So there is a second test without chance, "kept_in_population":
strangers to calibrate with are drawn, with replacement, from all strangers, and all of them test.

For each setting: the share of times that the realised FPIR is at most the target, the median of realised FPIR over
target, how much TPIR the oracle, who sees the test strangers, is ahead, and how many classes of strangers
``zoo calibrate`` says it takes to make that 0.02.
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
from zoo.calibration.price import price
from zoo.calibration.search import estimated_threshold, just_above, lowest_threshold
from zoo_documents.synthetic import SyntheticDocuments
from zoo_documents.templates.composing import original_of
from zoo_images.capture.augmentation import Capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from zoo.calibration.search import Strangers

    # Some classes, each with the same number of pictures: `float32 [classes, pictures, D]`.
    Classes = npt.NDArray[np.float32]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Setting:
    """How many classes a gallery has, with how many references each, and by whom it is calibrated."""

    mode: str
    gallery: int
    references: int
    strangers: tuple[int, ...]
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
    setting: Setting, draw: Callable[[np.random.Generator], Classes], tests: Classes | None, seeds: list[list[int]]
) -> list[dict[str, object]]:
    """Calibrate and test once for each of ``seeds`` and each number of strangers."""
    found = [_trial(setting, draw(np.random.default_rng([1, *seed])), tests, seed) for seed in seeds]
    return [
        {**setting.__dict__, "strangers": count, "trials": len(seeds), **_summary(np.array(rows), setting.fpir)}
        for count, rows in zip(setting.strangers, zip(*found, strict=True), strict=True)
    ]


def _summary(rows: npt.NDArray[np.float64], fpir: float) -> dict[str, object]:
    realised, behind, oracle, guessed, needed, again = rows.T
    return {
        "kept": round(float((realised <= fpir).mean()), 4),
        "kept_in_population": None if np.isnan(again).any() else round(float((again <= fpir).mean()), 4),
        "median_over_target": round(float(np.median(realised) / fpir), 3),
        "tpir_of_oracle": round(float(oracle.mean()), 4),
        "tpir_behind_oracle": {
            "mean": round(float(behind.mean()), 4),
            "p95": round(float(np.quantile(behind, 0.95)), 4),
        },
        "classes_for_little": dict(
            zip(("p10", "median", "p90"), np.quantile(needed, [0.1, 0.5, 0.9]).tolist(), strict=True)
        ),
        "kept_without_bound": round(float((guessed <= fpir).mean()), 4),
    }


def _trial(setting: Setting, classes: Classes, tests: Classes | None, seed: list[int]) -> list[tuple[float, ...]]:
    generator = np.random.default_rng([2, *seed])
    order = generator.permutation(len(classes))
    known, others = order[: setting.gallery], order[setting.gallery :]
    references, queries = classes[known, : setting.references], classes[known, setting.references :]
    themselves = setting.mode == "themselves"
    # Of strangers the same pictures in calibration and test: the first one may be of another kind, flat.
    shown = classes[:, :2] if themselves else classes[:, 1 : 1 + setting.pictures]
    # The test compares for itself.
    scores, found = nearest(queries, references)
    right = np.where(found == np.repeat(np.arange(setting.gallery), queries.shape[1]), scores, -1)
    everyone = best(shown if tests is None else tests, references)
    rows = []
    for count in setting.strangers:
        threshold, strangers = _calibrated(setting, references, None if themselves else shown[others[:count]])
        again = np.nan
        if tests is None and not themselves:
            again_threshold, _ = _calibrated(setting, references, shown[generator.choice(others, count)])
            again = float((everyone[others] >= again_threshold).mean())
        realised = everyone[others[count:]] if tests is None else everyone
        oracle = just_above(float(np.sort(realised, axis=None)[-1 - int(setting.fpir * realised.size)]))
        guess = estimated_threshold(strangers, setting.fpir)
        rates = [float((realised >= one).mean()) for one in (threshold, guess)]
        tpir, most = (float((right >= one).mean()) for one in (threshold, oracle))
        cost = price(strangers, lambda one: float((right >= one).mean()), threshold, setting.fpir, CONFIDENCE)
        rows.append((rates[0], most - tpir, most, rates[1], cost.classes_for_little, again))
    return rows


def _calibrated(setting: Setting, references: Classes, calibrating: Classes | None) -> tuple[float, Strangers]:
    gallery = _embedded(references, "known")
    found = compare(gallery, None) if calibrating is None else compare(_embedded(calibrating, "other"), gallery)
    threshold = lowest_threshold(found.strangers, setting.fpir, CONFIDENCE)
    if threshold is None:
        raise SystemExit(f"{len(found.strangers.pictures)} classes are too few")
    return threshold, found.strangers


def nearest(pictures: Classes, references: Classes) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return for each picture the score with the closest class, and which that is."""
    found = [(scores.max(axis=1), scores.argmax(axis=1)) for scores in _compared(pictures, references)]
    scores, places = zip(*found, strict=True)
    return np.concatenate(scores), np.concatenate(places) // references.shape[1]


def best(pictures: Classes, references: Classes) -> npt.NDArray[np.float32]:
    """Return for each picture the score with the closest class, ``float32 [classes, pictures]``."""
    found = [scores.max(axis=1) for scores in _compared(pictures, references)]
    return np.concatenate(found).reshape(pictures.shape[:2])


def _compared(pictures: Classes, references: Classes) -> Iterator[npt.NDArray[np.float32]]:
    flat = references.reshape(-1, references.shape[-1]).T
    for block in np.array_split(pictures, 1 + pictures[..., 0].size * flat.shape[1] // 2**20):
        yield block.reshape(-1, block.shape[-1]) @ flat


def _embedded(classes: Classes, name: str) -> Embedded:
    labels = tuple(f"{name} {number}" for number in range(len(classes)) for _ in range(classes.shape[1]))
    return Embedded(labels, (), (), classes.reshape(len(labels), -1), 0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--model", help="what embeds; default: a known distribution")
    parser.add_argument("--data", type=Path, help="class folders; default: documents/synthetic")
    parser.add_argument("--templates", type=int, default=80_000)
    parser.add_argument("--seed", type=int, default=2, help="of documents/synthetic and of what is drawn")
    parser.add_argument("--pool", type=int, default=100_000, help="strangers of the known distribution to test with")
    parser.add_argument("--gallery", type=int, default=100)
    parser.add_argument("--strangers", type=int, nargs="+", default=[3000])
    parser.add_argument("--themselves", type=int, default=2000, help="classes that are strangers to each other")
    parser.add_argument("--row", type=int, choices=[0, 1, 2], help="one setting alone")
    parser.add_argument("--fpir", type=float, default=0.01)
    parser.add_argument("--embeddings", type=Path, help="file to keep embeddings in")
    options = parser.parse_args()
    draw, tests, data = _population(options)
    settings = [
        Setting("strangers", options.gallery, 1, tuple(options.strangers), 1, options.fpir),
        Setting("strangers", options.gallery, 2, tuple(options.strangers), 2, options.fpir),
        Setting("themselves", options.themselves, 2, (0,), 2, options.fpir),
    ]
    chosen = settings if options.row is None else settings[options.row : options.row + 1]
    seeds = [[options.seed, trial] for trial in range(options.trials)]
    rows = [{"data": data, **row} for one in chosen for row in measure(one, draw, tests, seeds)]
    print(json.dumps({"schema": 1, "confidence": CONFIDENCE, "rows": rows}, indent=2))


def _population(
    options: argparse.Namespace,
) -> tuple[Callable[[np.random.Generator], Classes], Classes | None, str]:
    """Return what draws classes, strangers that test in every trial (None: classes that are left), and a name."""
    if not options.model:
        classes = max(options.gallery + max(options.strangers), options.themselves)
        tests = drawn(np.random.default_rng(3), options.pool, 1)
        return lambda generator: drawn(generator, classes, 4), tests, "Gaussian, known"
    model = zoo.load(options.model)
    if options.embeddings and options.embeddings.exists():
        embeddings = np.load(options.embeddings)
    elif options.data:
        embeddings = folders(model, options.data)
    else:
        embeddings = synthetic(model, options.templates, 4, seed=options.seed)
    if options.embeddings and not options.embeddings.exists():
        np.save(options.embeddings, embeddings)
    name = "class folders" if options.data else "documents/synthetic"
    return lambda _: embeddings, None, f"{name}, {len(embeddings):,} classes"


if __name__ == "__main__":
    main()
