"""How near can a calibrated threshold come to its oracle? Bounds compared on the same strangers, as JSON.

One picture a stranger, galleries of ``--gallery`` classes with one reference. Those to calibrate with are drawn, with
replacement, from a population that tells the realised rate exactly: embeddings of the known distribution of
``benchmarks/calibration.py``, or those in ``--embeddings``, its file, ``float32 [classes, pictures, D]``.

* "order statistic" is what ``zoo calibrate`` does.
* "most powerful": the sign test, randomised so that it is kept at exactly the confidence. No bound that holds for all
  distributions of scores loses less (Lehmann and Romano, Testing Statistical Hypotheses, section 3.8).
* "tail P%": a generalised Pareto distribution fitted to the highest P %, and its bound by profile likelihood (Coles,
  An Introduction to Statistical Modeling of Extreme Values, 4.3.3). It assumes a shape of the tail.
* "no bound": the lowest threshold that accepts the target's share of the strangers seen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from calibration import CONFIDENCE, drawn, nearest
from scipy import optimize, special, stats

from zoo.calibration.bounds import kept
from zoo.calibration.search import just_above

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

TAILS = (0.1, 0.2)


def thresholds(scores: Floats, fpir: float, generator: np.random.Generator) -> dict[str, float]:
    """Return the threshold of each method for ``scores`` of strangers, ``float [N]``."""
    best, count = np.sort(scores)[::-1], len(scores)
    accepted = int(fpir * count)
    found = {"no bound": just_above(best[accepted])}
    while not kept(accepted, count, fpir, CONFIDENCE):
        accepted -= 1
    found["order statistic"] = just_above(best[accepted])
    numbers = stats.binom(count, fpir)
    spare = (1 - CONFIDENCE - numbers.cdf(accepted)) / numbers.pmf(accepted + 1)
    found["most powerful"] = just_above(best[accepted + (generator.random() < spare)])
    return found | {f"tail {tail:.0%}": _tail_threshold(best, tail, fpir) for tail in TAILS}


def _tail_threshold(best: Floats, tail: float, fpir: float) -> float:
    """Return the lowest score whose rate is at most ``fpir`` by the likelihood of a generalised Pareto tail."""
    above = int(tail * len(best))
    start = best[above]
    excess = best[:above] - start

    def misfit(share: float, shape: float, scale: float) -> float:
        tailed = stats.genpareto.logpdf(excess, shape, scale=scale).sum()
        return -float(tailed + special.xlogy(above, share) + (len(best) - above) * np.log1p(-share))

    def with_rate_at(score: float) -> float:
        """Return the least misfit of all tails whose rate at ``score`` is the target."""

        def one(parameters: Floats) -> float:
            share, shape = special.expit(parameters[0]), parameters[1]
            if share <= fpir:
                return np.inf
            return misfit(share, shape, (score - start) / special.boxcox(share / fpir, shape))

        return float(optimize.minimize(one, [special.logit(tail), free.x[0]], method="Nelder-Mead").fun)

    free = optimize.minimize(
        lambda parameters: misfit(tail, parameters[0], np.exp(parameters[1])),
        [-0.1, np.log(excess.mean())],
        method="Nelder-Mead",
    )
    estimate = start + np.exp(free.x[1]) * special.boxcox(tail / fpir, free.x[0])
    worse = stats.norm.ppf(CONFIDENCE) ** 2 / 2
    step = (estimate - start) / 10
    end = estimate + step
    while with_rate_at(end) - free.fun < worse:
        end += step
    return float(optimize.brentq(lambda score: with_rate_at(score) - free.fun - worse, estimate, end, xtol=1e-4))


def measure(options: argparse.Namespace, count: int) -> dict[str, object]:
    """Compare the methods with ``count`` strangers."""
    pool = np.load(options.embeddings) if options.embeddings else drawn(np.random.default_rng(3), options.pool, 4)
    rows: dict[str, list[tuple[float, float]]] = {}
    for trial in range(options.trials):
        generator = np.random.default_rng([options.seed, trial])
        order = generator.permutation(len(pool))
        known, others = order[: options.gallery], order[options.gallery :]
        references, queries = pool[known, :1], pool[known, 1:]
        population = np.sort(nearest(pool[others, 1:2], references)[0])
        scores, classes = nearest(queries, references)
        right = np.where(classes == np.repeat(np.arange(options.gallery), queries.shape[1]), scores, -1)
        oracle = just_above(float(population[-1 - int(options.fpir * len(population))]))
        for name, threshold in thresholds(generator.choice(population, count), options.fpir, generator).items():
            realised = 1 - np.searchsorted(population, threshold) / len(population)
            behind = (right >= oracle).mean() - (right >= threshold).mean()
            rows.setdefault(name, []).append((realised, behind))
    return {"strangers": count, **{name: _summary(np.array(found), options.fpir) for name, found in rows.items()}}


def _summary(found: Floats, fpir: float) -> dict[str, float]:
    realised, behind = found.T
    return {
        "kept": round(float((realised <= fpir).mean()), 3),
        "median_over_target": round(float(np.median(realised) / fpir), 2),
        "tpir_behind_oracle": round(float(behind.mean()), 4),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--embeddings", type=Path, help="of what is the population; default: a known distribution")
    parser.add_argument("--pool", type=int, default=50_000, help="classes of the known distribution")
    parser.add_argument("--gallery", type=int, default=100)
    parser.add_argument("--strangers", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--fpir", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    rows = [measure(options, count) for count in options.strangers]
    print(json.dumps({"schema": 1, "confidence": CONFIDENCE, "trials": options.trials, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
