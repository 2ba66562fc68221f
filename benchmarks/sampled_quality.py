"""Whether a sampled softmax recognises as well as the whole one: trainings of equal time, several seeds of each.

    python benchmarks/sampled_quality.py --work WORK --time 5m --photos PHOTOS

``--photos`` is what ``benchmarks/photographs.py`` made of images that no training sees; without it unseen synthetic
documents judge. Trainings that are already in WORK are not repeated. Prints a table, or with ``--json`` the figures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

RECIPE = "lcnet050_cosface_96"
METRICS = ("tpr_at_fpr_1e-4", "tpr_at_fpr_1e-3", "auc", "rank1")


def run(arguments: argparse.Namespace, mode: str, seed: int) -> dict[str, float]:
    """Train and evaluate one model, unless that was done before."""
    folder = arguments.work / f"{mode}-{seed}"
    metrics = folder / "evaluation" / "metrics.json"
    if not metrics.is_file():
        table = f"{{mode: sparse, negatives: {arguments.negatives}}}" if mode == "sampled" else "{mode: dense}"
        overrides = [
            f"seed={seed}",
            f"model.loss.options.class_table={table}",
            "model.backbone.options.pretrained=false",
            f"data.train.options.templates={arguments.classes}",
            "data.train.options.cache_mb=1024",
            "data.samples_per_epoch=25600",
            "trainer.max_epochs=1000",
        ]
        if arguments.photos:
            root = json.dumps(str(arguments.photos.resolve()))
            overrides += ["data.valid.name=images/folder", f"data.valid.options.root={root}", "data.valid_captures=0"]
        command = ["zoo", "train", "--cfg", RECIPE, "--max-time", arguments.time, "--output", str(folder), *overrides]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - the list above
    figures: dict[str, float] = json.loads(metrics.read_text(encoding="utf-8"))["metrics"]
    return {name: figures[name] for name in METRICS}


def main() -> None:
    """Train all and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--photos", type=Path, help="what benchmarks/photographs.py made")
    parser.add_argument("--time", default="5m", help="of each training")
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--negatives", type=int, default=1024)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [
        {"mode": mode, "seed": seed, **run(arguments, mode, seed)}
        for seed in range(arguments.seeds)
        for mode in ("dense", "sampled")
    ]
    if arguments.json:
        facts = {"classes": arguments.classes, "negatives": arguments.negatives, "time": arguments.time}
        print(json.dumps({"schema": 1, **facts, "rows": rows}, indent=1))
        return
    print(f"| softmax over | seed | {' | '.join(METRICS)} |\n|{'---|' * (2 + len(METRICS))}")
    names = {
        "dense": f"all {arguments.classes:,} classes",
        "sampled": f"{arguments.negatives:,} and those of the batch",
    }
    for mode, name in names.items():
        mine = [row for row in rows if row["mode"] == mode]
        for row in mine:
            print(f"| {name} | {row['seed']} | " + " | ".join(f"{row[key]:.4f}" for key in METRICS) + " |")
        if len(mine) > 1:
            spreads = [[float(row[key]) for row in mine] for key in METRICS]
            print(f"| {name} | mean ± sd | " + " | ".join(f"{mean(v):.4f} ± {stdev(v):.4f}" for v in spreads) + " |")


if __name__ == "__main__":
    sys.exit(main())
